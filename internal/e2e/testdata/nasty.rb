# frozen_string_literal: true

# nasty.rb DIR: several processes write every type of metric with label values
# and numbers chosen to break a reader.

require_relative '../../../testdata/writers'

LABELS = [
  'plain', '', ' ', ' both ends ', 'a b', 'a!', 'a',
  'say "hi"', '"', '""', 'ends in a quote"',
  'C:\\temp\\new', '\\', '\\\\', 'ends in a backslash\\', '\\"', '\\n', '\\u003c',
  "line\nline", "\n", "a\tb", "a\rb", "a\r\nb", "nul\0nul", "\u007f", "\u0085", "\u00a0", "\ufeff",
  *(1..31).map { |code| "control #{code.chr}" },
  'äöüß', 'ü'.encode('ISO-8859-1'), '漢字', 'シフト'.encode('Shift_JIS'), "e\u0301", '👩‍👩‍👧', '😀',
  "\u2028", "\u2029", "\uffff", "\u{10ffff}", "\ufffd",
  '</script>&', '<>', '/', '//', "it's", '#', '# TYPE a counter', '{', '}', '{}', ',', '=', 'a="b"', 'a",b="c', '} 1',
  'null', 'nil', '["a","b"],["c"]', '[]', '{"a":[1,2]}', '"quoted"', '+Inf', 'NaN', '0', '1e3', '-1',
  'x' * 1000, 'ü' * 2000, '\\"' * 500,
  :symbol, :'symbol "quoted"', true, false, 42, -7, 2**64, -2**70, 0.1, 1e20, 1e-7, -0.0, 1e300,
  Rational(1, 3), Complex(1, 2)
].freeze

VALUES = [
  0, 1, -1, 0.0, -0.0, 0.1, 0.1 + 0.2, 1.0 / 3, 100, 1_000_000, 123_456_789, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 1e23, 1e300,
  -1e300, 1e-4, 1e-5, 1e-300, 5e-324, -5e-324, 2.2250738585072014e-308, Float::MAX, -Float::MAX, Float::EPSILON,
  2**53, 2**53 + 1, 2**64, 2**100, -2**100, 123_456_789_012_345_678, 4.35, 2.675,
  Float::INFINITY, -Float::INFINITY, Float::NAN, -Float::NAN
].freeze
POSITIVE = VALUES.reject { |value| value.negative? }.freeze
# The gem and we differ on purpose about NaN in min and max, and nobody says
# which zero is the smaller one: those have tests of their own.
ORDERED = VALUES.reject { |value| value.to_f.nan? || value.zero? }.freeze

MODES = %i[all liveall livesum min max].freeze

def write_labels(metrics, turn)
  LABELS.each_with_index do |label, i|
    n = i + turn
    metrics.counter(:nasty_total, { v: label }, POSITIVE[n % POSITIVE.size])
    metrics.counter(:'Nasty:total', { _under: 1, ZZ: label, aa: label }, 1)
    metrics.summary(:nasty_summary, { v: label }, VALUES[n % VALUES.size], n)
    metrics.histogram(:nasty_seconds, { v: label, zone: 'after le' }, n % 12, 0.1, buckets: [0.1, 1, 2.5, 10])
    MODES.each do |mode|
      values = %i[min max].include?(mode) ? ORDERED : VALUES
      metrics.gauge(:"nasty_#{mode}", { v: label }, values[n % values.size], mode)
    end
  end
end

# nil reads like "": alone, so that no two lines of the gem read the same.
def write_nil(metrics)
  metrics.counter(:nil_total, { v: nil, w: nil })
  MODES.each { |mode| metrics.gauge(:"nil_#{mode}", { v: nil }, 3, mode) }
  metrics.histogram(:nil_seconds, { v: nil }, 1)
end

def write_values(metrics, turn)
  VALUES.each_with_index do |value, i|
    MODES.each do |mode|
      next if %i[min max].include?(mode) && !ORDERED.include?(value)

      metrics.gauge(:"value_#{mode}", { i: i }, value, mode)
    end
    metrics.summary(:value_summary, { i: i }, value, 0.1)
    metrics.histogram(:value_seconds, { i: i }, value, 3, buckets: [-1, 0, 1e-05, 1, 100_000.0, 1e16])
  end
  POSITIVE.each_with_index { |value, i| metrics.counter(:value_total, { i: i }, value * (turn + 1)) }
end

def write_shapes(metrics, turn)
  metrics.counter(:bare_total, {}, 0.1)
  metrics.summary(:bare_summary, {}, 0.1, 0.2)
  metrics.histogram(:bare_seconds, {}, 0.1, 20)
  MODES.each { |mode| metrics.gauge(:"bare_#{mode}", {}, turn, mode) }
  # The same name with other labels in every process.
  metrics.counter(:shape_total, { a: 'x', "p#{turn}": 'y' })
  metrics.counter(:shape_total2, { "p#{turn}": 'y' })
  # A user's own labels that mean something elsewhere.
  metrics.counter(:own_total, { pid: 'mine', le: '1', quantile: '0.5' })
  %i[livesum min max].each { |mode| metrics.gauge(:"own_#{mode}", { pid: 'mine', le: 'x' }, turn, mode) }
  # Made but never counted, and the same bound written in two ways.
  metrics.histogram(:never_seconds, { a: 1 })
  metrics.histogram(:bounds_seconds, {}, 1, buckets: turn.even? ? [1, 2] : [1.0, 2.0])
  # Names that are prefixes of each other; the byte order of the keys differs
  # from that of the names.
  %i[a aa a:a a_a aA a1].each { |name| metrics.counter(name, {}, turn) }
  metrics.counter(:long_total, { v: 'x' * 100_000 })
  metrics.counter(:"wide_#{'x' * 500}", (1..40).to_h { |i| [:"l#{i}", i] })
end

def write_all(metrics, turn)
  write_labels(metrics, turn)
  write_nil(metrics)
  write_values(metrics, turn)
  write_shapes(metrics, turn)
end

# One encoder writes all of a directory: the same value under two encodings
# is two series for the gem.
encoder = ARGV.fetch(1, 'plain').to_sym

Writers.open(ARGV.fetch(0)) do |writers|
  ids = %w[puma_0 puma_1 puma_1 puma_master process_id_77 4711 sidekiq-queue_1 worker-1_0]
  ids.each_with_index do |id, turn|
    writers.run(id, encoder: encoder, hold: true) { |metrics| write_all(metrics, turn) }
  end
  # Comes back after its death: goes on in the file it left.
  writers.release
  writers.run('puma_0', encoder: encoder) { |metrics| write_all(metrics, 9) }
end
