# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'logger'
require 'securerandom'

module MetricsServer
  # The files of the official client's DirectFileStore (of the gem
  # prometheus-client) do not say what type a metric has, its help, how the
  # values of processes add up, and which buckets a histogram has. This writes
  # that beside them, for gitlab-metrics-exporter:
  #
  #   MetricsServer::DirectFileStoreMetadata.write(dir: '/run/metrics')
  #
  # To be called once in every run of an application, when all metrics are
  # declared, and after whoever wipes the directory has wiped it. With a server
  # that forks, in its primary.
  #
  # This file needs nothing else of this gem.
  module DirectFileStoreMetadata
    NAME = 'metrics.metadata.json'
    VERSION = 1
    TYPES = %w[counter gauge histogram summary].freeze
    AGGREGATIONS = %w[sum max min all most_recent].freeze

    class << self
      # Writes what the metrics of registry are into the directory dir, at once,
      # so that nobody can read half of it. Returns whether that was possible: an
      # application must never fail because of this, so errors are logged.
      def write(dir:, registry: nil, logger: nil)
        path = File.join(dir, NAME)
        registry ||= ::Prometheus::Client.registry
        replace(path, JSON.generate(document(registry)))
        true
      rescue StandardError => e
        tell(trouble(e), logger)
        false
      end

      private

      # Metrics that have no place in such files, such as an application's own
      # kinds, are left out.
      def document(registry)
        metrics = registry.metrics.select { |metric| TYPES.include?(metric.type.to_s) }
        { version: VERSION, metrics: metrics.uniq { |metric| metric.name.to_s }.map { |metric| describe(metric) } }
      end

      def describe(metric)
        { name: metric.name.to_s, type: metric.type.to_s, help: utf8(metric.docstring),
          aggregation: aggregation(metric), buckets: buckets(metric) }.compact
      end

      # The client has no method that says this, only variables: the store of a
      # metric knows the mode, defaults included, and the metric what it was
      # declared with. nil, for the default, if neither is there.
      def aggregation(metric)
        store = metric.instance_variable_get(:@store)
        settings = metric.instance_variable_get(:@store_settings)
        mode = store.instance_variable_get(:@values_aggregation_mode) ||
               (settings[:aggregation] if settings.respond_to?(:key?))
        mode.to_s if AGGREGATIONS.include?(mode.to_s)
      end

      # nil for metrics that are no histograms.
      def buckets(metric)
        bounds(metric.buckets) if metric.type.to_s == 'histogram' && metric.respond_to?(:buckets)
      end

      # The bounds as the client spells them in the label le; only those that are
      # numbers to others than Ruby, and of equal ones the first.
      def bounds(buckets)
        texts = buckets.map(&:to_s).select { |text| Float(text, exception: false)&.finite? }
        texts.uniq(&:to_f).sort_by(&:to_f)
      end

      def utf8(text)
        text.to_s.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
      end

      # A name that begins with a dot is nobody's metrics, should this process
      # end before it has another.
      def replace(path, content)
        draft = File.join(File.dirname(path), ".#{NAME}.#{Process.pid}.#{SecureRandom.hex(4)}")
        File.open(draft, File::WRONLY | File::CREAT | File::EXCL, 0o644) { |file| file.write(content) }
        File.rename(draft, path)
      ensure
        FileUtils.rm_f(draft)
      end

      # In one line: Ruby adds some that show the code.
      def trouble(error)
        "Metrics server: the metadata of metrics cannot be written: #{error.message.lines.first&.chomp} " \
          "(#{error.class}). Without it, types are guessed, and what cannot be is untyped."
      end

      # A logger that raises is no reason to do so here.
      def tell(trouble, logger)
        (logger || default_logger).warn(trouble)
      rescue StandardError
        nil
      end

      def default_logger
        MetricsServer.respond_to?(:config) ? MetricsServer.config.logger : Logger.new($stderr)
      end
    end
  end
end
