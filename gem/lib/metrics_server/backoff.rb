# frozen_string_literal: true

module MetricsServer
  # How long to wait before a server that ended is started again: not at all
  # when it had run well, longer and longer when it ends soon after every start.
  class Backoff
    STABLE = 30.0 # seconds that a server must run for its start to count as a success
    LONGEST = 60.0 # seconds between two attempts

    # Starts in a row that failed.
    attr_reader :failures

    def initialize
      @failures = 0
    end

    # Takes note that a server ended that had run so long, and returns the
    # seconds to wait.
    def ended_after(seconds)
      @failures = seconds >= STABLE ? 0 : @failures + 1
      @failures.zero? ? 0.0 : [2.0**(@failures - 1), LONGEST].min
    end
  end
end
