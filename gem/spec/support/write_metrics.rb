# frozen_string_literal: true

# write_metrics.rb DIR: an application of several processes that writes every
# type of metric, with labels and numbers that a reader may get wrong. Says
# ready, and its processes live on, with their files open, until stdin ends.

require_relative '../../../testdata/writers'

LABELS = [
  'plain', '', ' both ends ', 'say "hi"', '"', 'C:\\temp\\new', '\\', '\\n', 'ends in a backslash\\',
  "line\nline", "\n", 'größe', '漢字', '😀', "e\u0301", "\u2028", '</script>&', "it's", '#', '# TYPE a counter',
  '{', '}', 'a="b"', 'a",b="c', '} 1',
  'null', '[1]', '+Inf', 'NaN', 'x' * 500, :symbol, true, false, 42, -7, 2**64, 0.1, 1e20
].freeze
# JSON has escapes for these that the text format does not have.
CONTROLS = ["tab\ttab", "cr\rcr", "nul\0nul", "\e[1m", "\u007f", '\\t'].freeze
VALUES = [
  0, 1, -1, -0.0, 0.1, 0.1 + 0.2, 1.0 / 3, 123_456_789, 1e15, 1e17, 1e23, 1e300, -1e300, 1e-5, 5e-324, -5e-324,
  Float::MAX, 2**53, Float::INFINITY, -Float::INFINITY, Float::NAN
].freeze
# Nobody says which zero is the smaller one, and gems differ about NaN here.
ORDERED = VALUES.reject { |value| value.to_f.nan? || value.zero? }.freeze
MODES = %i[all liveall livesum min max].freeze

# turn: which process it is, so that no two write the same.
def write_labels(metrics, turn)
  [*LABELS, *CONTROLS].each_with_index do |label, index|
    number = index + turn
    metrics.counter(:app_requests_total, { v: label, CamelCase: 'x' }, number)
    metrics.summary(:app_summary, { v: label }, number, 0.25)
    metrics.histogram(:app_seconds, { v: label, zone: 'after le' }, number % 12, 0.1, buckets: [0.1, 1, 2.5, 10])
    MODES.each { |mode| metrics.gauge(:"app_#{mode}", { v: label }, number, mode) }
  end
end

def write_values(metrics, turn)
  VALUES.each_with_index do |value, index|
    (MODES - %i[min max]).each { |mode| metrics.gauge(:"value_#{mode}", { i: index }, value, mode) }
    metrics.summary(:value_summary, { i: index }, value)
  end
  ORDERED.each_index do |index|
    %i[min max].each { |mode| metrics.gauge(:"value_#{mode}", { i: index }, ORDERED.rotate(turn)[index], mode) }
  end
end

def write_shapes(metrics, turn)
  metrics.counter(:bare_total, {}, 0.1)
  metrics.summary(:bare_summary, {}, 0.1, 0.2)
  metrics.histogram(:bare_seconds, {}, 0.1, 20)
  MODES.each { |mode| metrics.gauge(:"bare_#{mode}", {}, turn, mode) }
  metrics.counter(:"own_total_#{turn}", { turn: turn }) # in one process only
  metrics.counter(:shape_total, { a: 'x', "p#{turn}": 'y' })
  metrics.counter(:nil_total, { v: nil })
  %i[a aa a:a a_a aA a1].each { |name| metrics.counter(name, {}, turn) }
end

if $PROGRAM_NAME == __FILE__
  Writers.open(ARGV.fetch(0)) do |writers|
    %w[puma_master puma_0 puma_1 puma_1 process_4711].each_with_index do |id, turn|
      writers.run(id, hold: true) do |metrics|
        write_labels(metrics, turn)
        write_values(metrics, turn)
        write_shapes(metrics, turn)
      end
    end
    $stdout.puts('ready')
    $stdout.flush
    $stdin.read
  end
end
