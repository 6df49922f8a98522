# frozen_string_literal: true

require 'pathname'
require_relative '../support/scrape'
require_relative '../support/wrapper_process'

# What GitLab's own end-to-end spec asks of the wrapper and of either server,
# and a little more.
RSpec.describe 'The wrapper' do
  include ServerProcesses

  # All examples use one port, one right after the other.
  port = Ports.free
  let(:url) { "http://127.0.0.1:#{port}/metrics" }
  let(:metrics_dir) { File.join(tmp, 'metrics').tap { |dir| Dir.mkdir(dir) } }

  define_method(:port) { port }

  def wrapper(golang:, **options)
    @wrapper = WrapperProcess.new(tmp, port: port, golang: golang, **options)
  end

  after { @wrapper&.close }

  def spawn_server(target, type, golang:)
    dir, path = [metrics_dir, Programs.go_directory].map { |text| type == Pathname ? Pathname.new(text) : text }
    wrapper(golang: golang).start(:spawn, target, metrics_dir: dir, path: path)
  end

  # As sidekiq-cluster does.
  def start_for_cluster(golang:)
    options = { metrics_dir: metrics_dir, reset_signals: %w[INT TERM TTIN USR1 USR2 HUP] }
    options[:path] = Programs.go_directory if golang
    wrapper(golang: golang).start(:start_for_sidekiq, **options)
  end

  # It answers within 10 s, ends by TERM to its group within 10 s, and then
  # neither a zombie nor a taken port is left.
  def check_life_of(pid)
    wait_until("the server answers\n#{@wrapper.output}", within: 10) { Scrape.ok?(url) }
    expect(Process.getpgid(pid)).to eq(pid)
    end_server(pid)
    listen_on(port)
    expect(@wrapper.ended?).to be_falsey
    expect(@wrapper.output).to eq('')
  end

  { 'Go' => true, 'Ruby' => false }.each do |language, golang|
    %w[puma sidekiq].each do |target|
      [String, Pathname].each do |type|
        it "runs the #{language} server of #{target}, given a #{type}" do
          check_life_of(spawn_server(target, type, golang: golang))
        end
      end
    end

    it "runs the #{language} server for sidekiq-cluster" do
      check_life_of(start_for_cluster(golang: golang))
    end

    # sidekiq-cluster passes on what it gets to all that it supervises.
    %w[HUP USR1 USR2 TTIN].each do |name|
      it "keeps the #{language} server of sidekiq-cluster running after #{name}" do
        pid = start_for_cluster(golang: golang)
        wait_until('the server answers') { Scrape.ok?(url) }
        2.times do
          Process.kill(name, pid)
          expect(Scrape.ok?(url)).to be(true)
        end
        check_life_of(pid)
        expect(@wrapper.signals).to eq('')
      end
    end

    it "ends the #{language} server when the process that started it is killed" do
      wrapper = wrapper(golang: golang)
      pid = wrapper.start(:spawn, 'puma', metrics_dir: metrics_dir, path: Programs.go_directory)
      wait_until('the server answers') { Scrape.ok?(url) }
      wrapper.kill
      wait_until('the server has ended') { !Ports.open?(port) }
      wait_until('the process has ended') { !there?(pid) || zombie?(pid) }
      listen_on(port)
    ensure
      signal_group(:KILL, pid) if pid && there?(pid) # nobody else does
    end
  end

  # Whoever inherits an orphan may leave it a zombie.
  def zombie?(pid)
    File.read("/proc/#{pid}/stat").match?(/\) Z /)
  rescue SystemCallError
    false
  end

  it 'gives the forked server the name of the exporter' do
    pid = wrapper(golang: false).start(:start_for_sidekiq, metrics_dir: metrics_dir)
    wait_until('the server answers') { Scrape.ok?(url) }
    expect(File.read("/proc/#{pid}/cmdline")).to start_with('sidekiq_exporter')
    check_life_of(pid)
  end

  it 'says what is wrong when the port of a forked server is taken' do
    blocker = TCPServer.new('127.0.0.1', port)
    pid = wrapper(golang: false).start(:start_for_sidekiq, metrics_dir: metrics_dir)
    wait_until('the server has ended') { !there?(pid) }
    expect(@wrapper.output).to match(/metrics-server: .*127\.0\.0\.1:#{port}.*sidekiq_exporter\.port/)
  ensure
    blocker&.close
  end

  it 'raises where there is no program' do
    expect { wrapper(golang: true).start(:spawn, 'puma', metrics_dir: metrics_dir, path: File.join(tmp, 'nowhere')) }
      .to raise_error(%r{nowhere/gitlab-metrics-exporter\. Install it .*MetricsServer::Error})
  end

  it 'raises for a wrong setting, by its name' do
    [true, false].each do |golang|
      expect { wrapper(golang: golang, settings: { port: 'x' }).start(:spawn, 'puma', metrics_dir: metrics_dir) }
        .to raise_error(/monitoring\.web_exporter\.port is "x", but must be a number .*SettingsError/)
    end
  end
end
