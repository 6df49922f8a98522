# frozen_string_literal: true

# Sidekiq 6 uses what the gem redis warns of since 4.6, several times a second.
Redis.silence_deprecations = true if defined?(Redis)
