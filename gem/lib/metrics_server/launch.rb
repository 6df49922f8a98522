# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'rbconfig'
require 'metrics_server/child'
require 'metrics_server/filled'

module MetricsServer
  # Starts the server of one target, in each of the ways there are. All return a
  # Child, and raise Error, which says what to do, when there is nothing to start.
  class Launch
    PROGRAM = 'gitlab-metrics-exporter'
    PROBES = 'self,mmap,mmap_stats'

    # What our settings decide, also by silence: the application's environment
    # must not move the server away from where we, and Prometheus, ask for it.
    DECIDED = %w[GME_WEB_LISTEN_ADDRESS GME_WEB_SYSTEMD_SOCKET GME_CERT_FILE GME_CERT_KEY GME_LOG_FILE].freeze

    ADVICE = {
      Errno::ENOENT => 'Install it (rake "gitlab:metrics_exporter:install[dir]") and put dir/bin on the PATH of the ' \
                       'application, or name it with binary_dir, or %s.',
      Errno::EACCES => 'Let the user that runs the application read its directory and execute it, or %s.'
    }.freeze
    OTHER_ADVICE = 'If that does not pass, %s.'
    RUBY_INSTEAD = 'run the Ruby server: with golang_server = false in MetricsServer.configure, or, where that ' \
                   'is not set, without GITLAB_GOLANG_METRICS_SERVER'

    # config: a Configuration. settings: the target's ExporterSettings. A blank metrics_dir
    # is that of the configuration: never this directory, in which a server might wipe.
    def initialize(target, metrics_dir:, config:, settings:)
      @target = target
      given = Filled.of(metrics_dir) || config.metrics_dir(target)
      @metrics_dir = File.expand_path(given.to_s) # servers run elsewhere
      @config = config
      @settings = settings
    end

    # The Go server. path: the directory of its program, nil for the PATH.
    def go(path: nil)
      make_log_directory
      program = path ? File.join(path.to_s, PROGRAM) : PROGRAM
      Child.spawn(DECIDED.to_h { |name| [name, nil] }.merge(go_environment), program)
    rescue SystemCallError => e
      raise Error, "#{e.message}. #{format(ADVICE.fetch(e.class, OTHER_ADVICE), RUBY_INSTEAD)}"
    end

    # The Ruby server, as a program.
    def ruby(wipe_metrics_dir: false)
      Child.spawn(ruby_environment(wipe_metrics_dir), *ruby_command, chdir: @config.root.to_s) # where its log goes
    rescue SystemCallError => e
      raise Error, "#{e.message}. It is run in #{@config.root}: that must be the directory of the application, " \
                   "and #{own_program}, if there is one, a program that can be run."
    end

    # The Ruby server, as a copy of this process. The block runs in the copy,
    # before the server.
    def fork(wipe_metrics_dir: false, reset_signals: [])
      parent_pid = Process.pid
      Child.fork do
        reset_signals.each { |name| Signal.trap(name, 'DEFAULT') }
        yield if block_given?
        ruby_server(wipe_metrics_dir, parent_pid).run
      end
    end

    # What the Go server is told, by variables.
    def go_environment
      { 'GOGC' => '10', # GitLab's wrapper sets it; the program knows better by itself
        'GME_MMAP_METRICS_DIR' => @metrics_dir,
        'GME_PROBES' => PROBES,
        'GME_SERVER_HOST' => @settings.address,
        'GME_SERVER_PORT' => @settings.port.to_s,
        'GME_PARENT_PID' => Process.pid.to_s }.merge(log_environment, tls_environment)
    end

    private

    def log_environment
      return { 'GME_LOG_LEVEL' => 'quiet' } unless @settings.log_enabled

      { 'GME_LOG_LEVEL' => 'info', 'GME_LOG_FILE' => @config.log_file(@target) }
    end

    def tls_environment
      return {} unless @settings.tls_enabled

      { 'GME_CERT_FILE' => @settings.tls_cert_path, 'GME_CERT_KEY' => @settings.tls_key_path }
    end

    # The settings are passed on as they are here: some may come from Ruby code
    # that the server does not run. So is the directory.
    def ruby_environment(wipe)
      { 'METRICS_SERVER_TARGET' => @target.name,
        'WIPE_METRICS_DIR' => wipe ? '1' : '0',
        'GITLAB_CONFIG' => @config.config_file.to_s,
        'prometheus_multiproc_dir' => @metrics_dir,
        'METRICS_SERVER_SETTINGS' => JSON.generate(@settings.to_h),
        'METRICS_SERVER_PARENT_PID' => Process.pid.to_s,
        'RAILS_ENV' => @config.environment }.merge(bundle_environment)
    end

    # With prune_bundler Puma's primary has left the application's bundle, which has
    # the client, perhaps, and nothing else has.
    def bundle_environment
      return {} unless ENV['PUMA_BUNDLER_PRUNED']

      { 'RUBYOPT' => [ENV.fetch('RUBYOPT', nil), '-rbundler/setup'].compact.join(' ') }
    end

    # The application's own bin/metrics-server, where there is one.
    def ruby_command
      return [own_program] if File.executable?(own_program)

      [RbConfig.ruby, File.expand_path('../../exe/metrics-server', __dir__)]
    end

    def own_program
      File.join(@config.root, 'bin', 'metrics-server')
    end

    def ruby_server(wipe, parent_pid)
      require 'metrics_server/ruby_server'
      RubyServer.new(target: @target, metrics_dir: @metrics_dir, settings: @settings,
                     log_file: @config.log_file(@target), wipe: wipe, parent_pid: parent_pid)
    end

    # The server itself says what is wrong when this did not help.
    def make_log_directory
      FileUtils.mkdir_p(File.dirname(@config.log_file(@target))) if @settings.log_enabled
    rescue SystemCallError
      nil
    end
  end
end
