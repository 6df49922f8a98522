# frozen_string_literal: true

require 'prometheus/client/rack/exporter'
require 'metrics_server/ruby_server/reason'

module MetricsServer
  class RubyServer
    # /metrics: the metrics of all processes, put together from their files. Any
    # other path is not found.
    class MetricsPage
      PATH = '/metrics'
      NOT_FOUND = ->(_env) { [404, { 'content-length' => '0' }, []] }

      def initialize(registry:, log:)
        @exporter = ::Prometheus::Client::Rack::Exporter.new(NOT_FOUND, registry: registry, path: PATH)
        @log = log
      end

      # Names of headers in lower case: Rack 3 wants them so, Rack 2 takes any.
      def call(env)
        status, headers, body = @exporter.call(env)
        [status, headers.transform_keys(&:downcase), body]
      rescue StandardError => e
        failed("#{e.class}: #{Reason.of(e)}")
      end

      private

      # One damaged file must not end the server: it may be gone the next time.
      def failed(reason)
        @log.error("cannot read the metrics: #{reason}")
        [500, { 'content-type' => 'text/plain' }, ["cannot read the metrics: #{reason}\n"]]
      end
    end
  end
end
