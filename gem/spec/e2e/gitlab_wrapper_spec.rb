# frozen_string_literal: true

require 'open3'
require 'rbconfig'
require_relative '../support/programs'
require_relative '../support/scrape'
require_relative '../support/server_processes'
require_relative '../support/test_authority'

# Plays the wrapper of GitLab 15 and sidekiq-cluster against the Go server: the
# variables that they set and no others, no arguments, a process group, signals.
# Nothing here comes from this gem.
RSpec.describe 'The Go server under the wrapper of GitLab' do
  include ServerProcesses

  # All examples use one port, one right after the other.
  port = Ports.free
  let(:url) { "http://127.0.0.1:#{port}/metrics" }
  let(:metrics_dir) { File.join(tmp, 'metrics').tap { |dir| Dir.mkdir(dir) } }
  let(:output_file) { File.join(tmp, 'output') }
  let(:servers) { [] }

  define_method(:port) { port }

  # A server that has ended may not be signalled: its pid may be another's.
  after do
    servers.each do |thread|
      signal_group(:KILL, thread.pid) if thread.alive?
      thread.join(10)
    end
  end

  def common
    { 'GOGC' => '10', 'GME_MMAP_METRICS_DIR' => metrics_dir, 'GME_PROBES' => 'self,mmap,mmap_stats',
      'GME_SERVER_HOST' => '127.0.0.1', 'GME_SERVER_PORT' => port.to_s, 'GME_LOG_LEVEL' => 'quiet' }
  end

  # As Process.spawn and Process.detach of GitLab; the program is found by the
  # PATH. Returns the thread that reaps it, whose value is the status.
  def start(environment = {})
    foreign = ENV.keys.grep(/\AGME_/).to_h { |name| [name, nil] }
    pid = on_path do
      Process.spawn(foreign.merge(common, environment), 'gitlab-metrics-exporter', pgroup: true,
                                                                                   %i[out err] => [output_file, 'a'])
    end
    servers << Process.detach(pid)
    servers.last
  end

  def on_path
    before = ENV.fetch('PATH')
    ENV['PATH'] = "#{Programs.go_directory}:#{before}"
    yield
  ensure
    ENV['PATH'] = before
  end

  def answers(at = url, **options)
    wait_until("the server answers\n#{File.read(output_file)}", within: 10) { Scrape.ok?(at, **options) }
  end

  def end_well(server)
    end_server(server.pid)
    expect(server.value).to be_success
    listen_on(port)
  end

  it 'answers with an empty directory, and ends by TERM to its group' do
    2.times do
      server = start
      answers
      expect(Dir.children(metrics_dir)).to eq([])
      end_well(server)
    end
    expect(File.read(output_file)).to eq('')
  end

  it 'ends by TERM before it answers' do
    end_server(start.pid)
    listen_on(port)
  end

  it 'ends by TERM to the process alone, as the supervisor sends it' do
    server = start
    answers
    Process.kill(:TERM, server.pid)
    expect(server.join(10)&.value).to be_success
    listen_on(port)
  end

  it 'ends in time while a client keeps its connection open' do
    server = start
    answers
    Net::HTTP.start('127.0.0.1', port, nil) do |http|
      expect(http.get('/metrics').code).to eq('200')
      end_well(server)
    end
  end

  it 'ends in time while a client is silent' do
    server = start
    answers
    socket = TCPSocket.new('127.0.0.1', port)
    end_well(server)
  ensure
    socket&.close
  end

  it 'leaves the port free when its group is killed' do
    2.times do
      server = start
      answers
      end_server(server.pid, :KILL)
      expect(server.value.termsig).to eq(Signal.list.fetch('KILL'))
      listen_on(port)
    end
  end

  # sidekiq-cluster passes these on to all that it supervises. One stops a
  # program that does not expect it.
  %w[HUP USR1 USR2 TTIN].each do |name|
    it "is neither ended nor stopped by #{name}" do
      server = start
      answers
      2.times do
        Process.kill(name, server.pid)
        answers
      end
      expect(server).to be_alive
      end_well(server)
    end
  end

  # If the server alone is dead it is started anew.
  it 'takes over from a server that was killed while it was asked' do
    first = start
    answers
    socket = TCPSocket.new('127.0.0.1', port)
    socket.write("GET /metrics HTTP/1.1\r\n")
    end_server(first.pid, :KILL)
    second = start
    answers
    end_well(second)
  ensure
    socket&.close
  end

  # If a worker is dead everything is ended, in any order.
  %w[before after].each do |order|
    it "ends in time when the workers end #{order} it" do
      worker = Process.spawn(RbConfig.ruby, '-e', 'sleep', pgroup: true)
      servers << Process.detach(worker)
      server = start
      answers
      order == 'before' ? end_server(worker) : end_well(server)
      answers if order == 'before'
      order == 'before' ? end_well(server) : end_server(worker)
    end
  end

  it 'says why it ends when the port is taken' do
    blocker = TCPServer.new('127.0.0.1', port)
    server = start('GME_LOG_LEVEL' => 'info')
    expect(server.join(10)&.value&.exitstatus).to eq(2)
    expect(File.read(output_file)).to match(/address already in use/)
  ensure
    blocker&.close
  end

  describe 'with log_enabled' do
    let(:log_file) { File.join(tmp, 'web_exporter.log') }

    it 'writes the log file, and nothing else' do
      server = start('GME_LOG_LEVEL' => 'info', 'GME_LOG_FILE' => log_file)
      answers
      end_well(server)
      expect(File.read(log_file)).to match(/level=info.*#{port}/i)
      expect(File.read(output_file)).to eq('')
    end

    it 'goes on in a new file when the old one was moved away, after HUP' do
      server = start('GME_LOG_LEVEL' => 'info', 'GME_LOG_FILE' => log_file)
      answers
      File.rename(log_file, "#{log_file}.1")
      Process.kill(:HUP, server.pid)
      wait_until('there is a new log file') { File.exist?(log_file) }
      end_well(server)
      expect(File.size(log_file)).to be_positive
    end
  end

  describe 'with tls_enabled' do
    let(:authority) { TestAuthority.new(tmp) }
    let(:tls) { { 'GME_CERT_FILE' => authority.bundle_file, 'GME_CERT_KEY' => authority.key_file } }

    it 'serves HTTPS, with the whole chain, and no HTTP' do
      server = start(tls)
      answers(url.sub('http:', 'https:'), root_file: authority.root_file)
      expect(Scrape.ok?(url)).to be(false)
      end_well(server)
    end

    it 'ends with a word about the file when it is missing' do
      server = start(tls.merge('GME_CERT_FILE' => "#{tmp}/nothing.pem", 'GME_LOG_LEVEL' => 'info'))
      expect(server.join(10)&.value&.exitstatus).to be_between(1, 2)
      expect(File.read(output_file)).to include('nothing.pem')
    end
  end

  ['*', '0.0.0.0', 'localhost', ''].each do |host|
    it "is reached when its host is #{host.inspect}" do
      skip 'this machine does not know localhost' unless host != 'localhost' || Scrape.knows?(host)
      server = start('GME_SERVER_HOST' => host)
      answers
      end_well(server)
    end
  end

  it 'serves a directory that appears later' do
    dir = File.join(tmp, 'later')
    server = start('GME_MMAP_METRICS_DIR' => dir)
    answers
    expect(Scrape.page(url)).not_to include('boots_total')
    Dir.mkdir(dir)
    count_in(dir)
    expect(Scrape.page(url)).to include("\nboots_total 1\n")
    expect(Scrape.page(url)).to include("\ngme_probe_success{probe=\"mmap\"} 1\n")
    end_well(server)
  end

  # A process of the application, which counts one thing.
  def count_in(dir)
    script = 'require "prometheus/client"; Prometheus::Client::Registry.new.counter(:boots_total, "help").increment'
    environment = { 'prometheus_multiproc_dir' => dir, 'RUBYOPT' => nil }
    output, status = Open3.capture2e(environment, RbConfig.ruby, '-e', script)
    raise output unless status.success?
  end
end
