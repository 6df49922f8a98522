# frozen_string_literal: true

require_relative 'waiting'

# About servers that run as a process group of their own, for examples.
module ServerProcesses
  include Waiting

  # Whether there is such a process; a zombie is one.
  def there?(pid)
    Process.kill(0, pid)
    true
  rescue Errno::ESRCH
    false
  end

  # A signal to the group; that a server is gone already is no mistake.
  def signal_group(name, pid)
    Process.kill(name, -pid)
  rescue Errno::ESRCH
    nil
  end

  # Ends a server as GitLab's end-to-end spec does: within so many seconds, or
  # the example fails. Whoever started it reaps it: no zombie is left.
  def end_server(pid, name = :TERM, within: 10)
    signal_group(name, pid)
    wait_until("process #{pid} has ended, and is reaped", within: within) { !there?(pid) }
  end

  # Fails unless somebody can listen on the port, at once.
  def listen_on(port)
    TCPServer.new('127.0.0.1', port).close
  end
end
