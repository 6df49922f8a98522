# frozen_string_literal: true

require 'json'
require 'pathname'
require 'metrics_server/configuration'
require 'metrics_server/launch'

RSpec.describe MetricsServer::Launch do
  let(:puma) { MetricsServer::Target.named('puma') }
  let(:sidekiq) { MetricsServer::Target.named('sidekiq') }
  let(:config) { MetricsServer::Configuration.new(env: {}).tap { |config| config.root = tmp } }
  let(:tls) { { tls_enabled: true, tls_cert_path: '/tls/cert.pem', tls_key_path: '/tls/key.pem' } }
  let(:children) { [] }

  after { children.each { |child| child.stop(grace: 1) } }

  def launch(target, values = {}, metrics_dir: '/run/metrics')
    settings = MetricsServer::ExporterSettings.new(target.defaults.merge(values), place: target.exporter)
    described_class.new(target, metrics_dir: metrics_dir, config: config, settings: settings)
  end

  # What the Go server is told of every target.
  def common(port)
    { 'GOGC' => '10', 'GME_MMAP_METRICS_DIR' => '/run/metrics', 'GME_PROBES' => 'self,mmap,mmap_stats',
      'GME_SERVER_HOST' => 'localhost', 'GME_SERVER_PORT' => port, 'GME_PARENT_PID' => Process.pid.to_s }
  end

  # A program that writes down how it was started, into the file said.
  def program(dir, name)
    FileUtils.mkdir_p(dir)
    File.write(File.join(dir, name), <<~SHELL, perm: 0o755)
      #!/bin/sh
      { echo "$0 $#"; env; echo "DIRECTORY=$(pwd)"; } > '#{tmp}/said.new' && mv '#{tmp}/said.new' '#{tmp}/said'
    SHELL
  end

  # The first line, and the variables.
  def said
    first, *variables = wait_until('the program has run') { File.exist?(file = "#{tmp}/said") && File.readlines(file) }
    [first.chomp, variables.to_h { |line| line.chomp.split('=', 2) }]
  end

  def with_environment(variables)
    before = variables.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(variables)
    yield
  ensure
    ENV.update(before)
  end

  def started(child)
    children << child
    child
  end

  describe '#go_environment' do
    it 'is exactly what GitLab sets for Puma, whose log is on, and our pid' do
      expect(launch(puma).go_environment).to eq(
        common('8083').merge('GME_LOG_LEVEL' => 'info', 'GME_LOG_FILE' => "#{tmp}/log/web_exporter.log")
      )
    end

    it 'is exactly what GitLab sets for Sidekiq, whose log is off, and our pid' do
      expect(launch(sidekiq).go_environment).to eq(common('8082').merge('GME_LOG_LEVEL' => 'quiet'))
    end

    it 'is quiet without a log' do
      environment = launch(puma, { log_enabled: false }).go_environment
      expect(environment).to eq(common('8083').merge('GME_LOG_LEVEL' => 'quiet'))
    end

    it 'names the log file of Sidekiq' do
      expect(launch(sidekiq, { log_enabled: true }).go_environment).to eq(
        common('8082').merge('GME_LOG_LEVEL' => 'info', 'GME_LOG_FILE' => "#{tmp}/log/sidekiq_exporter.log")
      )
    end

    it 'has both files for TLS' do
      expect(launch(sidekiq, tls).go_environment).to eq(
        common('8082').merge('GME_LOG_LEVEL' => 'quiet', 'GME_CERT_FILE' => '/tls/cert.pem',
                             'GME_CERT_KEY' => '/tls/key.pem')
      )
    end

    it 'passes on what the settings say' do
      environment = launch(sidekiq, { address: '*', port: 9090 }, metrics_dir: Pathname.new('/run/a b')).go_environment
      expect(environment).to include(
        'GME_SERVER_HOST' => '*', 'GME_SERVER_PORT' => '9090', 'GME_MMAP_METRICS_DIR' => '/run/a b'
      )
      expect(environment.values).to all(be_a(String))
    end

    it 'names the directory of the configuration where none is given, and never the current one' do
      [nil, '', " \n"].each do |blank|
        expect(launch(puma, metrics_dir: blank).go_environment)
          .to include('GME_MMAP_METRICS_DIR' => "#{tmp}/tmp/prometheus_multiproc_dir/puma")
      end
      config.metrics_dir = '/run/elsewhere'
      expect(launch(sidekiq, metrics_dir: nil).go_environment).to include('GME_MMAP_METRICS_DIR' => '/run/elsewhere')
    end

    it 'names the process that starts the server, not the one that made the object' do
      one = launch(puma)
      read, write = IO.pipe
      pid = Process.fork do
        write.write(one.go_environment['GME_PARENT_PID'])
      ensure
        Process.exit!(0)
      end
      Process.wait(pid)
      write.close
      expect(read.read).to eq(pid.to_s)
    ensure
      [read, write].each(&:close)
    end
  end

  describe '#go' do
    it 'runs the program of the directory, without arguments' do
      program("#{tmp}/my programs", 'gitlab-metrics-exporter')
      started(launch(puma).go(path: "#{tmp}/my programs"))
      line, variables = said
      expect(line).to eq("#{tmp}/my programs/gitlab-metrics-exporter 0")
      expect(variables).to include(launch(puma).go_environment)
    end

    it 'takes a Pathname' do
      program("#{tmp}/bin", 'gitlab-metrics-exporter')
      started(launch(puma).go(path: Pathname.new(tmp).join('bin')))
      expect(said.first).to eq("#{tmp}/bin/gitlab-metrics-exporter 0")
    end

    it 'finds it on the PATH otherwise' do
      program("#{tmp}/bin", 'gitlab-metrics-exporter')
      with_environment('PATH' => "#{tmp}/bin:#{ENV.fetch('PATH')}") { started(launch(puma).go) }
      expect(said.first).to eq("#{tmp}/bin/gitlab-metrics-exporter 0")
    end

    it 'is not moved elsewhere by the environment of the application' do
      program(tmp, 'gitlab-metrics-exporter')
      foreign = { 'GME_WEB_LISTEN_ADDRESS' => ':9999', 'GME_WEB_SYSTEMD_SOCKET' => 'true', 'GME_CERT_FILE' => '/other',
                  'GME_CERT_KEY' => '/other', 'GME_LOG_FILE' => '/other', 'GME_SERVER_PORT' => '9999' }
      with_environment(foreign.merge('GME_WEB_ENABLE_OPENMETRICS' => 'true')) { started(launch(sidekiq).go(path: tmp)) }
      variables = said.last.select { |name, _| name.start_with?('GME_') }
      expect(variables).to eq(launch(sidekiq).go_environment.except('GOGC')
                                             .merge('GME_WEB_ENABLE_OPENMETRICS' => 'true'))
    end

    it 'has the certificate and the log file of the settings, whatever the environment says' do
      program(tmp, 'gitlab-metrics-exporter')
      with_environment('GME_CERT_FILE' => '/other', 'GME_LOG_FILE' => '/other') do
        started(launch(puma, tls).go(path: tmp))
      end
      expect(said.last).to include(launch(puma, tls).go_environment)
    end

    it 'says what to do when there is none' do
      missing = raise_error(MetricsServer::Error, /gitlab-metrics-exporter\. Install it \(rake ".*install\[dir\]"\)/)
      expect { launch(puma).go(path: tmp) }.to missing
      with_environment('PATH' => tmp) { expect { launch(puma).go }.to missing }
    end

    it 'says what to do when it cannot be executed' do
      FileUtils.touch("#{tmp}/gitlab-metrics-exporter")
      expect { launch(puma).go(path: tmp) }
        .to raise_error(MetricsServer::Error, %r{\APermission denied - #{tmp}/gitlab-metrics-exporter\. Let the user })
    end

    it 'makes the directory of the log file, and no other' do
      program(tmp, 'gitlab-metrics-exporter')
      started(launch(puma, { log_enabled: false }).go(path: tmp))
      expect(Dir).not_to exist("#{tmp}/log")
      started(launch(puma).go(path: tmp))
      expect(Dir).to exist("#{tmp}/log")
    end

    it 'starts the server even where that directory cannot be made' do
      program(tmp, 'gitlab-metrics-exporter')
      FileUtils.touch("#{tmp}/log")
      started(launch(puma).go(path: tmp))
      expect(said.first).to eq("#{tmp}/gitlab-metrics-exporter 0")
    end
  end

  describe '#ruby' do
    # The application's own program stands in for the server.
    before { program("#{tmp}/bin", 'metrics-server') }

    it "runs the application's own program where there is one" do
      started(launch(puma).ruby)
      expect(said.first).to eq("#{tmp}/bin/metrics-server 0")
    end

    it 'runs it in the bundle that Puma has pruned' do
      with_environment('PUMA_BUNDLER_PRUNED' => 'true', 'RUBYOPT' => '-W0') { started(launch(puma).ruby) }
      expect(said.last['RUBYOPT']).to eq('-W0 -rbundler/setup')
    end

    it 'tells it the target, the directory, the settings and our pid' do
      config.environment = :staging
      config.config_file = Pathname.new('/etc/gitlab.yml')
      started(launch(sidekiq, tls.merge(port: 9090, enabled: true), metrics_dir: Pathname.new('/run/a b')).ruby)
      variables = said.last
      expect(variables).to include(
        'METRICS_SERVER_TARGET' => 'sidekiq', 'WIPE_METRICS_DIR' => '0', 'GITLAB_CONFIG' => '/etc/gitlab.yml',
        'prometheus_multiproc_dir' => '/run/a b', 'METRICS_SERVER_PARENT_PID' => Process.pid.to_s,
        'RAILS_ENV' => 'staging'
      )
      expect(JSON.parse(variables['METRICS_SERVER_SETTINGS'])).to eq(
        'enabled' => true, 'address' => 'localhost', 'port' => 9090, 'log_enabled' => false, 'tls_enabled' => true,
        'tls_cert_path' => '/tls/cert.pem', 'tls_key_path' => '/tls/key.pem'
      )
    end

    it 'runs it in the directory of the application, below which its log goes' do
      started(launch(puma).ruby)
      expect(said.last).to include('DIRECTORY' => File.realpath(tmp))
    end

    it 'tells it an absolute directory, because it runs in another' do
      started(launch(puma, metrics_dir: 'metrics').ruby)
      expect(said.last).to include('prometheus_multiproc_dir' => File.join(Dir.pwd, 'metrics'))
    end

    it 'does not have it wipe this directory where none is given' do
      started(launch(puma, metrics_dir: nil).ruby(wipe_metrics_dir: true))
      expect(said.last).to include('WIPE_METRICS_DIR' => '1',
                                   'prometheus_multiproc_dir' => "#{tmp}/tmp/prometheus_multiproc_dir/puma")
    end

    it 'says which program cannot be run, and never that the Go server is missing' do
      File.write("#{tmp}/bin/metrics-server", "#!/no/such/ruby\n")
      expect { launch(puma).ruby }
        .to raise_error(MetricsServer::Error, %r{\ANo such file.*#{tmp}/bin/metrics-server, if there is one, a program})
      config.root = "#{tmp}/nowhere"
      expect { launch(puma).ruby }.to raise_error(MetricsServer::Error, %r{run in #{tmp}/nowhere: that must be})
    end

    it 'tells it to wipe the directory when asked' do
      started(launch(puma).ruby(wipe_metrics_dir: true))
      expect(said.last).to include('WIPE_METRICS_DIR' => '1', 'METRICS_SERVER_TARGET' => 'puma')
    end
  end

  describe '#fork' do
    # A server that writes down what it is given, and that TERM ends it or not.
    before do
      stub_const('MetricsServer::RubyServer', Class.new do
        def initialize(**options)
          @options = options
        end

        def run
          File.write(File.join(@options[:metrics_dir], 'said'), @options.transform_values(&:to_s).inspect)
          Process.kill(:USR1, Process.pid)
          sleep
        end
      end)
      $LOADED_FEATURES << 'metrics_server/ruby_server.rb'
      allow(Signal).to receive(:trap).and_call_original
      @before = Signal.trap(:USR1) { @mine = true }
    end

    after do
      Signal.trap(:USR1, @before)
      $LOADED_FEATURES.delete('metrics_server/ruby_server.rb')
    end

    it 'runs the server in a copy of this process, after the block' do
      child = started(launch(puma, metrics_dir: tmp).fork { File.write("#{tmp}/block", Process.pid.to_s) })
      text = wait_until('the server runs') { File.exist?("#{tmp}/said") && File.read("#{tmp}/said") }
      expect(File.read("#{tmp}/block")).to eq(child.pid.to_s)
      expect(text).to include(":metrics_dir=>\"#{tmp}\"").or include("metrics_dir: \"#{tmp}\"")
      expect(text).to include("#{tmp}/log/web_exporter.log", Process.pid.to_s)
    end

    it 'keeps signal handlers of this process unless told to reset them' do
      keeps = started(launch(puma, metrics_dir: tmp).fork)
      wait_until('the server runs') { File.exist?("#{tmp}/said") }
      resets = started(launch(puma, metrics_dir: tmp).fork(reset_signals: %w[USR1]))
      wait_until('USR1 ends the other') { !resets.alive? }
      expect(resets.fate).to eq('exit status 138')
      expect(keeps).to be_alive
    end
  end

  it "does not take the application's own program that cannot be executed" do
    FileUtils.mkdir_p("#{tmp}/bin")
    FileUtils.touch("#{tmp}/bin/metrics-server")
    expect(MetricsServer::Child).to receive(:spawn).with(anything, RbConfig.ruby, %r{/exe/metrics-server\z}, anything)
    launch(puma).ruby
  end
end
