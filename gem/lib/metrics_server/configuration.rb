# frozen_string_literal: true

require 'logger'
require 'metrics_server/application_log'
require 'metrics_server/boolean'
require 'metrics_server/errors'
require 'metrics_server/exporter_settings'
require 'metrics_server/filled'
require 'metrics_server/settings_file'
require 'metrics_server/target'

module MetricsServer
  # Everything that can be set, from Ruby:
  #
  #   MetricsServer.configure do |config|       # or config.metrics_server in a Rails application
  #     config.web_exporter.port = 9083
  #   end
  #
  # What is nil or blank here comes from the environment, from config/gitlab.yml,
  # or has a default. To be set while an application boots, by one thread.
  class Configuration
    # Overrides the settings of one exporter; see ExporterSettings for the keys.
    Overrides = Struct.new(*ExporterSettings::KEYS)

    SWITCH = 'GITLAB_GOLANG_METRICS_SERVER'

    attr_writer :environment, :config_file, :metrics_dir, :binary_dir, :logger

    # true: the Go server, false: the Ruby server, nil: what the variable
    # GITLAB_GOLANG_METRICS_SERVER says.
    attr_writer :golang_server

    attr_reader :web_exporter, :sidekiq_exporter

    def initialize(env: ENV)
      @env = env
      @web_exporter = Overrides.new
      @sidekiq_exporter = Overrides.new
      @unknown = []
    end

    # A relative one is below where the process is now.
    def root=(dir)
      @root = Filled.of(dir) && File.absolute_path(dir.to_s)
    end

    # The application's directory: without Rails, the one it was started in, also
    # when it is somewhere else by now.
    def root
      @root || (defined?(::Rails.root) && ::Rails.root&.to_s) || (@started_in ||= Dir.pwd)
    end

    # The Rails environment.
    def environment
      Filled.of(@environment)&.to_s || (defined?(::Rails.env) && ::Rails.env.to_s) ||
        Filled.of(@env['RAILS_ENV']) || Filled.of(@env['RACK_ENV']) || 'development'
    end

    # Path of gitlab.yml, absolute.
    def config_file
      below_root(Filled.of(@config_file) || Filled.of(@env['GITLAB_CONFIG']) || 'config/gitlab.yml')
    end

    # The directory where the processes of a target keep their metrics, absolute.
    def metrics_dir(target)
      dir = Filled.of(@metrics_dir) || Filled.of(@env['prometheus_multiproc_dir']) ||
            "tmp/prometheus_multiproc_dir/#{target.name}"
      below_root(dir)
    end

    # Directory of the Go server's program, absolute; nil: the PATH.
    def binary_dir
      dir = Filled.of(@binary_dir)
      dir && below_root(dir)
    end

    def log_file(target)
      File.join(root, 'log', "#{target.exporter}.log")
    end

    def golang_server?
      [@golang_server, @env[SWITCH]].map { |value| Boolean.parse(value) }.compact.first || false
    end

    def logger
      @logger || (defined?(::Rails.logger) && ::Rails.logger) || (@default_logger ||= Logger.new($stderr))
    end

    # Where this gem says what it has to say: in that logger, safely.
    def log
      @log ||= ApplicationLog.new { logger }
    end

    # The settings of a target's server. Raises SettingsError, whose message
    # names the wrong setting.
    def settings(target)
      place = "monitoring.#{target.exporter}"
      from_file = SettingsFile.new(config_file, environment: environment).exporter(target.exporter)
      warn_of_unknown(from_file.keys - ExporterSettings::KEYS, place)
      from_ruby = overrides(target).to_h.compact
      ExporterSettings.new(target.defaults.merge(from_file.compact, from_ruby), place: place, root: root)
    end

    private

    # Where a process is by now says nothing of what was meant.
    def below_root(path)
      File.expand_path(path.to_s, root)
    rescue ArgumentError => e # a null byte, or ~ and the name of nobody
      raise SettingsError, "#{path.to_s.inspect} can't be a path: #{e.message}"
    end

    def overrides(target)
      target.name == 'puma' ? web_exporter : sidekiq_exporter
    end

    # Most likely misspelt. Each is told once, however often settings are read.
    def warn_of_unknown(keys, place)
      unknown = keys.map { |key| "#{place}.#{key}" } - @unknown
      @unknown.concat(unknown)
      unknown.each do |name|
        log.warn("#{config_file}: #{name} is unknown and ignored; known are #{ExporterSettings::KEYS.join(', ')}")
      end
    end
  end
end
