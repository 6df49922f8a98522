# frozen_string_literal: true

require_relative 'boot'

require 'rails'
require 'action_controller/railtie'

# Also the gem gitlab-metrics-server; after Rails, so that it brings its Railtie.
Bundler.require(*Rails.groups)

module Shop
  # Runs alike in every environment: what is measured here is the same there.
  class Application < Rails::Application
    config.load_defaults "#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}"
    config.api_only = true
    config.cache_classes = true
    config.eager_load = true

    $stdout.sync = true
    config.logger = ActiveSupport::Logger.new($stdout)
    config.log_level = ENV.fetch('RAILS_LOG_LEVEL', 'info').to_sym

    # In production Rails takes it from SECRET_KEY_BASE.
    config.secret_key_base = 'keeps no secrets: there are no sessions' unless Rails.env.production?
  end
end
