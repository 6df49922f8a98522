# frozen_string_literal: true

require 'metrics_server/wrapper'

module MetricsServer
  # Puma's side, version 5 to 8, which name the same hooks differently. Made
  # when Puma starts, before it loads the application; not when it reads its
  # configuration: pumactl does that too, and must not wipe anything.
  class PumaHooks
    def initialize(launcher)
      @launcher = launcher
    end

    def install
      MetricsServer.guard { MetricsServer.application.prepare('puma') }
      MetricsServer.guard { install_hooks }
    end

    private

    # Puma calls the hooks of the command line before those of the file. Ours
    # must come first: where one of the application's touches a metric, the client
    # opens the files of the worker, under the name that the worker has then.
    # (A plugin's own method config would be given the file's, too late, and Puma
    # then loses the first setting of the file.)
    def install_hooks
      @launcher.config.configure { |command_line, _, _| install_in(command_line) }
      on(@launcher.events, :after_booted, :on_booted) { start }
      on(@launcher.events, :after_stopped, :on_stopped) { stop }
    end

    # The event before a restart is fired before phased ones too; this is not.
    def install_in(options)
      on(options, :before_restart, :on_restart) { stop }
      install_in_workers(options) if clustered?
    end

    # Puma 6 would warn that there are no workers: it looks for their number in these
    # options alone, where those of the file are not.
    def install_in_workers(options)
      options.silence_fork_callback_warning if options.respond_to?(:silence_fork_callback_warning)
      on(options, :before_worker_boot, :on_worker_boot) { |number| worker_started(number) }
    end

    # Called again after a phased restart.
    def start
      MetricsServer.guard { MetricsServer.start_for_puma if wanted? }
      MetricsServer.guard { MetricsServer.application.check_client unless clustered? } # else a worker does
    end

    def wanted?
      MetricsServer.config.environment != 'test' && MetricsServer.settings('puma').enabled
    end

    # Puma may call this in a signal handler, where no lock can be taken. What a
    # thread raises may end the application, hence two guards.
    def stop
      MetricsServer.guard { Thread.new { MetricsServer.guard { MetricsServer.stop } }.join }
    end

    def worker_started(number)
      MetricsServer.guard { MetricsServer.application.worker_started(number) }
    end

    def clustered?
      @launcher.options[:workers].to_i.positive?
    end

    def on(object, newer, older, &block)
      object.public_send(object.respond_to?(newer) ? newer : older, &block)
    end
  end
end
