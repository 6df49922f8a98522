# frozen_string_literal: true

require 'metrics_server/wrapper'

module MetricsServer
  # Sidekiq's side, version 6 to 8. The server runs until the process exits:
  # what jobs count while Sidekiq shuts down is served too.
  module SidekiqHooks
    # To be called while the application boots, before it touches a metric.
    def self.install
      MetricsServer.guard { MetricsServer.application.prepare('sidekiq') }
      MetricsServer.guard { ::Sidekiq.configure_server { |config| config.on(:startup) { start } } }
    end

    def self.start
      MetricsServer.guard { MetricsServer.supervise('sidekiq') if wanted? }
      MetricsServer.guard { MetricsServer.application.check_client }
    end

    # sidekiq-cluster runs the server for its processes. Embedded in Puma, what jobs
    # count is on Puma's page.
    def self.wanted?
      application = MetricsServer.application
      return false if application.clustered_sidekiq? || application.target&.name == 'puma'

      MetricsServer.settings('sidekiq').enabled
    end
    private_class_method :wanted?
  end
end
