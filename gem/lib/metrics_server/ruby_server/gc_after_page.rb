# frozen_string_literal: true

require 'metrics_server/ruby_server/metrics_page'

module MetricsServer
  class RubyServer
    # Collects garbage after every page. It makes much of it, and between two
    # scrapes nothing would make the heap small again. Other answers make none
    # that is worth the time.
    class GcAfterPage
      def initialize(app)
        @app = app
      end

      def call(env)
        @app.call(env)
      ensure
        GC.start if env['PATH_INFO'] == MetricsPage::PATH
      end
    end
  end
end
