# frozen_string_literal: true

module MetricsServer
  class RubyServer
    # Collects garbage after every request. A page makes much of it, and between
    # two requests nothing would make the heap small again.
    class GcAfterRequest
      def initialize(app)
        @app = app
      end

      def call(env)
        @app.call(env)
      ensure
        GC.start
      end
    end
  end
end
