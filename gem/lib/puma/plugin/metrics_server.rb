# frozen_string_literal: true

require 'puma/plugin'
require 'metrics_server/puma_hooks'

# In config/puma.rb: plugin :metrics_server
Puma::Plugin.create do
  def start(launcher)
    MetricsServer::PumaHooks.new(launcher).install
  end
end
