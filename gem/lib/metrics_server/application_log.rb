# frozen_string_literal: true

module MetricsServer
  # All that this gem says in the log of the application. It never raises: a
  # logger that does must stop neither the supervision of a server nor what the
  # application is doing. What that one did not take goes to standard error.
  class ApplicationLog
    # The block returns the logger, and is called for each message: Rails has
    # its logger only after a while.
    def initialize(&logger)
      @logger = logger
    end

    %i[info warn error].each do |level|
      define_method(level) { |message| write(level, message) }
    end

    private

    def write(level, message)
      @logger.call.public_send(level, message)
      nil
    rescue StandardError, ScriptError, SystemStackError => e # the last of loggers that call each other
      complain(message, e)
    end

    def complain(message, error)
      $stderr.write("#{message}\n(The logger of the application failed: #{error.message} (#{error.class}).)\n")
      nil
    rescue StandardError # closed, or as broken as the logger
      nil
    end
  end
end
