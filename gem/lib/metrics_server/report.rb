# frozen_string_literal: true

require 'metrics_server/backoff'

module MetricsServer
  # What is said in the log of one supervised server. Each trouble is told once,
  # with what to do about it; the attempts that follow are silent until the
  # server has run well again.
  class Report
    OWN_MESSAGE = 'Its own message, on standard error or in its log file, says why.'

    # log: an ApplicationLog, which never raises.
    def initialize(target, settings:, health:, log:)
      @target = target
      @title = "#{target.title} metrics server"
      @settings = settings
      @health = health
      @log = log
      @troubled = @hung = @elsewhere = false
    end

    def starting(pid)
      @hung = false
      @log.info("Starting #{@title} with pid #{pid}") unless @troubled
    end

    # The server ended, fate says how; failures counts starts in a row after
    # which it did not run well.
    def ended(fate, failures:)
      return trouble(*what_recurs(fate)) if failures > 1

      @log.warn("#{@title} terminated, restarting... (#{fate || 'unknown status'})")
    end

    # It could not even be started.
    def not_started(error)
      trouble("cannot be started: #{error.message.delete_suffix('.')}.")
    end

    # It is about to be ended by us.
    def hung(pid)
      @hung = true
      return if @troubled

      @log.error("#{@title} does not answer on #{@settings.url}, replacing it (pid #{pid})")
    end

    # It has run well for a while.
    def stable(pid)
      return unless @troubled

      @troubled = false
      @log.info("#{@title} runs again, with pid #{pid}")
    end

    # Said once, too.
    def run_elsewhere
      return if @elsewhere

      @elsewhere = true
      @log.info("#{@title} is run by another process of this application; taking over when that ends")
    end

    def gave_up(error)
      @log.error("#{@title} is no longer supervised, which is a mistake in this gem: " \
                 "#{error.full_message(highlight: false)}")
    end

    private

    # What it does again and again, and what to do about that.
    def what_recurs(fate)
      return ["does not answer on #{@settings.url}, however often it is replaced.", OWN_MESSAGE] if @hung

      ["ends soon after each start (#{fate || 'unknown status'}).", cause]
    end

    def trouble(what, advice = '')
      return if @troubled

      @troubled = true
      @log.error("#{[@title, what, advice].join(' ').strip} It is tried again, with pauses of up to " \
                 "#{Backoff::LONGEST.to_i} s, and without further messages; the application is not affected.")
    end

    def cause
      return OWN_MESSAGE unless @health.port_taken?

      "Another program listens on #{@settings.url}: end that, or change monitoring.#{@target.exporter}.port."
    end
  end
end
