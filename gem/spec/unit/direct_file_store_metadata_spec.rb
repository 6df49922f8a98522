# frozen_string_literal: true

require 'logger'
require 'stringio'
require 'metrics_server/direct_file_store_metadata'

# With objects that have the shape of those in the source of prometheus-client.
# That gem is not among Debian's packages, cannot be fetched where these specs
# are run, and cannot be loaded together with prometheus-client-mmap, whose names
# it has.
RSpec.describe MetricsServer::DirectFileStoreMetadata do
  # The client keeps the aggregation where no method shows it.
  let(:store_class) do
    Class.new do
      def initialize(mode)
        @values_aggregation_mode = mode
      end
    end
  end
  let(:metric_class) do
    Class.new do
      attr_reader :name, :type, :docstring

      def initialize(name, type, docstring, store, settings)
        @name = name
        @type = type
        @docstring = docstring
        @store = store
        @store_settings = settings
      end
    end
  end
  let(:histogram_class) { Class.new(metric_class) { attr_accessor :buckets } }
  let(:log) { StringIO.new }
  let(:logger) { Logger.new(log, formatter: ->(level, _, _, text) { "#{level} #{text}\n" }) }
  let(:path) { File.join(tmp, 'metrics.metadata.json') }

  def metric(name, type, mode: :sum, help: 'Help', settings: {})
    metric_class.new(name, type, help, store_class.new(mode), settings)
  end

  def histogram(name, buckets)
    histogram_class.new(name, :histogram, 'Help', store_class.new(:sum), {}).tap { |it| it.buckets = buckets }
  end

  def registry(*metrics)
    Struct.new(:metrics).new(metrics)
  end

  def write(*metrics, dir: tmp)
    described_class.write(dir: dir, registry: registry(*metrics), logger: logger)
  end

  # What the file says of the metrics, by name.
  def written(*metrics)
    expect(write(*metrics)).to be(true)
    JSON.parse(File.read(path))['metrics'].to_h { |fields| [fields.delete('name'), fields] }
  end

  it 'writes a document that gitlab-metrics-exporter reads' do
    expect(write(metric(:orders_total, :counter, help: 'Orders'), histogram(:seconds, [0.1, 1]))).to be(true)
    expect(JSON.parse(File.read(path))).to eq(
      'version' => 1,
      'metrics' => [
        { 'name' => 'orders_total', 'type' => 'counter', 'help' => 'Orders', 'aggregation' => 'sum' },
        { 'name' => 'seconds', 'type' => 'histogram', 'help' => 'Help', 'aggregation' => 'sum', 'buckets' => %w[0.1 1] }
      ]
    )
    expect(log.string).to eq('')
  end

  it 'is called as the README says' do
    stub_const('Prometheus::Client', Struct.new(:registry).new(registry(metric(:a, :gauge))))
    expect(described_class.write(dir: tmp)).to be(true)
    expect(File.read(path)).to include('"a"')
  end

  it 'writes the mode that a metric has, and the default of the client with it' do
    modes = %i[sum max min all most_recent]
    gauges = modes.map { |mode| metric(mode, :gauge, mode: mode, settings: { aggregation: :other }) }
    expect(written(*gauges).transform_values { |fields| fields['aggregation'] })
      .to eq(modes.to_h { |mode| [mode.to_s, mode.to_s] })
  end

  it 'falls back on what the metric was declared with' do
    declared = metric(:a, :gauge, mode: nil, settings: { aggregation: :max })
    expect(written(declared)['a']).to include('aggregation' => 'max')
  end

  {
    'with another store' => ->(it) { it.instance_variable_set(:@store, Object.new) },
    'without a store' => ->(it) { it.remove_instance_variable(:@store) },
    'without settings' => ->(it) { %i[@store @store_settings].each { |name| it.remove_instance_variable(name) } },
    'with settings of another shape' => lambda { |it|
      it.remove_instance_variable(:@store)
      it.instance_variable_set(:@store_settings, 7)
    },
    'with a mode that nobody knows' => lambda { |it|
      it.instance_variable_set(:@store, nil)
      it.instance_variable_set(:@store_settings, { aggregation: :average })
    }
  }.each do |what, change|
    it "leaves the default to the reader for a metric #{what}" do
      expect(written(metric(:a, :gauge).tap(&change))['a']).to eq('type' => 'gauge', 'help' => 'Help')
    end
  end

  {
    'integers and fractions' => [[0.005, 0.1, 1, 2.5, 10], %w[0.005 0.1 1 2.5 10]],
    'floats that are whole' => [[1.0, 10.0], %w[1.0 10.0]],
    'very small and very large ones' => [[1e-7, 1e16], %w[1.0e-07 1.0e+16]],
    'negative ones' => [[-1.5, 0], %w[-1.5 0]],
    'none' => [[], []],
    'what only Ruby reads' => [[Rational(1, 2), 1, Float::INFINITY, Float::NAN], %w[1]],
    'equal ones' => [[1, 1.0, 1, 2], %w[1 2]],
    'unsorted ones' => [[10, 9], %w[9 10]]
  }.each do |what, (buckets, texts)|
    it "writes bounds as the client prints them: #{what}" do
      expect(written(histogram(:h, buckets))['h']['buckets']).to eq(texts)
    end
  end

  it 'leaves the bounds out when the histogram does not tell them' do
    expect(written(metric(:h, :histogram))['h']).not_to have_key('buckets')
  end

  it 'leaves out metrics of the application that are of no known type' do
    expect(written(metric(:a, :info), metric(:b, :counter)).keys).to eq(%w[b])
  end

  it 'names nothing twice' do
    expect(written(metric(:a, :gauge), metric('a', :counter))).to match('a' => include('type' => 'gauge'))
  end

  it 'takes any help' do
    helps = ["two\nlines \"quoted\"", 'größe', "\xff".b, "half \xC3", :symbol, nil]
    metrics = helps.each_with_index.map { |help, n| metric("m#{n}", :counter, help: help) }
    expect(written(*metrics).values.map { |fields| fields['help'] })
      .to eq(["two\nlines \"quoted\"", 'größe', '�', 'half �', 'symbol', ''])
  end

  it 'writes an empty list when there are no metrics' do
    expect(written).to eq({})
  end

  it 'replaces an older file at once, for everybody to read, and leaves nothing else' do
    write(metric(:old, :gauge))
    old = File.open(path)
    write(metric(:new, :gauge))
    expect(old.read).to include('"old"')
    expect(File.read(path)).not_to include('"old"')
    expect(Dir.children(tmp)).to eq(['metrics.metadata.json'])
    expect(File.stat(path).mode & 0o777).to eq(0o644 & ~File.umask)
  ensure
    old&.close
  end

  it 'is not among what the client looks for' do
    write(metric(:a, :gauge))
    expect(Dir.glob('metric_*___*', base: tmp)).to eq([])
    expect(Dir.glob('*.bin', base: tmp)).to eq([])
  end

  describe 'when something is wrong' do
    def warning
      log.string.tap { |text| expect(text.lines.size).to eq(1) }
    end

    it 'says so and goes on without a directory' do
      expect(write(dir: File.join(tmp, 'missing'))).to be(false)
      expect(warning).to start_with('WARN Metrics server: the metadata of metrics cannot be written: No such file')
      expect(warning).to end_with("(Errno::ENOENT). Without it, types are guessed, and what cannot be is untyped.\n")
    end

    it 'leaves nothing behind when the file cannot be replaced' do
      Dir.mkdir(path)
      expect(write).to be(false)
      expect(warning).to include('Errno::EISDIR')
      expect(Dir.children(tmp)).to eq(['metrics.metadata.json'])
    end

    it 'leaves the old file as it was when the disk is full' do
      write(metric(:old, :gauge))
      allow(File).to receive(:rename).and_raise(Errno::ENOSPC)
      expect(write(metric(:new, :gauge))).to be(false)
      expect(File.read(path)).to include('"old"')
      expect(Dir.children(tmp)).to eq(['metrics.metadata.json'])
    end

    it 'does not raise when there is no client' do
      hide_const('Prometheus')
      expect(described_class.write(dir: tmp, logger: logger)).to be(false)
      expect(warning).to include('Prometheus (NameError)')
    end

    it 'does not raise when the registry is none' do
      expect(described_class.write(dir: tmp, registry: Object.new, logger: logger)).to be(false)
      expect(described_class.write(dir: nil, registry: registry, logger: logger)).to be(false)
    end

    it 'does not raise when the logger does' do
      broken = Logger.new(log, formatter: ->(*) { raise 'the formatter is broken' })
      expect(described_class.write(dir: '/nonexistent', registry: registry, logger: broken)).to be(false)
    end

    it 'says it where the gem says everything' do
      allow(MetricsServer).to receive(:config).and_return(Struct.new(:logger).new(logger))
      expect(described_class.write(dir: '/nonexistent', registry: registry)).to be(false)
      expect(warning).to include('Errno::ENOENT')
    end
  end

  # An application of the official client may load this file and nothing else.
  it 'needs nothing else of the gem' do
    script = 'p MetricsServer::DirectFileStoreMetadata.write(dir: ARGV[0]), MetricsServer.constants, ' \
             '$LOADED_FEATURES.grep(/prometheus/)'
    load_path = File.expand_path('../../lib', __dir__)
    command = [RbConfig.ruby, '-I', load_path, '-r', 'metrics_server/direct_file_store_metadata', '-e', script, tmp]
    output = IO.popen([{ 'RUBYOPT' => nil }, *command, { err: %i[child out] }], &:read)
    expect(output).to match(/WARN.*Prometheus \(NameError\)\. Without/)
    expect(output).to end_with("false\n[:DirectFileStoreMetadata]\n[]\n")
  end

  it 'is not hindered by another that writes at the same time' do
    FileUtils.touch("#{tmp}/.metrics.metadata.json")
    registry = double(metrics: [metric(:a, :counter)])
    expect(described_class.write(dir: tmp, registry: registry, logger: logger)).to be(true)
  end
end
