# frozen_string_literal: true

# Writes the *.db files of every folder here anew with the real gem, byte for
# byte the same on every run:
#
#     ruby testdata/generate.rb [CASE...]
#
# README.md says what each folder is for. What no gem writes is made from a
# real file by renaming it or by patching a few of its bytes.

require 'fileutils'
require_relative 'writers'

CASES = {}

def golden(name, &block) = CASES[name] = block

# The bytes of one real file, and how to spoil them.
class Patch
  HEADER = 8

  attr_reader :bytes

  def self.file(path)
    patch = new(File.binread(path))
    yield patch
    File.binwrite(path, patch.bytes)
  end

  def initialize(bytes)
    @bytes = bytes
  end

  def used = bytes.unpack1('L')

  def used=(value)
    bytes[0, 4] = [value].pack('L')
  end

  # Where each entry starts. An entry is the key's length, the key, 1 to 8
  # spaces up to a multiple of 8, the value.
  def entries
    starts = []
    at = HEADER
    while at < used
      starts << at
      stored = 4 + bytes[at, 4].unpack1('L')
      at += stored + 8 - (stored % 8) + 8
    end
    starts
  end

  def set_length(entry, length)
    bytes[entries.fetch(entry), 4] = [length].pack('L')
  end

  # Replaces the key of one entry by one that is not longer.
  def set_key(entry, key)
    at = entries.fetch(entry)
    length = bytes[at, 4].unpack1('L')
    raise "key too long: #{key}" if key.bytesize > length

    bytes[at + 4, length] = key.b.ljust(length)
  end
end

golden 'basic' do |dir|
  Writers.open(dir) do |writers|
    %w[puma_0 puma_1].each_with_index do |id, i|
      writers.run(id) do |metrics|
        metrics.counter(:http_requests_total, { method: 'get', path: '/a' }, 3 + i)
        metrics.counter(:http_requests_total, { method: 'post', path: '/a' })
        metrics.counter(:boots_total)
        metrics.gauge(:workers, {}, i + 0.5)
        metrics.summary(:queue_seconds, { queue: 'mail' }, 0.1, 0.2)
        metrics.histogram(:http_seconds, { method: 'get' }, 0.004, 0.3, 2.5, 20)
        metrics.histogram(:http_seconds, { method: 'post' }, 7)
      end
    end
  end
end

golden 'gauge-modes' do |dir|
  Writers.open(dir) do |writers|
    { 'puma_0' => 2.5, 'puma_1' => -1, 'sidekiq_1' => 10 }.each do |id, value|
      writers.run(id) do |metrics|
        %i[all liveall livesum min max].each do |mode|
          metrics.gauge(:"gauge_#{mode}", { a: 'x' }, value, mode)
          metrics.gauge(:"bare_#{mode}", {}, value, mode)
        end
      end
    end
  end
end

golden 'nasty-labels' do |dir|
  labels = [
    '', ' ', 'say "hi"', 'C:\\temp\\new', 'ends in \\', '\\n', "line\nline", "a\tb", "a\rb", "nul\0", "\u0001", "\u007f",
    'äöü', '漢字', '👩‍👩‍👧', "\u2028", '</script>&', '{a="b"} 1', '["a"],["b"]', 'null', '\\u003c',
    :symbol, true, 42, -7, 2**64, 0.1, 1e20
  ]
  Writers.open(dir) do |writers|
    %w[puma_0 puma_1].each do |id|
      writers.run(id) do |metrics|
        labels.each_with_index { |label, i| metrics.counter(:nasty_total, { v: label }, i) }
        metrics.counter(:nil_total, { v: nil })
      end
    end
  end
end

golden 'script-escapes' do |dir|
  Writers.open(dir) do |writers|
    (Writers::ENCODERS.keys - [:plain]).each do |encoder|
      writers.run('puma_0', encoder: encoder) do |metrics|
        metrics.counter(:"#{encoder}_total", { v: "<a href='/ä/😀'>&\u2028</a>" })
      end
    end
  end
end

golden 'numbers' do |dir|
  numbers = [
    0, -0.0, 1, -1, 0.1, 0.1 + 0.2, 1.0 / 3, 1000, 100_000, 1_000_000, 123_456_789, 1e15, 1e16, 2**53 + 1, 1e17, 1e20, 1e21, 1e22,
    123_456_789_012_345_678, 1e300, Float::MAX, 1e-4, 1e-5, 1e-300, 5e-324, Float::INFINITY, -Float::INFINITY, Float::NAN
  ]
  Writers.open(dir) do |writers|
    writers.run('puma_0') do |metrics|
      numbers.each_with_index { |number, i| metrics.gauge(:number, { i: format('%02d', i), n: number.to_s }, number) }
      metrics.histogram(:bounds, {}, 3, buckets: [-1, 1e-05, 0.5, 2.5, 10, 100_000.0, 1e16])
    end
    # Sums are made from left to right in the order of the file names.
    { 'a' => 1e16, 'b' => 1, 'c' => -1e16 }.each do |id, value|
      writers.run(id) { |metrics| metrics.gauge(:sum_in_order, {}, value, :livesum) }
    end
    { 'a' => 1e16, 'b' => -1e16, 'c' => 1 }.each do |id, value|
      writers.run(id) { |metrics| metrics.gauge(:sum_in_other_order, {}, value, :livesum) }
    end
    # NaN is ignored wherever it stands.
    { 'a' => Float::NAN, 'b' => 1, 'c' => Float::NAN }.each do |id, value|
      writers.run(id) { |metrics| %i[min max].each { |mode| metrics.gauge(:"nan_#{mode}", {}, value, mode) } }
    end
  end
end

golden 'restarted' do |dir|
  count = lambda do |metrics|
    metrics.counter(:boots_total)
    metrics.histogram(:seconds, {}, 1, buckets: [1])
    metrics.gauge(:level, {}, 1, :livesum)
  end
  # Two live processes with one id; then both end, and one comes back.
  Writers.open(dir) { |writers| 2.times { writers.run('puma_0', hold: true, &count) } }
  Writers.open(dir) { |writers| writers.run('puma_0', &count) }
end

golden 'odd-pids' do |dir|
  names = %w[
    12345-0 puma_0-0 process_id_77-0 worker-1_0-0 a-1_b-2_c-3-0 -1-0 1-2-3 1
  ].map { |pid| "gauge_all_#{pid}.db" } + %w[
    gauge_all.db gauge-7_all_2-0.db gauge_all-3_3-0.db gauge__4-0.db gauge_most_5-0.db gauge_MAX_6-0.db
    gauge_liveall_12345-0.db gauge_all_7_.db gauge_all_x.y-0.db gauge_all_x.db.db gauge_all_größe-0.db
  ]
  names.each_with_index do |name, i|
    Writers.open(dir) { |writers| writers.run('real') { |metrics| metrics.gauge(:odd, {}, i) } }
    rename(dir, 'gauge_all_real-0.db', name)
  end
  # -0 -1 -10 -2 is the order of their names: the last one wins.
  %w[9-0 9-1 9-10 9-2].each_with_index do |pid, i|
    Writers.open(dir) { |writers| writers.run('real') { |metrics| metrics.gauge(:odd_last_wins, {}, i) } }
    rename(dir, 'gauge_all_real-0.db', "gauge_all_#{pid}.db")
  end
end

golden 'odd-names' do |dir|
  Writers.open(dir) do |writers|
    writers.run('puma_0') do |metrics|
      metrics.counter(:'requests-per.second', { 'content-type': 'a', 'x:y': 'b', '1st': 'c', größe: 'd' })
      metrics.counter(:'7up')
      metrics.counter(:'ns:sub:total', { a_1: 'x' })
      metrics.histogram(:'time spent', { 'a b': 'x' }, 1, buckets: [1])
      # Prefixes of each other: by the bytes of the keys a! stands before a.
      %i[a aa a_a a:a aA a!].each { |name| metrics.counter(name) }
    end
  end
end

golden 'own-pid' do |dir|
  Writers.open(dir) do |writers|
    %w[puma_0 puma_1].each do |id|
      writers.run(id) do |metrics|
        metrics.counter(:own_total, { pid: 'mine' })
        %i[all liveall livesum min max].each { |mode| metrics.gauge(:"own_#{mode}", { a: 'x', pid: 'mine' }, 1, mode) }
      end
    end
  end
end

golden 'same-text' do |dir|
  pairs = { nil: [nil, ''], one: [1, '1'], true: [true, 'true'], float: [1e20, '1.0e+20'] }
  Writers.open(dir) do |writers|
    %w[puma_0 puma_1].each do |id|
      writers.run(id) do |metrics|
        pairs.each do |pair, values|
          values.each_with_index do |value, i|
            metrics.counter(:same_total, { pair: pair.to_s, v: value }, 1 + i)
            %i[all livesum min max].each { |mode| metrics.gauge(:"same_#{mode}", { pair: pair.to_s, v: value }, 1 + i, mode) }
          end
        end
        [nil, ''].each { |value| metrics.histogram(:same_seconds, { v: value }, 1, buckets: [1]) }
      end
    end
    # The same text in two ways to write JSON.
    %i[plain active_support].each do |encoder|
      writers.run('sidekiq_1', encoder: encoder) { |metrics| metrics.counter(:escaped_total, { v: '<b>' }) }
    end
  end
end

golden 'two-types' do |dir|
  Writers.open(dir) do |writers|
    writers.run('puma_0') do |metrics|
      metrics.counter(:counter_and_histogram, { a: 'x' }, 2)
      metrics.counter(:counter_and_gauge_all, { a: 'x' }, 10)
      metrics.counter(:counter_and_gauge_livesum, { a: 'x' }, 10)
      metrics.summary(:summary_and_histogram, { a: 'x' }, 2)
      metrics.counter(:steady_total)
    end
    writers.run('puma_1') do |metrics|
      metrics.histogram(:counter_and_histogram, { a: 'x' }, 3, buckets: [1, 10])
      metrics.gauge(:counter_and_gauge_all, { a: 'x' }, 3)
      metrics.gauge(:counter_and_gauge_livesum, { a: 'x' }, 3, :livesum)
      metrics.histogram(:summary_and_histogram, { a: 'x' }, 3, buckets: [1, 10])
    end
  end
end

golden 'odd-shapes' do |dir|
  Writers.open(dir) do |writers|
    writers.run('puma_0') do |metrics|
      # Bounds that are not numbers, or not once each.
      metrics.histogram(:rational_seconds, {}, 2, buckets: [Rational(1, 2), Rational(5, 2)])
      metrics.histogram(:infinite_seconds, {}, 2, buckets: [1, Float::INFINITY])
      metrics.histogram(:double_seconds, {}, 2, buckets: [1, 1.0, 10, 1e1])
      # Labels that mean something in the family they are in.
      metrics.histogram(:own_le_seconds, { le: 'mine' }, 2, buckets: [1])
      metrics.summary(:own_quantile_seconds, { quantile: 'high' }, 2)
      metrics.counter(:own_both_total, { le: 'mine', quantile: 'high' })
      # A family whose name is that of another family's sample.
      metrics.histogram(:clash, { a: 'x' }, 2, buckets: [1])
      metrics.counter(:clash_count, { b: 'y' })
      metrics.summary(:clash2, { a: 'x' }, 2)
      metrics.gauge(:clash2_sum, { b: 'y' }, 1, :max)
      # Names that we, or Prometheus, need ourselves.
      metrics.counter(:gme_probe_success, { probe: 'mmap' })
    end
  end
end

golden 'unknown-type' do |dir|
  { 'foo' => %w[1 2], 'Counter' => %w[1] }.each do |type, pids|
    pids.each do |pid|
      Writers.open(dir) { |writers| writers.run(pid) { |metrics| metrics.counter(:"#{type}_total", { a: 'x' }) } }
      rename(dir, "counter_#{pid}-0.db", "#{type}_#{pid}-0.db")
    end
  end
end

golden 'ignored' do |dir|
  Writers.open(dir) do |writers|
    %w[exemplar no-part no-part_ hidden upper backup text].each do |id|
      writers.run(id) { |metrics| metrics.counter(:"ignored_#{id}") }
    end
    writers.run('1') { |metrics| metrics.counter(:read_total) }
  end
  rename(dir, 'counter_exemplar-0.db', 'exemplar_1-0.db')
  rename(dir, 'counter_no-part-0.db', 'counter.db')
  rename(dir, 'counter_no-part_-0.db', 'counter_.db')
  rename(dir, 'counter_hidden-0.db', '.counter_1-0.db')
  rename(dir, 'counter_upper-0.db', 'counter_1-0.DB')
  rename(dir, 'counter_backup-0.db', 'counter_1-0.db.bak')
  FileUtils.mkdir_p(File.join(dir, 'below.d'))
  rename(dir, 'counter_text-0.db', 'below.d/counter_1-0.db')
end

golden 'empty' do |dir|
  Writers.open(dir) do |writers|
    %w[used_0 used_8 used_4 used_12].each { |id| writers.run(id) { |metrics| metrics.counter(:"#{id}_total") } }
    writers.run('1') { |metrics| metrics.counter(:read_total) }
  end
  %w[0 4 8 12].each { |used| patch(dir, "counter_used_#{used}-0.db") { |file| file.used = used.to_i } }
  # A file is created, and only then made one page long.
  [0, 1, 7, 8, 4096].each { |size| File.binwrite(File.join(dir, "counter_size_#{size}-0.db"), "\0" * size) }
end

# Every file has the entries n = 1, 2, 3; what comes before the damage counts.
DAMAGES = {
  none: ->(_) {},
  used_beyond_file: ->(file) { file.used = file.bytes.bytesize + 8 },
  used_cuts_value: ->(file) { file.used -= 4 },
  used_cuts_key: ->(file) { file.used = file.entries.last + 10 },
  used_4_too_far: ->(file) { file.used += 4 },
  used_8_too_far: ->(file) { file.used += 8 },
  file_cut: ->(file) { file.bytes.slice!(file.entries.last + 20..) },
  length_beyond_file: ->(file) { file.set_length(1, 5000) },
  length_31_bits: ->(file) { file.set_length(1, 0x7fffffff) },
  length_32_bits: ->(file) { file.set_length(1, 0xffffffff) },
  length_overflow: ->(file) { file.set_length(1, 0xfffffff4) },
  length_0: ->(file) { file.set_length(1, 0) },
  noise: ->(file) { file.bytes.replace(Random.new(1).bytes(file.bytes.bytesize)) }
}.freeze

golden 'damaged' do |dir|
  DAMAGES.each do |damage, spoil|
    Writers.open(dir) do |writers|
      writers.run(damage.to_s) do |metrics|
        (1..3).each { |n| metrics.counter(:"#{damage}_total", { n: n }, n) }
      end
    end
    patch(dir, "counter_#{damage}-0.db", &spoil)
  end
end

BAD_KEYS = [
  'not JSON at all', '', '{}', '[]', 'null', '"bad"', '["bad","bad",["a"]]', '["bad","bad",["a"],["b"]', '["bad","bad",["a"],["b"]]]',
  '["bad","bad",["a"],["b\q"]]', "[\"bad\",\"bad\",[\"a\"],[\"b\0\"]]", "[\"bad\",\"bad\",[\"a\"],[\"b\n\"]]",
  '["bad","bad",["a","b"],["c"]]', '["bad","bad",["a"],["b","c"]]', '["bad","bad",["a","b"],[]]', '["bad","bad",[],["a","b"]]',
  '["bad","",["a"],["b"]]', '["bad","bad",[""],["b"]]', '["bad","bad",["a","a"],["b","c"]]', '[bad,bad,[a],[b]]', '[1,1,[],[]]',
  '["bad","bad",["a"],[nullx]]', "[\"bad\",\"bad\",[\"a\"],[\"\xff\"]]", "[\"bad\",\"b\xc3\",[],[]]"
].freeze
ODD_KEYS = [
  ' [ "odd" , "odd" , [ "a" ] , [ "spaces" ] ] ', '["\u006fdd","o\u0064d",["\u0061"],["escaped names"]]', '["odd","odd",["a"],["\ud83d\ude00"]]'
].freeze

golden 'bad-keys' do |dir|
  keys = BAD_KEYS + ODD_KEYS
  Writers.open(dir) do |writers|
    writers.run('1') do |metrics|
      metrics.counter(:good_total, { a: 'before' })
      keys.each_index { |i| metrics.counter(:placeholder_total, { a: "#{'long enough for the key ' * 2}#{i}" }) }
      metrics.counter(:good_total, { a: 'after' })
    end
  end
  patch(dir, 'counter_1-0.db') do |file|
    keys.each_with_index { |key, i| file.set_key(1 + i, key) }
  end
end

def rename(dir, from, to) = File.rename(File.join(dir, from), File.join(dir, to))

def patch(dir, name, &block) = Patch.file(File.join(dir, name), &block)

(ARGV.empty? ? CASES.keys : ARGV).each do |name|
  dir = File.join(__dir__, name)
  FileUtils.mkdir_p(dir)
  (Dir.children(dir) - ['want.txt']).each { |child| FileUtils.rm_r(File.join(dir, child)) }
  CASES.fetch(name).call(dir)
end
