# frozen_string_literal: true

# Starts the metrics server when Puma has booted, and stops it with Puma.
plugin :metrics_server

environment ENV.fetch('RAILS_ENV', 'development')
bind "tcp://127.0.0.1:#{ENV.fetch('PORT', 3000)}"

workers ENV.fetch('WEB_CONCURRENCY', 2)
threads_count = ENV.fetch('RAILS_MAX_THREADS', 5)
threads threads_count, threads_count

# The application is loaded once, before the workers are forked. Phased restarts
# (USR1), where each worker loads it anew, are only there without.
preload_app! ENV['PRELOAD'] != '0'
