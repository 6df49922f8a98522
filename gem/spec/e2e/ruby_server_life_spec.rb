# frozen_string_literal: true

require_relative '../support/ruby_server_process'

RSpec.describe 'The life of metrics-server' do
  def server(**options)
    @server ||= RubyServerProcess.new(tmp, **options)
  end

  after { @server&.kill }

  describe 'the log' do
    it 'has stamped lines of the server and access lines' do
      server(settings: { log_enabled: true }).start.get

      wait_until('the request is logged') { server.log.include?('GET /metrics') }
      expect(server.log).to match(
        /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}\] INFO  serving #{Regexp.escape("http://127.0.0.1:#{server.port}/metrics")}/
      )
      expect(server.log).to match(%r{^127\.0\.0\.1 - - \[.*\] "GET /metrics HTTP/1.1" 200 \d+ "-" "Ruby"$})
      expect(server.output).to eq('')
    end

    it 'does not mention the health checks of those who supervise the server' do
      server(settings: { log_enabled: true }).start
      expect(server.get('/-/healthy').code).to eq('404')
      server.get('/other')
      wait_until('the request is logged') { server.log.include?('GET /other HTTP/1.1" 404') }
      expect(server.log).not_to include('healthy')
    end

    it 'is nowhere when it is off' do
      server.start.get
      server.signal('TERM')
      server.status

      expect([server.output, File.exist?(server.log_file)]).to eq(['', false])
    end

    it 'is reopened after HUP' do
      server(settings: { log_enabled: true }).start
      File.rename(server.log_file, "#{server.log_file}.1")
      server.signal('HUP')
      wait_until('the log is reopened') { server.log.include?('reopened the log file') }
      server.get
      wait_until('the request is logged') { server.log.include?('GET /metrics') }
      expect(File.read("#{server.log_file}.1")).not_to include('GET /metrics')
    end
  end

  describe 'signals' do
    %w[TERM INT].each do |name|
      it "ends after #{name}, soon and successfully, and frees the port" do
        server.start.signal(name)

        expect(server.status(within: 3).exitstatus).to eq(0)
        expect(Ports.open?(server.port)).to be(false)
      end
    end

    it 'outlives those that are meant for the application' do
      server.start
      %w[USR1 USR2 TTIN TTOU HUP].each { |name| server.signal(name) }

      expect(server.get.code).to eq('200')
    end

    it 'does not wait for silent clients' do
      server.start
      silent = TCPSocket.new('127.0.0.1', server.port)
      half = TCPSocket.new('127.0.0.1', server.port).tap { |socket| socket.write("GET /metrics HTTP/1.1\r\nHost:") }
      server.get
      server.signal('TERM')

      expect(server.status(within: 4).exitstatus).to eq(0)
    ensure
      [silent, half].each { |socket| socket&.close }
    end
  end

  describe 'its parent' do
    def alive?(pid)
      Process.kill(0, pid)
    rescue Errno::ESRCH
      false
    end

    it 'is outlived by no server: it ends when its parent was killed' do
      server(environment: { 'RUBY' => RbConfig.ruby, 'PROGRAM' => RubyServerProcess::PROGRAM })
      script = 'METRICS_SERVER_PARENT_PID=$$ "$RUBY" "$PROGRAM" & echo $! >pid; wait'
      parent = Process.spawn(server.environment, 'sh', '-c', script, chdir: tmp)
      wait_until('the server listens') { Ports.open?(server.port) }
      pid = Integer(File.read(File.join(tmp, 'pid')))
      expect(alive?(pid)).to be_truthy
      Process.kill('KILL', parent)
      Process.wait(parent)

      wait_until('the server frees the port', within: 8) { !Ports.open?(server.port) }
      wait_until('the server ends', within: 8) { !alive?(pid) }
    end

    it 'may be another process' do
      other = Process.spawn('sleep', '60')
      server(environment: { 'METRICS_SERVER_PARENT_PID' => other.to_s }).start
      expect(server.get.code).to eq('200')
      Process.kill('KILL', other)
      Process.wait(other)

      expect(server.status(within: 8).exitstatus).to eq(0)
    end
  end

  it 'ends without an answer to a request that does not come to its end' do
    server.start
    client = TCPSocket.new('127.0.0.1', server.port)
    client.write("GET /liveness HTTP/1.1\r\nHost: a\r\n\r\n")
    client.readpartial(4096) # so the server has this connection
    client.write("GET /metrics HTTP/1.1\r\nHost: a\r\n")
    server.signal('TERM')
    expect(server.status.exitstatus).to eq(0)
    expect(client.read).to eq('')
  rescue Errno::ECONNRESET # what the server had not read
    nil
  ensure
    client&.close
  end

  it 'leaves no directory of the client where no directory is named' do
    Dir.mkdir(elsewhere = "#{tmp}/elsewhere")
    server(environment: { 'TMPDIR' => elsewhere, 'prometheus_multiproc_dir' => nil }).start.get
    expect(Dir.children(elsewhere)).to eq([])
  end
end
