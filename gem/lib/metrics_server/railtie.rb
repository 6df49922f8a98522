# frozen_string_literal: true

require 'rails/railtie'
require 'metrics_server/wrapper'

module MetricsServer
  # In a Rails application: config.metrics_server is the Configuration, there
  # are rake tasks, and metrics go to their place before an initializer of the
  # application can touch one.
  class Railtie < ::Rails::Railtie
    config.metrics_server = MetricsServer.config

    rake_tasks { load File.expand_path('tasks/metrics_exporter.rake', __dir__) }

    config.after_initialize { MetricsServer.guard { MetricsServer.application.check_client } }

    initializer 'metrics_server.prepare', before: :load_config_initializers do
      if defined?(::Rails::Server) # boots the application before Puma; that may load Sidekiq's CLI, to embed it
        MetricsServer.guard { MetricsServer.application.prepare('puma') }
      elsif defined?(::Sidekiq::CLI)
        require 'metrics_server/sidekiq_hooks'
        SidekiqHooks.install
      else
        # Does nothing where the Puma plugin has prepared this process.
        MetricsServer.guard { MetricsServer.application.take_name }
      end
    end
  end
end
