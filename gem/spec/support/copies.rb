# frozen_string_literal: true

# Copies of this process that do something, and then live on until they are killed.
module Copies
  # Returns the pid of a copy that has run the block, and what that returned, as text;
  # nil in its place if it did not return.
  def copy_of_this_process
    told, tell = IO.pipe
    pid = Process.fork do
      tell.puts(yield.to_s)
      sleep
    ensure
      Process.exit!(0)
    end
    tell.close
    [pid, told.gets&.chomp]
  ensure
    told.close
  end

  def kill(pid)
    Process.kill(:KILL, pid)
    Process.wait(pid)
  end
end
