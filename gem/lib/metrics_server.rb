# frozen_string_literal: true

require 'metrics_server/wrapper'
# Apart from the wrapper: Puma's primary may load that one before there is Rails.
require 'metrics_server/railtie' if defined?(Rails::Railtie)
