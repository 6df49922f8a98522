# frozen_string_literal: true

require 'metrics_server/exporter_settings'
require 'metrics_server/target'
require_relative '../support/ruby_server_process'

RSpec.describe 'The Ruby server in a copy of a process of the application' do
  def server(**options)
    @server ||= RubyServerProcess.new(tmp, **options)
  end

  # Ends with the process that it is a copy of, if not before.
  def run_in_copy(settings, parent_pid)
    require 'metrics_server/ruby_server'
    target = MetricsServer::Target.named('sidekiq')
    settings = MetricsServer::ExporterSettings.new(target.defaults.merge(settings), place: 'settings')
    MetricsServer::RubyServer.new(target: target, metrics_dir: server.metrics_dir, settings: settings,
                                  log_file: File.join(tmp, 'sidekiq_exporter.log'), parent_pid: parent_pid).run
  end

  # As in a process of Sidekiq: with metrics in the default registry.
  def use_client
    require 'prometheus/client'
    Prometheus::Client.configuration.multiprocess_files_dir = server.metrics_dir
    Prometheus::Client.configuration.pid_provider = -> { 'sidekiq_0' }
    counter = Prometheus::Client.registry.counter(:exporter_http_requests_total, 'The same name')
    counter.increment({ code: '200', method: 'get', path: '/own', pid: 'sidekiq_0' })
    yield
    counter.increment({ code: '200', method: 'get', path: '/own', pid: 'sidekiq_0' })
  end

  def application
    copy = nil
    parent_pid = Process.pid
    use_client do
      copy = fork do
        run_in_copy({ enabled: true, address: '127.0.0.1', port: server.port }, parent_pid)
        exit!(true)
      ensure
        exit!(false)
      end
    end
    File.write(File.join(tmp, 'pid'), copy)
    Process.wait2(copy).last.success?
  end

  def copy_pid
    File.exist?(File.join(tmp, 'pid')) && Integer(File.read(File.join(tmp, 'pid')), exception: false)
  end

  before do
    FileUtils.mkdir_p(server.metrics_dir)
    @application = fork { exit!(application) }
  end

  after do
    Process.kill('KILL', @application) && Process.wait(@application) if @application
  end

  it 'serves the metrics of both, and ends after TERM' do
    wait_until('the server listens') { copy_pid && Ports.open?(server.port) }
    2.times { server.get }
    lines = server.get.body.lines(chomp: true)
    Process.kill('TERM', copy_pid)
    ended = wait_until('both end') { Process.wait2(@application, Process::WNOHANG) }
    @application = nil

    expect(ended.last).to be_success
    expect(lines).to include('exporter_http_requests_total{code="200",method="get",path="/own",pid="sidekiq_0"} 2')
    expect(lines.join("\n")).to match(/^exporter_http_requests_total\{.*pid="sidekiq_exporter"\} 2$/)
  end
end
