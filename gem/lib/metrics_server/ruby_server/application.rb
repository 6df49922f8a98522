# frozen_string_literal: true

require 'rack'
require 'metrics_server/ruby_server/gc_after_request'
require 'metrics_server/ruby_server/metrics_page'
require 'metrics_server/ruby_server/request_metrics'

module MetricsServer
  class RubyServer
    # The Rack application that the server serves.
    module Application
      # log: a logger. pid: the server's name among its metrics.
      def self.build(registry:, log:, pid:)
        page = MetricsPage.new(registry: registry, log: log)
        measured = RequestMetrics.new(GcAfterRequest.new(page), registry: registry, pid: pid)
        ::Rack::Deflater.new(measured)
      end
    end
  end
end
