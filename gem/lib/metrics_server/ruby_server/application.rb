# frozen_string_literal: true

require 'rack'
require 'metrics_server/ruby_server/gc_after_page'
require 'metrics_server/ruby_server/metrics_page'
require 'metrics_server/ruby_server/request_metrics'
require 'metrics_server/ruby_server/unnoticed_health_check'

module MetricsServer
  class RubyServer
    # The Rack application that the server serves.
    module Application
      # log: a logger. pid: the server's name among its metrics.
      def self.build(registry:, log:, pid:)
        page = MetricsPage.new(registry: registry, log: log)
        measured = RequestMetrics.new(GcAfterPage.new(page), registry: registry, pid: pid)
        ::Rack::Deflater.new(UnnoticedHealthCheck.new(measured))
      end
    end
  end
end
