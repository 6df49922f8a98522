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

  it 'does not keep a silent client' do
    stub_const("#{described_class}::SILENCE", 0.5)
    running = server(->(_env) { [200, {}, []] })
    running.start { events << :ended }
    socket = TCPSocket.new('127.0.0.1', port)

    expect(socket.wait_readable(3)&.read).to eq('')
  ensure
    socket&.close
    running.stop
  end

  it 'does not keep a client that does not read', if: Socket.const_defined?(:TCP_USER_TIMEOUT) do
    stub_const("#{described_class}::SILENCE", 0.5)
    running = server(->(_env) { [200, {}, ['x' * 20_000_000]] })
    running.start { events << :ended }
    free = -> { running.instance_variable_get(:@webrick).tokens.size }
    before = free.call
    socket = TCPSocket.new('127.0.0.1', port).tap { |client| client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
    wait_until('it is being answered') { free.call < before }
    wait_until('it was given up') { free.call == before }
  ensure
    socket&.close
    running.stop
  end

  it 'reads no long body into memory' do
    running = server(->(env) { [200, {}, [env['rack.input'].read]] })
    running.start { events << :ended }
    answers = { 'Content-Length: 4' => 'a=b&', 'Content-Length: 65537' => '', 'Transfer-Encoding: chunked' => '' }
              .map do |header, body|
      TCPSocket.open('127.0.0.1', port) do |socket|
        socket.write("POST / HTTP/1.1\r\nHost: a\r\n#{header}\r\n\r\n#{body}")
        socket.gets
      end
    end

    expect(answers).to match([/ 200 /, / 413 /, / 413 /])
    running.stop
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

  it 'says so, and does not wait for ever, when WEBrick cannot start' do
    running = server(nil)
    allow(running.instance_variable_get(:@webrick)).to receive(:start).and_raise('unforeseen')
    expect(Thread.new { running.start { events << :ended } }.join(2)).not_to be_nil
    expect(events.pop(true)).to eq(:ended)
    expect { running.stop }.to raise_error('unforeseen')
  end

  it 'says nothing beside that on standard error' do
    running = server(nil)
    allow(running.instance_variable_get(:@webrick)).to receive(:start).and_raise('unforeseen')
    expect { running.start { nil } && expect { running.stop }.to(raise_error('unforeseen')) }.not_to output.to_stderr
  end

  it 'serves IPv4 too for ::' do
    running = server(->(_env) { [200, {}, ['here']] }, address: '::')
    running.start { events << :ended }
    expect(Net::HTTP.get('127.0.0.1', '/', port)).to eq('here')
    running.stop
  end

  it 'is content with one address where the machine does not know the family of the other' do
    allow(Addrinfo).to receive(:getaddrinfo).and_return([Addrinfo.tcp('::1', port), Addrinfo.tcp('127.0.0.1', port)])
    allow_any_instance_of(described_class::Server).to receive(:listen).and_wrap_original do |listen, address, number|
      raise Errno::EAFNOSUPPORT if address == '::1'

      listen.call(address, number)
    end
    expect { server(nil, address: 'localhost') }.not_to raise_error
  end

  it 'waits for a request in flight when it stops' do
    begun = Thread::Queue.new
    released = Thread::Queue.new
    running = server(->(_env) { begun.push(true) && [200, {}, [released.pop]] })
    running.start { events << :ended }
    client = Thread.new { Net::HTTP.get('127.0.0.1', '/', port) }
    begun.pop
    stopping = Thread.new { running.stop }
    expect(stopping.join(0.5)).to be_nil
    released << 'answer'
    [client, stopping].each(&:join)
  end

  it 'serves a name that the machine knows twice' do
    allow(Addrinfo).to receive(:getaddrinfo).and_return([Addrinfo.tcp('127.0.0.1', port)] * 2)
    expect { server(nil, address: 'localhost') }.not_to raise_error
  end

  it 'says that the port of one of its addresses is taken' do
    other = TCPServer.new('127.0.0.2', port)
    allow(Addrinfo).to receive(:getaddrinfo).and_return(%w[127.0.0.1 127.0.0.2].map { |ip| Addrinfo.tcp(ip, port) })
    expect { server(nil, address: 'localhost') }.to raise_error(MetricsServer::Error, /Address already in use/)
  ensure
    other.close
  end

  it 'serves an address in brackets' do
    expect { server(nil, address: '[::1]') }.not_to raise_error
  end
end
