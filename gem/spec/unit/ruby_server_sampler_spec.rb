# frozen_string_literal: true

require 'prometheus/client'
require 'metrics_server/ruby_server/sampler'

RSpec.describe MetricsServer::RubyServer::Sampler do
  let(:registry) { Prometheus::Client::Registry.new }
  let(:log) { double('log', error: nil) }
  let(:stats) { { file_descriptors: 7, process_max_fds: 1024 } }
  let(:sampler) { described_class.new(registry: registry, prefix: 'web_exporter', log: log, stats: stats) }

  def value(name)
    registry.get("web_exporter_ruby_#{name}").get
  end

  it 'has a first sample when it has started' do
    sampler.start
    sampler.stop

    expect([value('file_descriptors'), value('process_max_fds')]).to eq([7, 1024])
    expect(value('gc_stat_count')).to be_between(1, GC.count)
    expect(value('sampler_duration_seconds_total')).to be_positive
    expect(registry.get('web_exporter_ruby_gc_duration_seconds').get.keys).to eq(described_class::GC_BUCKETS)
  end

  it 'follows the values' do
    sampler.sample
    stats[:file_descriptors] = 9
    sampler.sample

    expect(value('file_descriptors')).to eq(9)
  end

  it 'logs a sample that fails, and goes on' do
    failing = Class.new do
      def to_h
        raise Errno::EACCES, '/proc/self/fd'
      end
    end
    sampler = described_class.new(registry: registry, prefix: 'web_exporter', log: log, stats: failing.new)
    sampler.sample

    expect(log).to have_received(:error).with(/own process: Errno::EACCES: Permission denied/)
  end

  def collections
    registry.get('web_exporter_ruby_gc_duration_seconds').get.values.last
  end

  def without_collections
    GC.disable
    yield
  ensure
    GC.enable
    GC::Profiler.disable
  end

  it 'logs anything else that goes wrong, and goes on' do
    sampler = described_class.new(registry: registry, prefix: 'web_exporter', log: log, stats: nil)
    allow(GC).to receive(:stat).and_raise('unforeseen')
    sampler.instance_variable_set(:@stats, {})
    sampler.sample
    expect(log).to have_received(:error).with(/RuntimeError: unforeseen/)
  end

  it 'begins with one collection, whatever the process did before' do
    without_collections do
      GC::Profiler.enable
      5.times { GC.start }
      sampler.start
      sampler.stop
      expect(collections).to be_between(1, 4) # a collection may be told of in parts
    end
  end

  it 'counts each collection once' do
    without_collections do
      sampler.start
      sampler.stop
      expect { sampler.sample }.not_to(change { collections })
    end
  end
end
