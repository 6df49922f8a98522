# frozen_string_literal: true

require 'metrics_server/backoff'

module MetricsServer
  # What is said in the log of one supervised server. Each trouble is told once,
  # with what to do about it; the attempts that follow are silent until the
  # server has run well again.
  class Report
    def initialize(target, settings:, health:, logger:)
      @target = target
      @title = "#{target.title} metrics server"
      @settings = settings
      @health = health
      @logger = logger
      @troubled = false
    end

    def starting(pid)
      @logger.info("Starting #{@title} with pid #{pid}") unless @troubled
    end

    # The server ended, fate says how; failures counts starts in a row after
    # which it did not run well.
    def ended(fate, failures:)
      return trouble("ends soon after each start (#{fate || 'unknown status'}).", cause) if failures > 1

      @logger.warn("#{@title} terminated, restarting... (#{fate || 'unknown status'})")
    end

    # It could not even be started.
    def not_started(error)
      trouble("cannot be started: #{error.message}.", error.is_a?(Errno::ENOENT) ? missing_program : '')
    end

    def hung(pid)
      return if @troubled

      @logger.error("#{@title} does not answer on #{@settings.url}, replacing it (pid #{pid})")
    end

    # It has run well for a while.
    def stable(pid)
      return unless @troubled

      @troubled = false
      @logger.info("#{@title} runs again, with pid #{pid}")
    end

    def run_elsewhere
      @logger.info("#{@title} is run by another process of this application; taking over when that ends")
    end

    def gave_up(error)
      @logger.error("#{@title} is no longer supervised, which is a mistake in this gem: " \
                    "#{error.full_message(highlight: false)}")
    end

    private

    def trouble(what, advice)
      return if @troubled

      @troubled = true
      @logger.error("#{[@title, what, advice].join(' ').strip} It is tried again, with pauses of up to " \
                    "#{Backoff::LONGEST.to_i} s, and without further messages; the application is not affected.")
    end

    def cause
      return taken_port if @health.port_taken?

      'Its own message, on standard error or in its log file, says why.'
    end

    def taken_port
      "Another program listens on #{@settings.url}: end that, or change monitoring.#{@target.exporter}.port."
    end

    def missing_program
      'Install it (rake "gitlab:metrics_exporter:install[dir]") and put dir/bin on the PATH of the application, ' \
        'or unset GITLAB_GOLANG_METRICS_SERVER to run the Ruby server.'
    end
  end
end
