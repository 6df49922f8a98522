# frozen_string_literal: true

module Shop
  # Rack middleware: counts each request once, before the client has the answer.
  class RequestMetrics
    def initialize(app)
      @app = app
      @in_flight = 0
      @mutex = Mutex.new
    end

    def call(env)
      in_flight(+1)
      elapsed = Metrics.stopwatch
      response = @app.call(env)
    ensure
      finished(env, response, elapsed.call)
      in_flight(-1)
    end

    private

    # Never the path as a label: that would make a series of each product.
    def finished(env, response, seconds)
      route = env.fetch('action_dispatch.request.path_parameters', {})
      labels = { controller: route.fetch(:controller, 'none'), action: route.fetch(:action, 'none') }

      Metrics::REQUESTS.increment(labels.merge(status: response ? response.first : 500))
      Metrics::REQUEST_SECONDS.observe(labels, seconds)
      Metrics::HEAP.set({}, GC.stat(:heap_live_slots))
    end

    # Set rather than incremented: the gauge of a worker that was killed is in
    # its file, and its successor goes on with that.
    def in_flight(change)
      @mutex.synchronize { Metrics::IN_FLIGHT.set({}, @in_flight += change) }
    end
  end
end
