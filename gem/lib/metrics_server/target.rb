# frozen_string_literal: true

module MetricsServer
  # What a metrics server serves the metrics of: puma or sidekiq.
  class Target
    attr_reader :name, # 'puma', also in the names of processes and directories
                :title, # 'Puma', in messages
                :exporter, # 'web_exporter', of the settings, the log file and the server's own metrics
                :defaults # settings where gitlab.yml is silent

    def initialize(name, title:, exporter:, port:, log_enabled:)
      @name = name
      @title = title
      @exporter = exporter
      @defaults = { enabled: false, address: 'localhost', port: port, log_enabled: log_enabled,
                    tls_enabled: false, tls_cert_path: nil, tls_key_path: nil }.freeze
      freeze
    end

    ALL = [
      new('puma', title: 'Puma', exporter: 'web_exporter', port: 8083, log_enabled: true),
      new('sidekiq', title: 'Sidekiq', exporter: 'sidekiq_exporter', port: 8082, log_enabled: false)
    ].freeze

    # The target of that name; raises RuntimeError for any other.
    def self.named(name)
      ALL.find { |target| target.name == name.to_s } ||
        raise("Target must be one of [#{ALL.map(&:name).join(',')}]")
    end
  end
end
