# frozen_string_literal: true

require 'json'
require 'net/http'
require 'rbconfig'
require_relative 'ports'
require_relative 'waiting'

# A process of exe/metrics-server, in a directory of its own.
class RubyServerProcess
  include Waiting

  PROGRAM = File.expand_path('../../exe/metrics-server', __dir__)

  # Writes metrics as a process of the application does: in a process of its
  # own, with the Prometheus client. The block gets a registry.
  def self.write_metrics(dir, pid)
    writer = fork do
      require 'prometheus/client'
      Prometheus::Client.configure do |client|
        client.multiprocess_files_dir = dir
        client.pid_provider = -> { pid }
      end
      yield Prometheus::Client::Registry.new
      exit!(true) # without what specs do at their end
    ensure
      exit!(false)
    end
    raise 'no metrics were written' unless Process.wait2(writer).last.success?
  end

  attr_reader :pid, :port, :environment

  # settings: what differs from a server on 127.0.0.1 without a log; nil: no
  # settings in the environment. environment: further variables.
  def initialize(dir, settings: {}, environment: {})
    @dir = dir
    @port = Ports.free
    @environment = { 'METRICS_SERVER_TARGET' => 'puma', 'METRICS_SERVER_SETTINGS' => settings && json(settings),
                     'prometheus_multiproc_dir' => metrics_dir }.merge(environment)
  end

  def metrics_dir
    File.join(@dir, 'metrics')
  end

  def log_file
    File.join(@dir, 'log', 'web_exporter.log')
  end

  def log
    File.exist?(log_file) ? File.read(log_file) : ''
  end

  # All that it wrote to stdout and stderr.
  def output
    File.read(output_file)
  end

  def spawn(*arguments)
    @pid = Process.spawn(@environment, RbConfig.ruby, PROGRAM, *arguments,
                         chdir: @dir, in: File::NULL, %i[out err] => output_file)
    self
  end

  # Starts it and waits until it listens.
  def start
    spawn
    wait_until('the server listens') { ended? || Ports.open?(port) }
    raise "the server ended: #{output}" if ended?

    self
  end

  # The exit status, after the end.
  def status(within: 15)
    wait_until('the server ends', within: within) { ended? }
    @status
  end

  def ended?
    @status = Process.wait2(@pid, Process::WNOHANG)&.last if @status.nil?
    !@status.nil?
  end

  def signal(name)
    Process.kill(name, @pid)
  end

  # For clean-up.
  def kill
    return if @pid.nil? || ended?

    signal('KILL')
    status
  end

  def get(path = '/metrics', headers = {})
    http { |connection| connection.request(Net::HTTP::Get.new(path, headers)) }
  end

  def http(&block)
    Net::HTTP.start('127.0.0.1', port, open_timeout: 10, read_timeout: 10, &block)
  end

  private

  def json(settings)
    JSON.generate({ enabled: true, address: '127.0.0.1', port: port, log_enabled: false }.merge(settings))
  end

  def output_file
    File.join(@dir, 'output')
  end
end
