# frozen_string_literal: true

module Shop
  # Sidekiq middleware: counts each execution of a job once, failed ones too.
  class JobMetrics
    def call(job, _payload, _queue)
      elapsed = Metrics.stopwatch
      result = 'failed'
      yield
      result = 'done'
    ensure
      # Some versions of prometheus-client-mmap want no label `job`.
      labels = { job_class: job.class.name }
      Metrics::JOBS.increment(labels.merge(result: result))
      Metrics::JOB_SECONDS.observe(labels, elapsed.call)
      Metrics::HEAP.set({}, GC.stat(:heap_live_slots))
    end
  end
end
