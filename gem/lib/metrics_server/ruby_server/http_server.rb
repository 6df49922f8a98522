# frozen_string_literal: true

require 'socket'
require 'rack'
require 'webrick'
begin
  require 'rackup/handler/webrick' # Rack 3
rescue LoadError
  require 'rack/handler/webrick' # Rack 2
end
require 'metrics_server/errors'
require 'metrics_server/ruby_server/reason'
require 'metrics_server/ruby_server/unnoticed_health_check'

module MetricsServer
  class RubyServer
    # WEBrick, on the address and the port of the settings, with a Rack
    # application. It has a thread for each connection, a hundred at most, where the
    # TLS handshake is made too: nobody waits for a silent client.
    class HttpServer
      HANDLER = defined?(::Rackup::Handler::WEBrick) ? ::Rackup::Handler::WEBrick : ::Rack::Handler::WEBrick

      # Logs what others ask for, and takes no body that is worth its name: it would
      # be read into memory as a whole, before anybody looks at the path.
      class Server < WEBrick::HTTPServer
        LONGEST_BODY = 65_536

        def service(request, response)
          if request['transfer-encoding'] || request['content-length'].to_i > LONGEST_BODY
            response.keep_alive = false # else WEBrick reads it after all
            raise WEBrick::HTTPStatus::RequestEntityTooLarge, 'the body is too long'
          end

          super
        end

        def access_log(config, request, response)
          super unless request.path == UnnoticedHealthCheck::PATH
        end
      end

      # Seconds that stop waits for requests in flight. A scraper comes again;
      # those who supervise the server do not wait for ever.
      GRACE = 2

      # Seconds that a client may be silent, or take nothing of its answer. So there is a
      # thread again for who supervises the server before he takes it for hung.
      SILENCE = 10

      ANYWHERE = ['', '*', '::'].freeze # IPv4 and IPv6

      ADVICE = {
        Errno::EADDRINUSE => 'Stop the process that uses the port, or set another %s.port.',
        Errno::EACCES => 'Set %s.port to a number above 1023.'
      }.freeze
      OTHER_ADVICE = 'Set %s.address to a name or an address of this machine.'

      # Listens, but answers nobody before start. place: what the settings are
      # called in messages. Raises Error.
      def initialize(app, settings:, place:, log:)
        @settings = settings
        @place = place
        @webrick = Server.new(options(log))
        @webrick.mount('/', HANDLER, app)
        listen
      end

      # Returns when requests are answered. The block is called at the end.
      def start(&at_end)
        ready = Thread::Queue.new
        @webrick.config[:StartCallback] = -> { ready << true }
        @thread = Thread.new do
          @webrick.start
        ensure
          ready << true
          at_end.call
        end
        @thread.report_on_exception = false # stop raises it
        ready.pop
      end

      # A connection that is still silent after the grace ends with the process.
      def stop
        @webrick.shutdown
        @thread.join(GRACE)
      end

      private

      def options(log)
        { DoNotListen: true, Port: @settings.port, Logger: log.server, AccessLog: log.access,
          RequestTimeout: SILENCE }.merge(tls_options)
      end

      def tls_options
        return {} unless @settings.tls_enabled

        require 'webrick/https'
        require 'metrics_server/ruby_server/tls'
        Tls.new(@settings, place: @place).webrick_options
      end

      # Each address by itself: given a name, WEBrick is content with any one of
      # its addresses, and would not say that the port of another is taken.
      def listen
        failures = addresses.map { |address| failure_to_listen(address) }
        raise failures.first if failures.all?
      rescue SystemCallError, SocketError => e
        raise Error, "cannot serve #{@settings.url}: #{Reason.of(e)}. " \
                     "#{format(ADVICE.fetch(e.class, OTHER_ADVICE), @place)}"
      end

      def addresses
        host = @settings.address.delete_prefix('[').delete_suffix(']')
        host = nil if ANYWHERE.include?(host)
        Addrinfo.getaddrinfo(host, @settings.port, nil, :STREAM, nil, Socket::AI_PASSIVE).map(&:ip_address).uniq
      end

      # A client that takes nothing of its answer would have its thread, and the page, for
      # ever: WEBrick writes until all is written. Connections have this from their listener.
      def limit_slowness(listener)
        return unless Socket.const_defined?(:TCP_USER_TIMEOUT) # Linux

        listener.to_io.setsockopt(:TCP, :USER_TIMEOUT, (SILENCE * 1000).to_i)
      end

      # nil when all is well. Machines without IPv6 do have names with IPv6 addresses.
      def failure_to_listen(address)
        @webrick.listen(address, @settings.port)
        limit_slowness(@webrick.listeners.last)
        nil
      rescue Errno::EADDRNOTAVAIL, Errno::EAFNOSUPPORT => e
        e
      end
    end
  end
end
