# frozen_string_literal: true

require 'prometheus/client'
require 'metrics_server/ruby_server/process_stats'
require 'metrics_server/ruby_server/reason'

module MetricsServer
  class RubyServer
    # Metrics of the process that the server runs in, measured from time to time.
    # Names begin with the server's: web_exporter_ruby_file_descriptors.
    class Sampler
      INTERVAL = 60 # seconds
      GC_BUCKETS = [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1].freeze

      def initialize(registry:, prefix:, log:, stats: ProcessStats.new)
        @registry = registry
        @prefix = "#{prefix}_ruby"
        @log = log
        @stats = stats
        @gauges = {}
        @duration = registry.counter(:"#{@prefix}_sampler_duration_seconds_total", 'Time spent on these measurements')
        @gc_duration = registry.histogram(:"#{@prefix}_gc_duration_seconds", 'Time of each garbage collection',
                                          {}, GC_BUCKETS)
      end

      # Returns after the first sample.
      def start
        GC::Profiler.enable
        GC::Profiler.clear # a copy of a process has what that one measured
        GC.start # much was loaded; and so there is a first collection to show
        sample
        @thread = Thread.new { loop { sleep(INTERVAL) && sample } }
      end

      def stop
        @thread&.kill
      end

      def sample
        start = now
        @stats.to_h.each { |name, value| set(name, value) }
        GC.stat.each { |name, value| set("gc_stat_#{name}", value) }
        observe_collections
        @duration.increment({}, now - start)
      rescue StandardError => e
        @log.error("cannot measure the server's own process: #{e.class}: #{Reason.of(e)}")
      end

      private

      def set(name, value)
        @gauges[name] ||= @registry.gauge(:"#{@prefix}_#{name}", "Ruby: #{name}", {}, :all)
        @gauges[name].set({}, value)
      end

      def observe_collections
        GC::Profiler.raw_data.each { |collection| @gc_duration.observe({}, collection[:GC_TIME]) }
        GC::Profiler.clear
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
