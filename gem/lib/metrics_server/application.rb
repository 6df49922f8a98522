# frozen_string_literal: true

require 'metrics_server/errors'
require 'metrics_server/filled'
require 'metrics_server/metrics_directory'
require 'metrics_server/target'

module MetricsServer
  # This process, as one of those whose metrics are served: where it writes
  # them, and under which name. Names are the same in every run (puma_0, not a
  # pid), because files and, of gauges, series are named after them.
  class Application
    MOVED = 'Metrics server: the application has set multiprocess_files_dir of the Prometheus client to %<dir>s, but ' \
            'its metrics belong into %<ours>s, where they are wiped at the start, and served. Remove the setting, ' \
            'and that of pid_provider: this gem makes both. Another directory is set as prometheus_multiproc_dir.'

    LATE = 'Metrics server: metrics_dir is %<late>s now, but metrics are written to %<ours>s since the start, and ' \
           'served from there. Set it before: for Puma in config/puma.rb, with MetricsServer.configure.'

    STALE = 'Metrics server: %<count>d files of an earlier run cannot be removed, and are served too: %<error>s'

    # Set beside prometheus_multiproc_dir when that is not the operator's, but ours.
    CHOSEN = 'METRICS_SERVER_CHOSEN_DIR'

    # target is nil in a process that was not prepared.
    attr_reader :directory, :target

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
      # What Puma chose is not for a Sidekiq that it starts, whose jobs would be on
      # both pages, nor for its successor in another release.
      @env.delete('prometheus_multiproc_dir') if @env['prometheus_multiproc_dir'] == @env.delete(CHOSEN)
      use(MetricsDirectory.new(@config.metrics_dir(target)), target)
      @target = target
      write_to(@directory.path)
    end

    # For a process of the application that is neither Puma's nor Sidekiq's, such
    # as a rake task: if it writes metrics to the directory, then by its name, and its
    # files stay for as long as it lives. Does nothing where prepare did all that.
    def take_name
      dir = Filled.of(@env['prometheus_multiproc_dir'])
      return if @target || dir.nil?

      require 'prometheus/client'
      @directory = MetricsDirectory.new(dir).join
      ::Prometheus::Client.configuration.pid_provider = method(:process_name)
    end

    # To be called in a worker that Puma forked, with its number.
    def worker_started(number)
      @worker = number
      return unless @target

      be_called("puma_#{number}")
      @directory.disclaim
      @directory.create # gone with an old release, while its primary lives: the client would raise into requests
      ::Prometheus::Client.reinitialize_on_pid_change
      check_client
    end

    # To be called when the application is loaded. It may have told the client
    # itself where to write, as it had to without us: then the page is empty, or
    # has what earlier runs left. One of the processes says so, once.
    def check_client
      return if @checked || !@target || @worker.to_i.positive?

      dir = ::Prometheus::Client.configuration.multiprocess_files_dir.to_s
      return warn_of(MOVED, dir: dir) unless ours?(dir)

      late = @config.metrics_dir(@target)
      warn_of(LATE, late: late) unless ours?(late)
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

    # puma_master, puma_0, sidekiq, sidekiq_0, or process_123 outside of both. A
    # process that one of these forked has a name of its own: it would else count
    # in its parent's files, where one undoes what the other counts, and set its
    # parent's gauges. The client asks when the fork touches a metric.
    def process_name
      return "process_#{Process.pid}" unless @target

      take_name_of_fork unless @named == Process.pid
      @name
    end

    private

    def ours?(dir)
      dir == @directory.path || File.identical?(dir, @directory.path)
    end

    def warn_of(text, **values)
      @checked = true
      @config.log.warn(format(text, ours: @directory.path, **values))
    end

    def be_called(name)
      @named = Process.pid
      @name = @own_name = name
    end

    # The client asks in one thread at a time.
    def take_name_of_fork
      @named = Process.pid
      @directory.disclaim
      @name = @directory.take_name(numbered("#{@own_name}_fork"))
    rescue SystemCallError, IOError # no directory any more, or no more open files
      @name = "process_#{@named}"
    end

    # With an id from whoever started several processes it is as GitLab has it.
    # Otherwise they number themselves, whoever comes first.
    def take_sidekiq_name(directory)
      id = @env['SIDEKIQ_WORKER_ID'].to_s
      given = "sidekiq_#{id}" unless id.empty?
      taken = directory.take_name(given ? [given] : numbered('sidekiq'))
      be_called(given || taken)
    end

    def numbered(name)
      (0..).lazy.map { |number| number.zero? ? name : "#{name}_#{number}" }
    end

    def use(directory, target)
      stale = [].tap { |list| directory.use(wipe: !clustered_sidekiq?) { |error| list << error.message } }
      @config.log.warn(format(STALE, count: stale.size, error: stale.first)) if stale.any?
      target.name == 'sidekiq' ? take_sidekiq_name(directory) : be_called('puma_master')
      @directory = directory
    rescue SystemCallError => e
      raise Error, "the metrics directory #{directory.path} cannot be used (#{e.message}). Let this user write " \
                   'there, or set prometheus_multiproc_dir to another directory.'
    end

    def write_to(path)
      @env[CHOSEN] = path unless File.expand_path(@env['prometheus_multiproc_dir'].to_s, @config.root) == path
      @env['prometheus_multiproc_dir'] = path # of children too, and of a client that is not loaded yet
      client = ::Prometheus::Client.configuration
      client.pid_provider = method(:process_name)
      client.multiprocess_files_dir = path
      ::Prometheus::Client.reinitialize_on_pid_change(force: true) # of metrics that were touched too early
    end
  end
end
