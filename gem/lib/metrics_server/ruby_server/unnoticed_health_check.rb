# frozen_string_literal: true

require 'metrics_server/ruby_server/metrics_page'

module MetricsServer
  class RubyServer
    # Whoever supervises the server asks every few seconds whether it answers. It
    # does, as for any path that it does not know; but that is no request of
    # anybody's: counted and logged, it would hide those that are.
    class UnnoticedHealthCheck
      # HealthCheck's, which is not loaded here: it needs a client for HTTP and TLS.
      PATH = '/-/healthy'

      def initialize(app)
        @app = app
      end

      def call(env)
        env['PATH_INFO'] == PATH ? MetricsPage::NOT_FOUND.call(env) : @app.call(env)
      end
    end
  end
end
