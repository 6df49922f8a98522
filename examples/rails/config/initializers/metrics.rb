# frozen_string_literal: true

# When initializers run, the gem has told the Prometheus client where to write.
# (lib is not reloaded: a metric is registered once in the life of a process.)
require 'shop/metrics'
require 'shop/request_metrics'
require 'shop/job_metrics'

# In front of everything: it counts what the client is given, error pages too.
Rails.application.config.middleware.insert_before 0, Shop::RequestMetrics

Sidekiq.configure_server do |config|
  config.server_middleware { |chain| chain.add Shop::JobMetrics }
end
