# frozen_string_literal: true

require 'json'
require 'strscan'

# A page in the text format, read strictly: whatever is odd raises, and names
# the line.
#
#   page = Exposition.new(text)
#   page.types  # => { 'http_requests_total' => 'counter', ... }
#   page.series # => { ['http_requests_total', { 'code' => '200' }] => 3.0, ... }
class Exposition
  class Odd < StandardError
  end

  # How label values are escaped, and how numbers are written.
  TEXT = {
    escape: /\\[\\"n]/,
    unescape: ->(raw) { raw.gsub(/\\./, '\\\\' => '\\', '\\"' => '"', '\\n' => "\n") },
    number: /(?:[+-]Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)/
  }.freeze
  # As prometheus-client-mmap writes them: escapes are those of its JSON keys,
  # and versions differ in how they write infinity.
  MMAP = {
    escape: %r{\\(?:["\\/bfnrt]|u\h{4})},
    unescape: ->(raw) { JSON.parse("[\"#{raw}\"]").first },
    number: /(?:[+-]?[Ii]nf|-?[Nn]a[Nn]|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)/
  }.freeze

  METRIC = /[a-zA-Z_:][a-zA-Z0-9_:]*/
  LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/
  # What may come after a family's name in the names of its samples.
  SUFFIXES = { 'counter' => [''], 'gauge' => [''], 'untyped' => [''], 'summary' => ['', '_sum', '_count'],
               'histogram' => %w[_bucket _sum _count] }.freeze

  attr_reader :types, :series

  def initialize(text, dialect: TEXT)
    @dialect = dialect
    @types = {}
    @helps = []
    @series = {}
    raise Odd, 'not UTF-8' unless text.encoding == Encoding::UTF_8 && text.valid_encoding?
    raise Odd, 'the last line does not end' unless text.empty? || text.end_with?("\n")

    read(text)
  end

  # Those of the families whose name the pattern does not match.
  def without(pattern)
    dup.tap { |copy| copy.remove(pattern) }
  end

  # Raises unless families are sorted by name, and each histogram is whole: its
  # buckets ascend, the last is infinity and holds the count.
  def check_order
    raise Odd, 'families are not sorted by name' unless types.keys == types.keys.sort

    types.select { |_, type| type == 'histogram' }.each_key { |family| check_histogram(family) }
    self
  end

  protected

  def remove(pattern)
    gone = types.select { |family, _| family.match?(pattern) }
    names = gone.flat_map { |family, type| SUFFIXES.fetch(type).map { |suffix| family + suffix } }
    @types = types.except(*gone.keys)
    @series = series.reject { |(name, _), _| names.include?(name) }
  end

  private

  def read(text)
    # Only \n ends a line: labels may hold what else Ruby takes for blank.
    text.split("\n", -1)[0..-2].each.with_index(1) do |line, number|
      read_line(StringScanner.new(line))
    rescue Odd => e
      raise Odd, "line #{number}, #{line.inspect[0, 300]}: #{e.message}"
    end
  end

  def read_line(line)
    if line.scan(/# HELP (#{METRIC}) /o)
      help(line[1])
    elsif line.scan(/# TYPE (#{METRIC}) (#{SUFFIXES.keys.join('|')})\z/o)
      type(line[1], line[2])
    else
      sample(line)
    end
  end

  def help(family)
    raise Odd, 'a second HELP' if @helps.include?(family)

    @helps << family
  end

  def type(family, type)
    raise Odd, 'a second TYPE' if types.key?(family)

    types[@family = family] = type
  end

  def sample(line)
    name = line.scan(METRIC) or raise Odd, 'no name'
    raise Odd, "not of family #{@family.inspect}" unless of_family?(name)

    labels = line.scan('{') ? labels(line) : {}
    line.scan(/ (#{@dialect[:number]})\z/) or raise Odd, "not a value: #{line.rest.inspect}"
    raise Odd, 'a second line for the series' if series.key?([name, labels])

    series[[name, labels]] = number(line[1])
  end

  def of_family?(name)
    @family && SUFFIXES.fetch(types[@family]).any? { |suffix| name == @family + suffix }
  end

  def labels(line)
    labels = {}
    until line.scan('}')
      name, value = label(line, labels.empty? ? '' : ',')
      raise Odd, "a second label #{name}" if labels.key?(name)

      labels[name] = value
    end
    labels.sort.to_h
  end

  def label(line, separator)
    line.scan(/#{separator}(#{LABEL})="((?:[^"\\]|#{@dialect[:escape]})*)"/) or
      raise Odd, "not a label: #{line.rest.inspect}"
    [line[1], @dialect[:unescape].call(line[2])]
  end

  def number(text)
    case text
    when /\A-inf\z/i then -Float::INFINITY
    when /inf/i then Float::INFINITY
    when /nan/i then Float::NAN
    else Float(text)
    end
  end

  def check_histogram(family)
    buckets(family).each do |labels, bounds|
      bounds_in_order = bounds.map { |bound, _| number(bound) }
      values = bounds.map(&:last)
      raise Odd, "buckets of #{family} #{labels} do not ascend" unless
        bounds_in_order == bounds_in_order.sort && values == values.sort
      raise Odd, "buckets of #{family} #{labels} do not end with the count" unless
        bounds.last == ['+Inf', series[["#{family}_count", labels]]]
    end
  end

  # { labels without le => [[bound, value], ...] }
  def buckets(family)
    found = series.select { |(name, _), _| name == "#{family}_bucket" }
    grouped = found.group_by { |(_, labels), _| labels.except('le') }
    grouped.transform_values { |group| group.map { |(_, labels), value| [labels.fetch('le'), value] } }
  end
end
