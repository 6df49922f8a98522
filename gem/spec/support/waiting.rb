# frozen_string_literal: true

# Waits for what another process does: until a block returns something true,
# with a deadline.
module Waiting
  STEP = 0.05 # seconds

  def wait_until(what, within: 15)
    deadline = monotonic + within
    loop do
      value = yield
      return value if value
      raise "waited #{within} s in vain: #{what}" if monotonic > deadline

      sleep STEP
    end
  end

  def monotonic
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
