# frozen_string_literal: true

require_relative '../support/exposition'

# The parser of the specs: what it lets pass no other spec sees.
RSpec.describe Exposition do
  def odd(message)
    raise_error(Exposition::Odd, message)
  end

  it 'reads families, labels and values' do
    page = described_class.new(<<~'TEXT').check_order
      # HELP a Multiprocess metric
      # TYPE a counter
      a 1
      a{x="1",b=""} 2.5e-07
      # TYPE h histogram
      h_bucket{le="1"} 1
      h_bucket{le="+Inf"} 2
      h_sum -0
      h_count 2
      # TYPE z gauge
      z{v="q\"b\\n\n}"} NaN
      z +Inf
    TEXT
    expect(page.types).to eq('a' => 'counter', 'h' => 'histogram', 'z' => 'gauge')
    expect(page.series.transform_values(&:to_s)).to eq(
      ['a', {}] => '1.0', ['a', { 'b' => '', 'x' => '1' }] => '2.5e-07', ['h_bucket', { 'le' => '1' }] => '1.0',
      ['h_bucket', { 'le' => '+Inf' }] => '2.0', ['h_sum', {}] => '-0.0', ['h_count', {}] => '2.0',
      ['z', { 'v' => "q\"b\\n\n}" }] => 'NaN', ['z', {}] => 'Infinity'
    )
    expect(page.without(/\A[az]\z/).series.keys.map(&:first).uniq).to eq(%w[h_bucket h_sum h_count])
    expect(page.without(/\Ah/).types.keys).to eq(%w[a z])
  end

  it 'reads what prometheus-client-mmap writes' do
    page = described_class.new(%(# TYPE a gauge\na{v="\\u003c\\t\\/"} Inf\na -inf\n), dialect: described_class::MMAP)
    expect(page.series).to eq(['a', { 'v' => "<\t/" }] => Float::INFINITY, ['a', {}] => -Float::INFINITY)
  end

  # What stands after "# TYPE a gauge".
  {
    'a 1' => 'does not end', "\n" => 'no name', "b 1\n" => 'not of family "a"', "a_sum 1\n" => 'not of family',
    "a  1\n" => 'not a value', "a 1 \n" => 'not a value', "a 1 1234\n" => 'not a value', "a x\n" => 'not a value',
    "a 1_0\n" => 'not a value', "a Inf\n" => 'not a value', "a{} 1\na 2\n" => 'a second line', "a\n" => 'not a value',
    "a{x=1} 1\n" => 'not a label',
    "a{x=\"1\"y=\"2\"} 1\n" => 'not a label', "a{x=\"1\",x=\"2\"} 1\n" => 'a second label',
    "a{x=\"\\t\"} 1\n" => 'not a label', "a{x=\"\\u0041\"} 1\n" => 'not a label', "a{x=\"1\",} 1\n" => 'not a label',
    "a{1x=\"1\"} 1\n" => 'not a label', "a{x=\"1\",b=\"2\"} 1\na{b=\"2\",x=\"1\"} 1\n" => 'a second line',
    "# TYPE a gauge\n" => 'a second TYPE', "# TYPE b what\n" => 'no name', "# remark\n" => 'no name',
    "# HELP a x\n# HELP a x\n" => 'a second HELP', "a{x=\"\xff\"} 1\n" => 'not UTF-8', "a\t1\n" => 'not a value'
  }.each do |text, message|
    it "refuses #{text.inspect}" do
      expect { described_class.new("# TYPE a gauge\n#{text}") }.to odd(/#{message}/)
    end
  end

  it 'refuses a sample before the first family' do
    expect { described_class.new("a 1\n") }.to odd(/not of family nil/)
  end

  {
    "# TYPE b gauge\nb 1\n# TYPE a gauge\na 1\n" => 'sorted by name',
    "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1\"} 1\nh_count 2\n" => 'do not ascend',
    "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n" => 'do not ascend',
    "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n" => 'do not end with the count',
    "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\n" => 'do not end with the count'
  }.each do |text, message|
    it "finds the order of #{text.lines.drop(1).join(' ').inspect} odd" do
      expect { described_class.new(text).check_order }.to odd(/#{message}/)
    end
  end
end
