# frozen_string_literal: true

require 'metrics_server/errors'
require 'metrics_server/ruby_server/environment'
require 'metrics_server/target'

module MetricsServer
  class RubyServer
    # The program metrics-server: runs the server as the environment says.
    class Command
      WRONG_USE = 1
      FAILED = 2

      HELP = <<~TEXT
        Usage: METRICS_SERVER_TARGET=puma metrics-server

        Serves the metrics of Puma or of Sidekiq as http://ADDRESS:PORT/metrics, in the
        foreground, until it gets the signal TERM or INT. HUP makes it reopen its log file.

        Environment:
          METRICS_SERVER_TARGET      what to serve the metrics of: puma or sidekiq (required)
          prometheus_multiproc_dir   the directory where the processes keep their metrics
                                     (default: tmp/prometheus_multiproc_dir/TARGET)
          WIPE_METRICS_DIR           true: remove the metrics of an earlier run first
                                     (default: false; never while the application runs)
          GITLAB_CONFIG              path of gitlab.yml (default: config/gitlab.yml)
          RAILS_ENV                  its section (default: development)
          METRICS_SERVER_SETTINGS    the settings as a JSON object, instead of gitlab.yml:
                                     enabled, address, port, log_enabled, tls_enabled,
                                     tls_cert_path, tls_key_path
          METRICS_SERVER_PARENT_PID  the server ends when the process with this id has ended

        Settings are read from monitoring.web_exporter (puma) or monitoring.sidekiq_exporter
        (sidekiq) of gitlab.yml. Where log_enabled is true, the log is log/web_exporter.log or
        log/sidekiq_exporter.log.

        Exit status: 0 when it was told to end or is not enabled, 1 for a wrong target or
        argument, 2 when the server cannot start; a line on stderr says why.
      TEXT

      def initialize(env, stdout: $stdout, stderr: $stderr)
        @environment = Environment.new(env)
        @stdout = stdout
        @stderr = stderr
      end

      # Returns the exit status.
      def call(arguments)
        return help if arguments.intersection(%w[-h --help]).any?
        return wrong_use("unknown argument #{arguments.first}; metrics-server --help says more") if arguments.any?

        name = @environment.target_name
        return wrong_use('METRICS_SERVER_TARGET cannot be blank') if name.empty?

        serve(name)
      end

      private

      def help
        @stdout.puts(HELP)
        0
      end

      def wrong_use(message)
        @stderr.puts(message)
        WRONG_USE
      end

      def serve(name)
        target = find_target(name) or return WRONG_USE
        load_server
        run(target)
      rescue Error => e
        @stderr.puts("metrics-server: #{e.message}")
        FAILED
      end

      # nil, after the message, for an unknown one.
      def find_target(name)
        Target.named(name)
      rescue RuntimeError => e
        wrong_use(e.message)
        nil
      end

      def load_server
        require 'metrics_server/ruby_server'
      rescue LoadError => e
        raise Error, "#{e.message}: install that gem, or add it to the Gemfile " \
                     '(needed are prometheus-client-mmap, rack, webrick, and with Rack 3 rackup).'
      end

      def run(target)
        settings = @environment.settings(target)
        # The server says so too, but in its log.
        @stderr.puts("monitoring.#{target.exporter}.enabled is false: nothing is served") unless settings.enabled
        RubyServer.new(target: target, settings: settings, **@environment.options(target)).run
        0
      end
    end
  end
end
