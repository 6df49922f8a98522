# frozen_string_literal: true

require 'metrics_server/exporter_settings'
require 'metrics_server/health_check'
require_relative '../support/scrape'
require_relative '../support/test_authority'

# Each server is real, and answers one connection in a thread.
RSpec.describe MetricsServer::HealthCheck do
  let(:server) { TCPServer.new('127.0.0.1', 0) }
  let(:threads) { [] }

  after do
    threads.each(&:kill).each(&:join)
    server.close unless server.closed?
  end

  def check(timeout: 0.3, **values)
    defaults = { enabled: true, address: '127.0.0.1', port: server.local_address.ip_port, log_enabled: false,
                 tls_enabled: false }
    described_class.new(MetricsServer::ExporterSettings.new(defaults.merge(values), place: 'x'), timeout: timeout)
  end

  # The block is given each connection; what it returns is kept.
  def serve(listener = server)
    threads << Thread.new do
      Thread.current.report_on_exception = false
      loop { yield listener.accept }
    rescue IOError # closed by the example
      nil
    end
  end

  # Answers every request with a status, and returns the requests.
  def answer_with(status, listener = server)
    Queue.new.tap do |requests|
      serve(listener) do |connection|
        requests << connection.gets("\r\n\r\n")
        connection.write("HTTP/1.1 #{status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close
      end
    end
  end

  ['200 OK', '404 Not Found', '401 Unauthorized', '503 Service Unavailable', '302 Found'].each do |status|
    it "is content with #{status}" do
      answer_with(status)
      expect(check.answers?).to be(true)
    end
  end

  it 'asks for the page that the Go server has for this' do
    requests = answer_with('200 OK')
    check.answers?
    expect(requests.pop.lines.first).to eq("GET /-/healthy HTTP/1.1\r\n")
  end

  it 'asks the server itself, not a proxy' do
    requests = answer_with('200 OK')
    before = ENV.fetch('http_proxy', nil)
    ENV['http_proxy'] = "http://127.0.0.1:#{server.local_address.ip_port}"
    expect(check(address: 'no-such-host.invalid').answers?).to be(false)
    expect(requests).to be_empty
  ensure
    ENV['http_proxy'] = before
  end

  it 'is content with a certificate that only others can check' do
    authority = TestAuthority.new(tmp)
    context = OpenSSL::SSL::SSLContext.new
    context.add_certificate(*authority.leaf)
    answer_with('200 OK', OpenSSL::SSL::SSLServer.new(server, context))
    expect(check(tls_enabled: true, tls_cert_path: 'c', tls_key_path: 'k').answers?).to be(true)
  end

  it 'knows a server on IPv6' do
    six = TCPServer.new('::1', 0)
    answer_with('200 OK', six)
    expect(check(address: '[::1]', port: six.local_address.ip_port).answers?).to be(true)
  rescue Errno::EADDRNOTAVAIL
    skip 'this machine has no IPv6'
  ensure
    six&.close
  end

  it 'is not content when nobody listens' do
    check = check()
    server.close
    expect(check.answers?).to be(false)
  end

  it 'is not content when a server accepts and says nothing' do
    held = []
    serve { |connection| held << connection }
    started = monotonic
    expect(check.answers?).to be(false)
    expect(monotonic - started).to be_between(0.2, 3)
  end

  it 'is not content when a server does not even accept' do
    started = monotonic
    expect(check.answers?).to be(false)
    expect(monotonic - started).to be < 3
  end

  it 'is not content when a server says nothing where TLS should begin' do
    held = []
    serve { |connection| held << connection }
    started = monotonic
    expect(check(tls_enabled: true, tls_cert_path: 'c', tls_key_path: 'k').answers?).to be(false)
    expect(monotonic - started).to be < 3
  end

  it 'is not content with an answer that never ends' do
    serve do |connection|
      connection.gets("\r\n\r\n")
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
      sleep
    end
    started = monotonic
    expect(check.answers?).to be(false)
    expect(monotonic - started).to be < 3
  end

  {
    'nonsense' => "\x00\x01nonsense\n\n",
    'another protocol' => "220 mail.example.com ESMTP\r\n",
    'an empty answer' => '',
    'a broken header' => "HTTP/1.1 200 OK\r\nno header\r\n\r\n"
  }.each do |what, text|
    it "is not content with #{what}" do
      serve do |connection|
        connection.gets("\r\n\r\n")
        connection.write(text)
        connection.close
      end
      expect(check.answers?).to be(false)
    end
  end

  it 'is not content with a host that does not exist' do
    expect(check(address: 'no-such-host.invalid').answers?).to be(false)
  end

  describe '#port_taken?' do
    it 'is true when anything listens' do
      expect(check.port_taken?).to be(true)
    end

    it 'is true for a server of every interface' do
      skip 'this machine does not know localhost' unless Scrape.knows?('localhost')
      expect(check(address: '*').port_taken?).to be(true)
    end

    it 'is false when nothing listens' do
      check = check()
      server.close
      expect(check.port_taken?).to be(false)
    end
  end

  it 'is not content with an answer that dribbles for ever' do
    serve do |connection|
      connection.gets("\r\n\r\n")
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
      50.times { connection.write('.') && sleep(0.1) }
    end
    started = monotonic
    expect(check.answers?).to be(false)
    expect(monotonic - started).to be < 3
  end

  it 'asks once' do
    requests = Queue.new
    serve do |connection|
      requests << connection.gets("\r\n\r\n")
      connection.close
    end
    check.answers?
    expect(requests.size).to eq(1)
  end

  { 'without TLS' => {}, 'with TLS' => { tls_enabled: true, tls_cert_path: 'c', tls_key_path: 'k' } }.each do |how, tls|
    it "gives up when nothing is answered for the timeout, #{how}" do
      held = []
      serve { |connection| held << connection }
      started = monotonic
      check(timeout: 1.5, **tls).answers?
      expect(monotonic - started).to be < 2.75 # at twice the timeout it would end in any case
    end
  end

  it 'does not wait long for whoever does not even accept, to know whether the port is taken' do
    full = Socket.new(:INET, :STREAM).tap { |socket| socket.bind(Addrinfo.tcp('127.0.0.1', 0)) && socket.listen(0) }
    port = full.local_address.ip_port
    clients = Array.new(3) do
      Socket.new(:INET, :STREAM).tap do |client|
        client.connect_nonblock(Addrinfo.tcp('127.0.0.1', port), exception: false)
      end
    end
    answer = Thread.new { check(port: port).port_taken? }
    expect(answer.join(4)&.value).to be(false)
  ensure
    answer&.kill
    [full, *clients].each(&:close)
  end

  it 'leaves no socket open' do
    GC.disable
    before = Dir.children('/proc/self/fd').size
    server
    check.port_taken?
    expect(Dir.children('/proc/self/fd').size).to eq(before + 1)
  ensure
    GC.enable
  end

  it 'takes no port for taken of a host that does not exist' do
    expect(check(address: 'no-such-host.invalid').port_taken?).to be(false)
  end

  [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, ThreadError].each do |lack|
    it "does not blame the server for #{lack} of its own" do
      allow(TCPSocket).to receive(:open).and_raise(lack)
      expect(check.answers?).to be(true)
    end
  end

  it 'does not blame the server for a name that cannot be found without descriptors' do
    allow(TCPSocket).to receive(:open).and_raise(SocketError, 'getaddrinfo: System error')
    allow(File).to receive(:open).with(File::NULL).and_raise(Errno::EMFILE)
    expect(check(address: 'localhost').answers?).to be(true)
  end

  it 'does not blame the server for an answer that it was too busy to wait for' do
    serve do |connection|
      connection.gets("\r\n\r\n")
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    end
    running = Queue.new
    busy = Array.new(15) { Thread.new { (running << true) && loop { Integer.sqrt(2) } } }
    busy.each { running.pop }
    expect(check(timeout: 0.2).answers?).to be(true)
  ensure
    busy.each(&:kill)
  end

  it 'survives a second alarm' do
    allow(File).to receive(:open).with(File::NULL).and_raise(Net::OpenTimeout)
    expect(check(timeout: 0.1, port: 1).answers?).to be(true)
  end
end
