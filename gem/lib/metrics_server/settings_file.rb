# frozen_string_literal: true

require 'date'
require 'erb'
require 'yaml'
require 'metrics_server/errors'

module MetricsServer
  # config/gitlab.yml: YAML with ERB, one section for each Rails environment,
  # and in it the settings of the exporters:
  #
  #   production:
  #     monitoring:
  #       web_exporter:
  #         enabled: true
  class SettingsFile
    def initialize(path, environment:)
      @path = path.to_s
      @environment = environment.to_s
    end

    # The settings of one exporter, as a Hash with symbols for keys; empty where
    # the file or the section is missing. Raises SettingsError when the file
    # cannot be read, or is not made as above.
    def exporter(name)
      monitoring = section(section(document, @environment, @environment), 'monitoring', "#{@environment}.monitoring")
      section(monitoring, name, "#{@environment}.monitoring.#{name}").transform_keys { |key| key.to_s.to_sym }
    end

    private

    def section(parent, key, place)
      value = parent[key]
      return {} if value.nil?

      value.is_a?(Hash) ? value : raise(SettingsError, "#{@path}: #{place} must hold settings, not #{value.inspect}")
    end

    def document
      return {} unless File.exist?(@path)

      text = ERB.new(File.read(@path, encoding: 'UTF-8')).result # whatever the locale
      parsed = YAML.safe_load(text, aliases: true, permitted_classes: [Symbol, Date, Time], filename: @path) || {}
      parsed.is_a?(Hash) ? parsed : raise(SettingsError, "#{@path}: must hold a section for each Rails environment")
    rescue SettingsError
      raise
    rescue StandardError, ScriptError => e # of the file, of its YAML, of its ERB
      raise SettingsError, "#{@path}: #{e.message.lines.first&.strip&.delete_prefix("(#{@path}): ")}"
    end
  end
end
