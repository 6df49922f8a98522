# frozen_string_literal: true

require 'metrics_server/boolean'
require 'metrics_server/errors'
require 'metrics_server/filled'

module MetricsServer
  # The settings of one target's server, checked: what gitlab.yml calls
  # web_exporter or sidekiq_exporter. Values are read as settings.port or
  # settings['port']. Immutable.
  class ExporterSettings
    KEYS = %i[enabled address port log_enabled tls_enabled tls_cert_path tls_key_path].freeze
    # Names of addresses that mean every interface.
    ANYWHERE = ['', '*', '0.0.0.0', '::', '[::]'].freeze

    attr_reader(*KEYS)

    # values: Hash with the keys above, as symbols. place: what the settings are
    # called in messages ('monitoring.web_exporter'). root: the directory that paths are
    # relative to; nil: where the process is. Raises SettingsError.
    def initialize(values, place:, root: nil)
      @place = place
      @root = root
      @enabled = boolean(values, :enabled)
      @address = host(values[:address])
      @port = port_number(values[:port])
      @log_enabled = boolean(values, :log_enabled)
      @tls_enabled = boolean(values, :tls_enabled)
      @tls_cert_path = path(values, :tls_cert_path)
      @tls_key_path = path(values, :tls_key_path)
      freeze
    end

    def [](key)
      to_h[key.to_sym]
    end

    def to_h
      KEYS.to_h { |key| [key, public_send(key)] }
    end

    # Where this machine reaches the server: an address that can be connected to.
    def reachable_address
      return '127.0.0.1' if ANYWHERE.include?(address)

      address.delete_prefix('[').delete_suffix(']')
    end

    # 'http://localhost:8083', for messages and for asking the server.
    def url
      host = reachable_address
      "#{tls_enabled ? 'https' : 'http'}://#{host.include?(':') ? "[#{host}]" : host}:#{port}"
    end

    private

    def boolean(values, key)
      parsed = Boolean.parse(values[key])
      wrong(key, values[key], 'must be true or false') if parsed.nil?
      parsed
    end

    # A colon alone stands before a port, several are an IPv6 address.
    def host(value)
      text = value.to_s.strip
      wrong(:address, value, 'must be a host name or an IP address (* for all interfaces), without the port') unless
        text.match?(/\A\[?[\w.:%*-]*\]?\z/) && text.count(':') != 1
      text
    end

    def port_number(value)
      number = Integer(value.to_s, 10, exception: false)
      wrong(:port, value, 'must be a number from 1 to 65535') unless number&.between?(1, 65_535)
      number
    end

    # Only read where TLS is on; then it has to be there.
    def path(values, key)
      value = Filled.of(values[key])
      wrong(key, values[key], "must be the path of a PEM file, because #{@place}.tls_enabled is true") if
        @tls_enabled && value.nil?
      value && File.expand_path(value.to_s, @root)
    rescue ArgumentError => e # a null byte, or ~ and the name of nobody
      wrong(key, value.to_s, "that can't be a path: #{e.message}") if @tls_enabled
    end

    def wrong(key, value, rule)
      raise SettingsError, "#{@place}.#{key} is #{value.inspect}, but #{rule}"
    end
  end
end
