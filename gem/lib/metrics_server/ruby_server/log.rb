# frozen_string_literal: true

require 'fileutils'
require 'webrick'
require 'metrics_server/errors'
require 'metrics_server/ruby_server/reason'

module MetricsServer
  class RubyServer
    # The log file: lines of the server and access lines. It can be reopened
    # while others write.
    class Log
      TIME_FORMAT = '[%Y-%m-%dT%H:%M:%S.%L%z]'

      # Takes any text: of what is not in its encoding, such as the name of a
      # directory may be, WEBrick's raises.
      class ServerLog < WEBrick::Log
        private

        def format(text)
          super(text.is_a?(String) ? text.scrub : text)
        end
      end

      # Logger of the server: info, warn, error, fatal.
      attr_reader :server

      # path nil: what is logged goes nowhere.
      def initialize(path)
        @path = (path || File::NULL).to_s
        @mutex = Mutex.new
        @file = open_file
        @server = ServerLog.new(self)
        @server.time_format = TIME_FORMAT
      end

      # What WEBrick wants: where access lines go, and their format.
      def access
        [[self, WEBrick::AccessLog::COMBINED_LOG_FORMAT]]
      end

      # A full disk must not end the server, so nothing is raised.
      def <<(text)
        @mutex.synchronize { @file.write(text) }
        self
      rescue SystemCallError, IOError
        self
      end

      # After the file was moved away. Goes on with the old one if there can be
      # no new one.
      def reopen
        fresh = open_file
        old = @mutex.synchronize { @file.tap { @file = fresh } }
        old.close
        server.info('reopened the log file')
      rescue Error => e
        server.error(e.message)
      end

      def close
        @mutex.synchronize { @file.close }
      end

      private

      def open_file
        FileUtils.mkdir_p(File.dirname(@path))
        File.open(@path, 'a').tap { |file| file.sync = true }
      rescue SystemCallError => e
        raise Error, "cannot write the log file #{@path}: #{Reason.of(e)}. Let the user that runs this process " \
                     'write there, or set log_enabled to false.'
      end
    end
  end
end
