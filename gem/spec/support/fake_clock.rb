# frozen_string_literal: true

# Time that passes only when somebody waits. What is to happen at a moment is
# told beforehand.
class FakeClock
  attr_reader :now

  def initialize
    @now = 0.0
    @events = []
  end

  def at(time, &event)
    @events << [time, event]
    @events.sort_by!(&:first)
  end

  def wait(seconds)
    @now += seconds
    @events.shift.last.call while @events.any? && @events.first.first <= @now
  end

  def wake; end
end
