# frozen_string_literal: true

require 'prometheus/client'
require 'metrics_server/errors'
require 'metrics_server/metrics_directory'
require 'metrics_server/ruby_server/application'
require 'metrics_server/ruby_server/http_server'
require 'metrics_server/ruby_server/log'
require 'metrics_server/ruby_server/parent_watch'
require 'metrics_server/ruby_server/reason'
require 'metrics_server/ruby_server/sampler'
require 'metrics_server/ruby_server/signals'

module MetricsServer
  # The metrics server in Ruby. It takes over the process that it runs in: the
  # signals, the title, and the configuration of the Prometheus client.
  class RubyServer
    # target: a Target. settings: its ExporterSettings. wipe: remove the metric
    # files of an earlier run first. parent_pid: the server ends with that process.
    def initialize(target:, metrics_dir:, settings:, log_file:, wipe: false, parent_pid: nil)
      @target = target
      @directory = MetricsDirectory.new(metrics_dir)
      @settings = settings
      @place = "monitoring.#{target.exporter}"
      @log_file = log_file
      @wipe = wipe
      @parent_pid = parent_pid
      @events = Thread::Queue.new
    end

    # Serves until TERM or INT, or until the parent has ended. Returns at once
    # when the settings say that there is to be no server. Raises Error when it
    # cannot start.
    def run
      take_over_process
      @log = Log.new(@settings.log_enabled ? @log_file : nil)
      serve_if_enabled
    rescue Error => e
      @log&.server&.fatal(e.message)
      raise
    ensure
      @log&.close
    end

    private

    def take_over_process
      Signals.deliver_to(@events)
      Process.setproctitle(@target.exporter)
      ParentWatch.new(@parent_pid).start { @events << :stop } if @parent_pid
    end

    def serve_if_enabled
      return @log.server.info("#{@place}.enabled is false: nothing is served") unless @settings.enabled

      configure_client
      serve(::Prometheus::Client::Registry.new)
    end

    # The client would make a temporary directory before it can be told another.
    def configure_client
      ENV['prometheus_multiproc_dir'] = @directory.path
      exporter = @target.exporter
      ::Prometheus::Client.configure do |client|
        client.multiprocess_files_dir = @directory.path
        client.pid_provider = -> { exporter }
        client.logger = @log.server
      end
    end

    # The application's registry is left alone: this process may be a copy of
    # one of the application's. First the port: who does not get it must not
    # wipe the directory of the server that has it.
    def serve(registry)
      app = Application.build(registry: registry, log: @log.server, pid: @target.exporter)
      server = HttpServer.new(app, settings: @settings, place: @place, log: @log)
      prepare_directory
      sampler = Sampler.new(registry: registry, prefix: @target.exporter, log: @log.server)
      sampler.start
      server.start { @events << :stop }
      @log.server.info("serving #{@settings.url}#{MetricsPage::PATH} from #{@directory.path}")
      handle_events
      server.stop
    ensure
      sampler&.stop
    end

    def prepare_directory
      @directory.create
      @directory.wipe { |error| @log.server.warn("a file of an earlier run stays: #{error.message}") } if @wipe
    rescue SystemCallError => e
      raise Error, "cannot make the metrics directory #{@directory.path}: #{Reason.of(e)}. " \
                   'Set prometheus_multiproc_dir to a directory that this user may write.'
    end

    def handle_events
      @log.reopen while @events.pop == :reopen_log
    end
  end
end
