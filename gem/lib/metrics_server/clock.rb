# frozen_string_literal: true

module MetricsServer
  # Monotonic time in seconds, and a wait that can be cut short.
  class Clock
    def initialize
      @mutex = Mutex.new
      @woken = ConditionVariable.new
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Waits so many seconds, or until somebody calls wake, or now and then less.
    def wait(seconds)
      @mutex.synchronize { @woken.wait(@mutex, seconds) }
    end

    def wake
      @mutex.synchronize { @woken.broadcast }
    end
  end
end
