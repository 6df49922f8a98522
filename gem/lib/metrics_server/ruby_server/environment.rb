# frozen_string_literal: true

require 'json'
require 'metrics_server/boolean'
require 'metrics_server/configuration'
require 'metrics_server/errors'
require 'metrics_server/filled'

module MetricsServer
  class RubyServer
    # What the environment tells the program metrics-server.
    class Environment
      def initialize(env)
        @env = env
        @config = Configuration.new(env: env)
      end

      # Empty when there is none.
      def target_name
        @env['METRICS_SERVER_TARGET'].to_s.strip
      end

      # From whoever started the server, or else from gitlab.yml. Raises SettingsError.
      def settings(target)
        given = Filled.of(@env['METRICS_SERVER_SETTINGS'])
        return @config.settings(target) unless given

        ExporterSettings.new(target.defaults.merge(parse(given).compact), place: "monitoring.#{target.exporter}")
      end

      # The other arguments of RubyServer.new.
      def options(target)
        { metrics_dir: @config.metrics_dir(target),
          log_file: @config.log_file(target),
          wipe: Boolean.parse(@env['WIPE_METRICS_DIR']) || false,
          parent_pid: parent_pid }
      end

      private

      def parse(text)
        values = JSON.parse(text, symbolize_names: true)
        values.is_a?(Hash) ? values : not_an_object(text)
      rescue JSON::ParserError
        not_an_object(text)
      end

      def not_an_object(text)
        raise SettingsError, "METRICS_SERVER_SETTINGS must be a JSON object, not #{text}"
      end

      def parent_pid
        text = @env['METRICS_SERVER_PARENT_PID'].to_s.strip
        return if text.empty?

        pid = Integer(text, 10, exception: false)
        pid&.positive? ? pid : raise(SettingsError, "METRICS_SERVER_PARENT_PID must be a process id, not #{text}")
      end
    end
  end
end
