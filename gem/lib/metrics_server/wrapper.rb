# frozen_string_literal: true

require 'metrics_server/application'
require 'metrics_server/configuration'
require 'metrics_server/direct_file_store_metadata'
require 'metrics_server/errors'
require 'metrics_server/health_check'
require 'metrics_server/launch'
require 'metrics_server/report'
require 'metrics_server/supervisor'
require 'metrics_server/target'
require 'metrics_server/version'

# Runs a metrics server beside Puma or Sidekiq. The server reads the files into
# which the processes of the application write their metrics, and serves one
# page for all of them. It is gitlab-metrics-exporter, written in Go, when the
# variable GITLAB_GOLANG_METRICS_SERVER is true, and a server in Ruby otherwise.
#
# The methods of this module are those of GitLab's class of the same name. An
# application needs none of them: the Railtie, the Puma plugin and the Sidekiq
# hooks call them.
module MetricsServer
  class << self
    # What can be set; see Configuration.
    def config
      @config ||= Configuration.new
    end

    def configure
      yield config
    end

    # The settings of a target's server; see ExporterSettings. Raises
    # SettingsError.
    def settings(target)
      config.settings(Target.named(target))
    end

    # This process; see Application.
    def application
      @application ||= Application.new(config)
    end

    # The version of the Go server that the rake task installs.
    def version
      require 'metrics_server/installer'
      Installer.default_version(config.root)
    end

    # web_exporter or sidekiq_exporter. (Without an argument: the module's name.)
    def name(target = nil)
      target ? Target.named(target).exporter : super()
    end

    # Starts a server and returns its pid. path is the directory of the Go
    # server's program; options that only the Ruby server knows are ignored for
    # the Go server, and the other way round. Raises RuntimeError for an unknown
    # target, SettingsError, and Error when there is no program.
    def spawn(target, metrics_dir:, path: config.binary_dir, **options)
      return spawn_ruby_server(target, metrics_dir: metrics_dir, **options) unless config.golang_server?

      launch(target, metrics_dir).go(path: path).pid
    end

    # Starts the Ruby server as a program, and returns its pid.
    def spawn_ruby_server(target, metrics_dir:, wipe_metrics_dir: false, **)
      launch(target, metrics_dir).ruby(wipe_metrics_dir: wipe_metrics_dir).pid
    end

    # Starts the Ruby server as a copy of this process, and returns its pid.
    def fork(target, metrics_dir:, wipe_metrics_dir: false, reset_signals: [])
      options = { wipe_metrics_dir: wipe_metrics_dir, reset_signals: reset_signals }
      launch(target, metrics_dir).fork(**options) { application.leave }.pid
    end

    # Starts the server of Sidekiq, without supervision, and returns its pid.
    def start_for_sidekiq(metrics_dir:, **options)
      return spawn('sidekiq', metrics_dir: metrics_dir, **options) if config.golang_server?

      fork('sidekiq', metrics_dir: metrics_dir, **options)
    end

    # Runs and supervises the server of Puma, from now on until stop.
    def start_for_puma
      supervise('puma')
    end

    # Runs and supervises a target's server, always as a program: a copy of this
    # process would have its signal handlers, until hooks of others have run that may
    # hang, and TERM would reach the application. Its files are where the Prometheus
    # client writes them. Does nothing when one is supervised already.
    def supervise(target)
      supervisors[target] ||= supervisor(Target.named(target)).start
    end

    # Stops all servers that this process supervises, and waits for their end.
    def stop
      supervisors.each_value(&:stop)
      supervisors.clear
    end

    # Runs the block. The application must never fail because of us: errors are
    # logged.
    def guard
      yield
    rescue StandardError, ScriptError => e
      config.log.error("Metrics server: #{e.message}#{" (#{e.class})" unless e.is_a?(Error)}")
      nil
    end

    private

    def supervisors
      return @supervisors if @supervisors

      at_exit { guard { stop } }
      @supervisors = {}
    end

    def supervisor(target)
      settings = config.settings(target)
      launch = Launch.new(target, metrics_dir: client_dir, config: config, settings: settings)
      health = HealthCheck.new(settings)
      report = Report.new(target, settings: settings, health: health, log: config.log)
      Supervisor.new(health: health, report: report, claim: claim(target)) do
        config.golang_server? ? launch.go(path: config.binary_dir) : launch.ruby
      end
    end

    def claim(target)
      directory = application.directory or return -> { true }
      -> { directory.claim(target.name) }
    end

    def client_dir
      require 'prometheus/client'
      ::Prometheus::Client.configuration.multiprocess_files_dir
    end

    def launch(target, metrics_dir)
      Launch.new(Target.named(target), metrics_dir: metrics_dir, config: config, settings: settings(target))
    end
  end
end
