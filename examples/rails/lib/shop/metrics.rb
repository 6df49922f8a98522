# frozen_string_literal: true

module Shop
  # What the shop counts. With preload_app! this is loaded in Puma's primary,
  # before it forks; each worker then writes files of its own, and the metrics
  # server adds them up.
  module Metrics
    registry = Prometheus::Client.registry

    REQUESTS = registry.counter(:shop_requests_total, 'Finished requests')
    REQUEST_SECONDS = registry.histogram(:shop_request_duration_seconds, 'Time taken by requests')
    JOBS = registry.counter(:shop_jobs_total, 'Finished jobs')
    JOB_SECONDS = registry.histogram(:shop_job_duration_seconds, 'Time taken by jobs')

    # A gauge needs a mode: it says how the values of the processes become one.
    IN_FLIGHT = registry.gauge(:shop_requests_in_flight, 'Unfinished requests', {}, :livesum)
    LAST_ORDER = registry.gauge(:shop_last_order_timestamp_seconds, 'Time of the latest order', {}, :max)
    # all: they stay apart, with a label pid.
    HEAP = registry.gauge(:shop_ruby_heap_live_slots, "Objects on Ruby's heap", {}, :all)

    # There from the start, so that a graph sees the first change.
    IN_FLIGHT.set({}, 0)

    # A function that returns how many seconds ago it was made.
    def self.stopwatch
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) - started }
    end
  end
end
