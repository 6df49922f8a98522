# frozen_string_literal: true

# random.rb DIR SEED: a random application. The same seed writes the same files.

require_relative '../../../testdata/writers'

srand(Integer(ARGV.fetch(1)))

def chance(share) = rand < share

# No two of these read the same once they are text: nil and "" do, so each
# label gets one of the two.
TEXTS = [
  'x', 'y z', '"', '\\', "\n", "\t", "\0", 'ü', '😀', '</b>&', '\\u0041', 'null', '[1]', "\u2028", 'long ' * 60,
  true, false, 1, -5, 2**65, 2.5, 1e20, :symbol
].freeze
RUNES = [*' '..'~', "\n", "\t", "\r", "\0", "\e", 'é', 'ж', '語', '😀', "\u2029"].freeze

def pool
  texts = TEXTS.sample(1 + rand(5))
  rand(4).times { texts << Array.new(rand(20)) { RUNES.sample }.join }
  texts << [nil, ''].sample if chance(0.3)
  texts.uniq(&:to_s)
end

def number
  case rand(10)
  when 0..3 then rand(1000)
  when 4..6 then rand - 0.3
  when 7 then (rand - 0.5) * 10.0**rand(-320..308)
  when 8 then Random.bytes(8).unpack1('d')
  else [0.1, -0.0, 1e16, -1e16, 2**70, 5e-324, Float::MAX, Float::INFINITY, -Float::INFINITY, Float::NAN].sample
  end
end

def positive
  value = number
  value.negative? ? -value : value
end

# NaN and the sign of zero in min and max have tests of their own.
def ordered
  value = number
  value.to_f.nan? || value.zero? ? 1 : value
end

BUCKETS = [
  Prometheus::Client::Histogram::DEFAULT_BUCKETS, [1], [0.5, 1, 2, 10, 100], [-1, 0, 1], [1e-05, 0.1, 100_000.0, 1e16], []
].freeze
KINDS = %i[counter counter summary histogram all liveall livesum min max].freeze
LABELS = %i[a b c le_ zz Method _x pid2].freeze

Family = Struct.new(:kind, :name, :labels, :buckets) do
  def self.random(index)
    kind = KINDS.sample
    labels = LABELS.sample(rand(4)).to_h { |label| [label, pool] }
    new(kind, :"#{%w[a m m_ z:].sample}#{index}_#{kind}", labels, BUCKETS.sample)
  end

  def write(metrics)
    set = labels.transform_values { |texts| texts.sample }
    case kind
    when :counter then metrics.counter(name, set, positive)
    when :summary then metrics.summary(name, set, number)
    when :histogram then metrics.histogram(name, set, number, number, buckets: buckets)
    when :min, :max then metrics.gauge(name, set, ordered, kind)
    else metrics.gauge(name, set, number, kind)
    end
  end
end

IDS = %w[puma_0 puma_1 puma_10 puma_2 puma_master process_id_77 4711 worker-1_0 worker-2_0 a-b].freeze

families = Array.new(1 + rand(15)) { |index| Family.random(index) }
encoder = Writers::ENCODERS.keys.sample

Writers.open(ARGV.fetch(0)) do |writers|
  (1 + rand(6)).times do
    # Or each process would draw the same numbers.
    seed = rand(2**32)
    writers.run(IDS.sample, encoder: encoder, hold: chance(0.6)) do |metrics|
      srand(seed)
      rand(400).times { families.sample.write(metrics) }
    end
  end
end
