# frozen_string_literal: true

require 'metrics_server/wrapper'

module MetricsServer
  # Sidekiq's side, version 6 to 8. The server runs until the process exits:
  # what jobs count while Sidekiq shuts down is served too.
  module SidekiqHooks
    # Signals that Sidekiq handles and a forked server must not.
    SIGNALS = %w[INT TERM TTIN TSTP USR1 USR2 HUP].freeze

    # To be called while the application boots, before it touches a metric.
    def self.install
      MetricsServer.guard { MetricsServer.application.prepare('sidekiq') }
      MetricsServer.guard { ::Sidekiq.configure_server { |config| config.on(:startup) { start } } }
    end

    def self.start
      MetricsServer.guard { supervise if wanted? }
      MetricsServer.guard { MetricsServer.application.check_client }
    end

    # sidekiq-cluster runs the server for its processes.
    def self.wanted?
      !MetricsServer.application.clustered_sidekiq? && MetricsServer.settings('sidekiq').enabled
    end
    private_class_method :wanted?

    def self.supervise
      config = MetricsServer.config
      MetricsServer.supervise('sidekiq') do |launch|
        next launch.go(path: config.binary_dir) if config.golang_server?

        launch.fork(reset_signals: SIGNALS) { MetricsServer.application.leave }
      end
    end
    private_class_method :supervise
  end
end
