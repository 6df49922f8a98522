# frozen_string_literal: true

require_relative '../support/ruby_server_process'

RSpec.describe 'The start of metrics-server' do
  def server(**options)
    @server ||= RubyServerProcess.new(tmp, **options)
  end

  after { @server&.kill }

  def fails(status, text)
    expect(server.spawn.status.exitstatus).to eq(status)
    expect(server.output).to match(text)
    expect(server.output.lines.size).to eq(1)
  end

  it 'wants a target' do
    server(environment: { 'METRICS_SERVER_TARGET' => ' ' })
    fails(1, /\AMETRICS_SERVER_TARGET cannot be blank$/)
  end

  it 'wants a target that it knows' do
    server(environment: { 'METRICS_SERVER_TARGET' => 'unicorn' })
    fails(1, /\ATarget must be one of \[puma,sidekiq\]$/)
  end

  it 'says that the port is taken, in the log too' do
    server(settings: { log_enabled: true })
    other = TCPServer.new('127.0.0.1', server.port)
    fails(2, /\Ametrics-server: cannot serve .*#{server.port}: Address already in use\. Stop .*web_exporter\.port\.$/)
    expect(server.log).to match(/^\[.*\] FATAL cannot serve .*: Address already in use/)
  ensure
    other.close
  end

  it 'wants the port of each address that it has to serve' do
    server(settings: { address: '*' })
    other = TCPServer.new('127.0.0.1', server.port)
    fails(2, /Address already in use/)
  ensure
    other.close
  end

  it 'leaves the files of the server that has the port alone' do
    server(environment: { 'WIPE_METRICS_DIR' => '1' })
    FileUtils.mkdir_p(server.metrics_dir)
    file = File.join(server.metrics_dir, 'counter_puma_0-0.db')
    File.write(file, '')
    other = TCPServer.new('127.0.0.1', server.port)
    fails(2, /Address already in use/)
    expect(File.exist?(file)).to be(true)
  ensure
    other.close
  end

  it 'says that the address is not of this machine' do
    server(settings: { address: '192.0.2.1' })
    fails(2, /cannot serve http:.*: Cannot assign requested address\. Set monitoring.web_exporter.address to/)
  end

  it 'says that there is no such certificate' do
    server(settings: { tls_enabled: true, tls_cert_path: '/nowhere/a.pem', tls_key_path: '/nowhere/b.pem' })
    fails(2, %r{tls_cert_path: /nowhere/a\.pem cannot be read \(No such file or directory\)})
  end

  it 'says that it cannot write the log' do
    File.write(File.join(tmp, 'log'), 'a file')
    server(settings: { log_enabled: true })
    fails(2, %r{cannot write the log file .*log/web_exporter\.log: (File exists|Not a directory)})
  end

  it 'says that it cannot make the metrics directory' do
    File.write(server.metrics_dir, 'a file')
    fails(2, /cannot make the metrics directory .*: File exists/)
  end

  it 'says that a setting is wrong' do
    server(settings: { port: 0 })
    fails(2, /monitoring\.web_exporter\.port is 0, but must be/)
  end

  it 'ends at once when it is not enabled' do
    server(settings: { enabled: false, log_enabled: true }).spawn

    expect(server.status.exitstatus).to eq(0)
    expect(server.output).to eq("monitoring.web_exporter.enabled is false: nothing is served\n")
    expect(server.log).to include('monitoring.web_exporter.enabled is false')
    expect(File.exist?(server.metrics_dir)).to be(false)
  end

  it 'explains itself' do
    expect(server.spawn('--help').status.exitstatus).to eq(0)
    expect(server.output).to include('METRICS_SERVER_TARGET', 'WIPE_METRICS_DIR', 'GITLAB_CONFIG')
  end

  describe 'while it loads' do
    # Sends itself a signal when it loads the Prometheus client, and ends with 7 if it can.
    def status_after(signal)
      FileUtils.mkdir_p("#{tmp}/lib/prometheus")
      File.write("#{tmp}/lib/prometheus/client.rb", "Process.kill(:#{signal}, Process.pid); sleep 0.2; exit!(7)")
      @loading = RubyServerProcess.new(tmp, environment: { 'RUBYLIB' => "#{tmp}/lib" }).spawn
      @loading.status
    end

    %w[USR1 USR2 HUP].each do |name|
      it "is not ended by #{name}" do
        expect(status_after(name).exitstatus).to eq(7)
      end
    end

    it 'is ended by INT without a word' do
      expect(status_after('INT').termsig).to eq(2)
      expect(@loading.output).to eq('')
    end
  end
end
