# frozen_string_literal: true

require 'metrics_server/errors'
require 'metrics_server/metrics_directory'
require 'metrics_server/target'

module MetricsServer
  # This process, as one of those whose metrics are served: where it writes
  # them, and under which name. Names are the same in every run (puma_0, not a
  # pid), because files and, of gauges, series are named after them.
  class Application
    attr_reader :directory

    def initialize(config, env: ENV)
      @config = config
      @env = env
    end

    # To be called in the primary, before it or any process forked from it
    # touches a metric: target is 'puma' or 'sidekiq'. The first call decides;
    # others do nothing.
    def prepare(target)
      return if @target

      require 'prometheus/client'
      target = Target.named(target)
      use(MetricsDirectory.new(@config.metrics_dir(target)))
      @target = target
      write_to(@directory.path)
    end

    # For a process of the application that is neither Puma's nor Sidekiq's, such
    # as a rake task: if it writes metrics to the directory, then by its name.
    def take_name
      return if @env['prometheus_multiproc_dir'].to_s.empty?

      require 'prometheus/client'
      ::Prometheus::Client.configuration.pid_provider = method(:process_name)
    end

    # To be called in a worker that Puma forked, with its number.
    def worker_started(number)
      @worker = number
      ::Prometheus::Client.reinitialize_on_pid_change if @target
    end

    # For a forked server: it does not count as a user of the directory.
    def leave
      @directory&.forget
    end

    # sidekiq-cluster wipes the directory, runs the server, and starts several
    # processes like this one.
    def clustered_sidekiq?
      !@env['ENABLE_SIDEKIQ_CLUSTER'].to_s.empty?
    end

    # puma_master, puma_0, sidekiq, sidekiq_0, or process_123 outside of both.
    def process_name
      case @target&.name
      when 'puma' then "puma_#{@worker || 'master'}"
      when 'sidekiq' then ['sidekiq', *@env['SIDEKIQ_WORKER_ID']].reject(&:empty?).join('_')
      else "process_#{Process.pid}"
      end
    end

    private

    def use(directory)
      directory.use(wipe: !clustered_sidekiq?)
      @directory = directory
    rescue SystemCallError => e
      raise Error, "the metrics directory #{directory.path} cannot be used (#{e.message}). Let this user write " \
                   'there, or set prometheus_multiproc_dir to another directory.'
    end

    def write_to(path)
      @env['prometheus_multiproc_dir'] = path # of children too, and of a client that is not loaded yet
      client = ::Prometheus::Client.configuration
      client.pid_provider = method(:process_name)
      client.multiprocess_files_dir = path
    end
  end
end
