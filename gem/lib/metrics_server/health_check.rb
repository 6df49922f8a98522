# frozen_string_literal: true

require 'net/http'
require 'openssl'
require 'timeout'

module MetricsServer
  # Asks a server whether it is there. Whatever it answers, it lives: the Ruby
  # server answers 404, a protected one 401.
  class HealthCheck
    PATH = '/-/healthy'
    TIMEOUT = 5 # seconds, each to connect and to answer

    def initialize(settings, timeout: TIMEOUT)
      @settings = settings
      @timeout = timeout
    end

    # Seconds until it was our turn three times, after which it is the application that is slow.
    STARVED = 1

    # What this process may lack. It is no fault of the server's that nobody can ask it.
    LACKING = [ThreadError, Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM].freeze

    # True also as long as it cannot be asked. One that dribbles its answer does not
    # count, nor hold us for ever.
    def answers?
      Timeout.timeout(2 * @timeout) { client.start { |http| http.get(PATH) } }
      true
    rescue *LACKING
      true
    rescue StandardError # refused, reset, timed out, not HTTP
      lacking?
    end

    # Whether anybody listens on the server's port.
    def port_taken?
      Socket.tcp(@settings.reachable_address, @settings.port, connect_timeout: 1, &:itself)
      true
    rescue StandardError
      false
    end

    private

    # The alarm of the inner time-out may come after the outer one's: where we are late.
    def lacking?
      !able_to_ask? || starved?
    rescue Timeout::Error
      true
    end

    # Names are not found either without descriptors.
    def able_to_ask?
      File.open(File::NULL, &:fileno)
    rescue *LACKING
      false
    end

    # Whether other threads of the application keep Ruby so busy that we are late for
    # any answer: each of twenty that compute gets a tenth of a second before our turn.
    def starved?
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      3.times { sleep(0.001) } # one may come by luck
      Process.clock_gettime(Process::CLOCK_MONOTONIC) - started > STARVED
    end

    # No proxy, and no check of the certificate: the server is our own, and its
    # certificate is for the name that Prometheus uses.
    def client
      http = Net::HTTP.new(@settings.reachable_address, @settings.port, nil)
      http.open_timeout = http.read_timeout = @timeout
      http.max_retries = 0
      http.use_ssl = @settings.tls_enabled
      http.verify_mode = OpenSSL::SSL::VERIFY_NONE
      http
    end
  end
end
