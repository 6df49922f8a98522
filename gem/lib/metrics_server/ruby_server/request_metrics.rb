# frozen_string_literal: true

require 'prometheus/client'
require 'metrics_server/ruby_server/metrics_page'

module MetricsServer
  class RubyServer
    # Counts and times the requests to the server itself.
    class RequestMetrics
      BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10].freeze

      # Each set of labels stays in a file and on the page for ever, and anybody
      # who reaches the port could make new ones. So all paths but the page's,
      # and all methods but these, are one value: OTHER.
      METHODS = %w[get head post put patch delete options].freeze
      OTHER = 'other'

      # pid: the label that tells the servers apart.
      def initialize(app, registry:, pid:)
        @app = app
        @pid = pid
        @requests = registry.counter(:exporter_http_requests_total, 'Requests to the metrics server')
        @durations = registry.histogram(:exporter_http_request_duration_seconds,
                                        'Time that the metrics server took to answer', {}, BUCKETS)
      end

      def call(env)
        start = now
        @app.call(env).tap { |status, *| record(labels(env, status), now - start) }
      end

      private

      def record(labels, seconds)
        @requests.increment(labels)
        @durations.observe(labels, seconds)
      end

      def labels(env, status)
        method = env['REQUEST_METHOD'].to_s.downcase
        { method: METHODS.include?(method) ? method : OTHER,
          path: env['PATH_INFO'] == MetricsPage::PATH ? MetricsPage::PATH : OTHER,
          code: status.to_s,
          pid: @pid }
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
