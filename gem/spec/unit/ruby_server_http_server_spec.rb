# frozen_string_literal: true

require 'net/http'
require 'metrics_server/exporter_settings'
require 'metrics_server/ruby_server/http_server'
require 'metrics_server/ruby_server/log'

RSpec.describe MetricsServer::RubyServer::HttpServer do
  let(:port) { Ports.free }
  let(:events) { Thread::Queue.new }

  def server(app, address: '127.0.0.1')
    values = { enabled: true, address: address, port: port, log_enabled: false, tls_enabled: false }
    settings = MetricsServer::ExporterSettings.new(values, place: 'place')
    described_class.new(app, settings: settings, place: 'place', log: MetricsServer::RubyServer::Log.new(nil))
  end

  it 'answers a request in flight before it stops' do
    begun = Thread::Queue.new
    released = Thread::Queue.new
    running = server(lambda { |_env|
      begun << true
      [200, { 'content-type' => 'text/plain' }, [released.pop]]
    })
    running.start { events << :ended }
    client = Thread.new { Net::HTTP.get('127.0.0.1', '/', port) }
    begun.pop
    stopping = Thread.new { running.stop }
    wait_until('it takes no more') { !Ports.open?(port) }
    released << 'answer'

    expect([client.value, events.pop]).to eq(['answer', :ended])
    stopping.join
  end

  it 'stops in spite of a request without end' do
    begun = Thread::Queue.new
    running = server(->(_env) { begun.push(true) && Thread::Queue.new.pop })
    running.start { events << :ended }
    socket = TCPSocket.new('127.0.0.1', port).tap { |client| client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
    begun.pop
    running.stop

    expect(Ports.open?(port)).to be(false)
  ensure
    socket&.close
  end

  it 'serves all interfaces for an empty address' do
    running = server(->(_env) { [200, {}, ['here']] }, address: '')
    running.start { events << :ended }
    address = Socket.ip_address_list.find { |ip| ip.ipv4? && !ip.ipv4_loopback? } || Addrinfo.ip('127.0.0.2')

    expect(Net::HTTP.get(address.ip_address, '/', port)).to eq('here')
    running.stop
  end

  it 'says what to do about a taken port' do
    other = TCPServer.new('127.0.0.1', port)

    expect { server(nil) }.to raise_error(
      MetricsServer::Error, "cannot serve http://127.0.0.1:#{port}: Address already in use. " \
                            'Stop the process that uses the port, or set another place.port.'
    )
  ensure
    other.close
  end

  it 'says what to do about an unknown name' do
    expect { server(nil, address: 'nowhere.invalid') }
      .to raise_error(MetricsServer::Error, /cannot serve .*nowhere\.invalid.*\. Set place\.address to/)
  end
end
