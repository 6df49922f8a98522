# frozen_string_literal: true

require 'metrics_server/errors'

module MetricsServer
  # A metrics server as its parent sees it: a process with a group of its own,
  # which a thread reaps as soon as it ends. In a forked copy of the parent it
  # looks ended.
  class Child
    # Seconds between TERM and KILL: for so long a server that hangs keeps Puma or
    # Sidekiq from ending. Both servers end within two.
    GRACE = 5

    attr_reader :pid

    # Starts a program; command is a path, or a name to look for in PATH.
    # Raises SystemCallError when there is none.
    def self.spawn(env, command, *arguments, **options)
      # The pair says that it is a program, not a line for a shell.
      # It gets none of the application's sockets, which Puma leaves open for its successor.
      new(Process.spawn(env, [command, command], *arguments, in: File::NULL, pgroup: true, close_others: true,
                                                             **options))
    end

    # Runs the block in a copy of this process that leaves nothing of what the
    # parent does at its end undone twice: neither at_exit nor buffers.
    def self.fork(&block)
      parent = Process.pid
      pid = Process.fork { run_and_leave(&block) }
      join_group(pid)
      new(pid)
    ensure
      # In the copy, hooks of others run before the block, and one may have raised.
      Process.exit!(1) unless Process.pid == parent
    end

    def self.run_and_leave
      status = 1
      Process.setpgid(0, 0)
      yield
      status = 0
    rescue SystemExit => e
      status = e.status
    rescue SignalException => e
      status = 128 + e.signo
    rescue Exception => e # rubocop:disable Lint/RescueException -- nothing may pass into the parent's code
      status = 2 if e.is_a?(Error)
      $stderr.write("#{e.is_a?(Error) ? 'metrics-server' : e.class}: #{e.message}\n")
    ensure
      Process.exit!(status)
    end
    private_class_method :run_and_leave

    # The child does the same: whoever comes first. So the group is there for
    # both from the beginning.
    def self.join_group(pid)
      Process.setpgid(pid, pid)
    rescue SystemCallError
      nil
    end
    private_class_method :join_group

    def initialize(pid)
      @pid = pid
      @reaper = Process.detach(pid)
    rescue ThreadError # there can be no more threads, and without one nobody would own the process
      put_down
      raise
    end

    def alive?
      @reaper.alive?
    end

    # 'exit status 2', 'signal 9', or nil while it runs, or if somebody else
    # reaped it (Puma reaps every child of its primary).
    def fate
      status = @reaper.value unless alive?
      return unless status

      status.signaled? ? "signal #{status.termsig}" : "exit status #{status.exitstatus}"
    end

    # TERM, and KILL when it is still there after so many seconds. To the whole
    # group, and nothing at all to a process that was reaped: its number may
    # belong to somebody else by now.
    def stop(grace: GRACE)
      signal(:TERM)
      return if @reaper.join(grace)

      signal(:KILL)
      @reaper.join(grace)
    end

    private

    def signal(name)
      Process.kill(name, -pid) if alive?
    rescue SystemCallError
      nil # gone in this moment
    end

    # Without a reaper.
    def put_down
      Process.kill(:KILL, -pid)
      Process.wait(pid)
    rescue SystemCallError
      nil # somebody else reaped it
    end
  end
end
