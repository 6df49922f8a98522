# frozen_string_literal: true

module MetricsServer
  class RubyServer
    # Sees when the process ends for which the server runs. Nobody else would
    # end a server whose parent was killed, and it would keep the port.
    class ParentWatch
      INTERVAL = 0.5 # seconds
      PATIENCE = 5

      def initialize(pid)
        @pid = pid
        # The system gives an orphan another parent: better to go by than the
        # id, which another process may get.
        @child = Process.ppid == pid
      end

      # Calls the block when the process has ended, and ends this one when it is
      # still there some seconds later, whatever it hangs on.
      def start
        Thread.new do
          sleep(INTERVAL) until gone?
          yield
          sleep(PATIENCE)
          Process.exit!
        end
      end

      def gone?
        return Process.ppid != @pid if @child

        Process.kill(0, @pid)
        false
      rescue Errno::ESRCH
        true
      rescue Errno::EPERM # somebody else's, so it is there
        false
      end
    end
  end
end
