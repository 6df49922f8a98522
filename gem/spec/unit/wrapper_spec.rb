# frozen_string_literal: true

require 'json'
require 'logger'
require 'pathname'
require 'stringio'
require 'metrics_server'

# Programs that write down how they were started stand in for both servers; the
# real ones are in spec/e2e.
RSpec.describe MetricsServer do
  let(:config) { described_class::Configuration.new(env: {}) }
  let(:log) { StringIO.new }
  let(:pids) { [] }

  before do
    config.root = tmp
    config.logger = Logger.new(log, formatter: ->(level, _, _, text) { "#{level} #{text}\n" })
    program("#{tmp}/bin", 'metrics-server', 'ruby')
    program("#{tmp}/go/bin", 'gitlab-metrics-exporter', 'go')
    stand_in(:@config, config)
    stand_in(:@application, described_class::Application.new(config, env: {}))
    stand_in(:@supervisors, {})
  end

  after do
    described_class.stop
    pids.each { |pid| end_group(pid) }
    @before.each { |name, value| described_class.instance_variable_set(name, value) }
  end

  # What the module keeps for the whole process is put back afterwards.
  def stand_in(name, value)
    (@before ||= {})[name] = described_class.instance_variable_get(name)
    described_class.instance_variable_set(name, value)
  end

  def program(dir, name, mark)
    FileUtils.mkdir_p(dir)
    File.write(File.join(dir, name), <<~SHELL, perm: 0o755)
      #!/bin/sh
      env > '#{tmp}/said.new' && mv '#{tmp}/said.new' '#{tmp}/#{mark}.said'
      exec sleep 60
    SHELL
  end

  # The variables that a server was started with.
  def said(mark)
    file = "#{tmp}/#{mark}.said"
    wait_until("the #{mark} server was started") { File.exist?(file) }
    File.readlines(file, chomp: true).to_h { |line| line.split('=', 2) }
  end

  def started(pid)
    pids << pid
    pid
  end

  # Its thread in this process reaps it.
  def end_group(pid)
    Process.kill(:KILL, -pid)
    wait_until('the server is reaped') { !there?(pid) }
  rescue Errno::ESRCH
    nil
  end

  def there?(pid)
    Process.kill(0, pid)
    true
  rescue Errno::ESRCH
    false
  end

  describe '.name' do
    it 'is the name of the exporter' do
      expect(described_class.name('puma')).to eq('web_exporter')
      expect(described_class.name(:sidekiq)).to eq('sidekiq_exporter')
    end

    it 'is the name of the module without a target' do
      expect(described_class.name).to eq('MetricsServer')
    end
  end

  describe 'an unknown target' do
    let(:refused) { raise_error(RuntimeError, 'Target must be one of [puma,sidekiq]') }

    [true, false].each do |golang|
      context "with the #{golang ? 'Go' : 'Ruby'} server" do
        before { config.golang_server = golang }

        it 'is refused by every method' do
          expect { described_class.name('unicorn') }.to refused
          expect { described_class.spawn('unicorn', metrics_dir: tmp) }.to refused
          expect { described_class.spawn_ruby_server('unicorn', metrics_dir: tmp) }.to refused
          expect { described_class.fork('unicorn', metrics_dir: tmp) }.to refused
          expect { described_class.settings('unicorn') }.to refused
          expect { described_class.supervise('unicorn') }.to refused
        end
      end
    end
  end

  describe '.spawn' do
    it 'starts the Ruby server, and takes no notice of what only the Go server needs' do
      started(described_class.spawn('puma', metrics_dir: "#{tmp}/metrics", path: '/nowhere', reset_signals: %w[HUP]))
      expect(said('ruby')).to include('METRICS_SERVER_TARGET' => 'puma', 'WIPE_METRICS_DIR' => '0',
                                      'prometheus_multiproc_dir' => "#{tmp}/metrics")
    end

    it 'wipes with the Ruby server when asked' do
      started(described_class.spawn('puma', metrics_dir: tmp, wipe_metrics_dir: true))
      expect(said('ruby')).to include('WIPE_METRICS_DIR' => '1')
    end

    context 'with the Go server' do
      before { config.golang_server = true }

      it 'starts it, and takes no notice of what only the Ruby server needs' do
        started(described_class.spawn('sidekiq', metrics_dir: Pathname.new("#{tmp}/metrics"), path: "#{tmp}/go/bin",
                                                 wipe_metrics_dir: true, reset_signals: %w[HUP]))
        expect(said('go')).to include('GME_SERVER_PORT' => '8082', 'GME_MMAP_METRICS_DIR' => "#{tmp}/metrics")
      end

      it 'finds it where the configuration says' do
        config.binary_dir = Pathname.new("#{tmp}/go/bin")
        pid = started(described_class.spawn('puma', metrics_dir: tmp))
        expect(said('go')).to include('GME_SERVER_PORT' => '8083')
        expect(Process.getpgid(pid)).to eq(pid)
      end

      it 'raises when there is no program' do
        expect { described_class.spawn('puma', metrics_dir: tmp, path: "#{tmp}/nowhere") }
          .to raise_error(described_class::Error, %r{nowhere/gitlab-metrics-exporter})
      end
    end

    [true, false].each do |golang|
      it "raises for a wrong setting before it starts the #{golang ? 'Go' : 'Ruby'} server" do
        config.golang_server = golang
        config.binary_dir = "#{tmp}/go/bin"
        config.web_exporter.port = 'x'
        expect { described_class.spawn('puma', metrics_dir: tmp) }
          .to raise_error(described_class::SettingsError, /\Amonitoring\.web_exporter\.port is "x"/)
        expect(Dir.glob("#{tmp}/*.said*")).to eq([])
      end
    end

    it 'leaves no zombie when the server ends' do
      pid = started(described_class.spawn('puma', metrics_dir: tmp))
      said('ruby')
      Process.kill(:TERM, pid)
      wait_until('the server is reaped') { !there?(pid) }
    end
  end

  describe '.spawn_ruby_server' do
    it 'does so whatever the switch says' do
      config.golang_server = true
      started(described_class.spawn_ruby_server('sidekiq', metrics_dir: tmp, path: "#{tmp}/go/bin"))
      expect(said('ruby')).to include('METRICS_SERVER_TARGET' => 'sidekiq')
    end
  end

  describe '.start_for_sidekiq' do
    it 'spawns the Go server' do
      config.golang_server = true
      config.binary_dir = "#{tmp}/go/bin"
      started(described_class.start_for_sidekiq(metrics_dir: tmp, reset_signals: %w[INT TERM]))
      expect(said('go')).to include('GME_SERVER_PORT' => '8082')
    end

    it 'forks the Ruby server' do
      launch = instance_double(described_class::Launch)
      expect(described_class::Launch).to receive(:new)
        .with(described_class::Target.named('sidekiq'), hash_including(metrics_dir: tmp)).and_return(launch)
      expect(launch).to receive(:fork).with(wipe_metrics_dir: false, reset_signals: %w[INT TERM])
                                      .and_return(instance_double(described_class::Child, pid: 7))
      expect(described_class.start_for_sidekiq(metrics_dir: tmp, reset_signals: %w[INT TERM])).to eq(7)
    end
  end

  describe '.start_for_puma' do
    # Where the client of this process writes is where the server reads.
    let(:client_dir) { Prometheus::Client.configuration.multiprocess_files_dir }

    it 'starts one server, starts it again when it ends, and stops it' do
      2.times { described_class.start_for_puma }
      expect(said('ruby')).to include('METRICS_SERVER_TARGET' => 'puma', 'prometheus_multiproc_dir' => client_dir)
      first = logged_pid(1)
      Process.kill(:KILL, first)
      second = logged_pid(2)
      expect(there?(first)).to be(false)
      described_class.stop
      expect(there?(second)).to be(false)
      expect(log.string).to include('WARN Puma metrics server terminated, restarting... (signal 9)')
      expect(log.string).not_to include('ERROR')
    end

    it 'can start one again after a stop' do
      described_class.start_for_puma
      logged_pid(1)
      described_class.stop
      described_class.start_for_puma
      expect(there?(logged_pid(2))).to be(true)
    end

    it 'starts the Go server where that is switched on' do
      config.golang_server = true
      config.binary_dir = "#{tmp}/go/bin"
      described_class.start_for_puma
      expect(said('go')).to include('GME_SERVER_PORT' => '8083', 'GME_MMAP_METRICS_DIR' => client_dir)
    end

    it 'goes on without a server when there is none to start' do
      config.golang_server = true
      config.binary_dir = "#{tmp}/nowhere"
      described_class.start_for_puma
      wait_until('the trouble is told') { log.string.include?('cannot be started') }
      described_class.stop
    end

    def logged_pid(number)
      wait_until("start #{number} of the server", within: 20) do
        log.string.scan(/INFO Starting Puma metrics server with pid (\d+)/)[number - 1]&.first&.to_i
      end
    end
  end

  describe '.guard' do
    it 'returns what the block does' do
      expect(described_class.guard { 7 }).to eq(7)
      expect(log.string).to eq('')
    end

    { StandardError => 'no (StandardError)', LoadError => 'cannot load such file -- prometheus/client (LoadError)',
      MetricsServer::SettingsError => 'monitoring.web_exporter.port is "x"' }.each do |error, message|
      it "logs #{error} and returns nil" do
        expect(described_class.guard { raise error, message.delete_suffix(" (#{error})") }).to be_nil
        expect(log.string).to eq("ERROR Metrics server: #{message}\n")
      end
    end

    it 'lets pass what ends the application' do
      [SystemExit, Interrupt, NoMemoryError].each do |error|
        expect { described_class.guard { raise error } }.to raise_error(error)
      end
    end
  end

  describe 'a logger that raises' do
    before { config.logger = Logger.new(log, formatter: ->(*) { raise 'the formatter is broken' }) }

    it 'does not make a guard raise, and the message is not lost' do
      expect { described_class.guard { raise 'something' } }
        .to output(/\AMetrics server: something \(RuntimeError\)\n.*the formatter is broken/).to_stderr
    end

    it 'does not keep an unknown setting from being ignored' do
      config.config_file = "#{tmp}/gitlab.yml"
      File.write(config.config_file, 'development: { monitoring: { web_exporter: { prot: 1, port: 9084 } } }')
      expect { expect(described_class.settings('puma').port).to eq(9084) }.to output(/prot is unknown/).to_stderr
    end

    it 'does not end the application, nor the supervision of its server, when threads may end it' do
      aborting do
        expect do
          described_class.start_for_puma
          first = server_pid
          Process.kill(:KILL, first)
          second = server_pid(other_than: first)
          described_class.stop
          expect(there?(second)).to be(false)
        end.to output(/terminated, restarting/).to_stderr
      end
    end

    def aborting
      before = Thread.abort_on_exception
      Thread.abort_on_exception = true
      yield
    ensure
      Thread.abort_on_exception = before
    end

    def server_pid(other_than: nil)
      wait_until('a server runs', within: 20) do
        child = described_class.instance_variable_get(:@supervisors)['puma'].instance_variable_get(:@child)
        child.pid if child&.alive? && child.pid != other_than
      end
    end
  end

  it 'is configured by a block' do
    described_class.configure { |config| config.sidekiq_exporter.port = 9082 }
    expect(described_class.settings('sidekiq').port).to eq(9082)
    expect(described_class.settings('puma').port).to eq(8083)
  end

  it 'knows the version of the Go server' do
    expect(described_class.version).to match(/\A\S+\z/)
  end

  it 'is loaded under the name of the gem too' do
    expect(require('gitlab-metrics-server')).to be(true).or be(false)
  end

  it 'kills a server that takes no notice of TERM when the application ends' do
    File.write("#{tmp}/bin/metrics-server", "#!/bin/sh\ntrap '' TERM\ntouch #{tmp}/up\nwhile :; do sleep 0.1; done\n")
    script = <<~RUBY
      require 'metrics_server'
      MetricsServer::Child.send(:remove_const, :GRACE)
      MetricsServer::Child::GRACE = 0.5
      MetricsServer.configure { |config| config.root = #{tmp.dump} }
      MetricsServer.start_for_puma
      sleep 0.02 until File.exist?('#{tmp}/up')
      puts MetricsServer.instance_variable_get(:@supervisors)['puma'].instance_variable_get(:@child).pid
    RUBY
    lib = File.expand_path('../../lib', __dir__)
    pid = Integer(IO.popen([{ 'RUBYOPT' => nil }, RbConfig.ruby, '-I', lib, '-e', script, { err: File::NULL }], &:gets))
    wait_until('it is gone', within: 2) { !there?(pid) || File.read("/proc/#{pid}/stat").match?(/\) Z /) }
  ensure
    Process.kill(:KILL, -pid) if pid && there?(pid)
  end

  it 'has a forked server give up what this process has of the directory' do
    launch = instance_double(described_class::Launch)
    allow(described_class::Launch).to receive(:new).and_return(launch)
    allow(launch).to receive(:fork).and_yield.and_return(instance_double(described_class::Child, pid: 7))
    expect(described_class.application).to receive(:leave)
    described_class.fork('puma', metrics_dir: tmp)
  end

  it 'lets no guard raise for a logger that calls itself' do
    endless = ->(*arguments) { endless.call(*arguments) }
    config.logger = Logger.new(log, formatter: endless)
    expect { described_class.guard { raise 'broken' } }.to output(/broken.*SystemStackError/m).to_stderr
  end

  it 'lets no guard raise for a logger that is not implemented' do
    config.logger = Logger.new(log, formatter: ->(*) { raise NotImplementedError, 'none' })
    expect { expect(described_class.guard { raise 'something' }).to be_nil }.to output(/something/).to_stderr
  end

  it 'lets no guard raise for a standard error that is closed' do
    config.logger = Logger.new(log, formatter: ->(*) { raise 'the formatter is broken' })
    before = $stderr
    $stderr = StringIO.new.tap(&:close)
    expect(described_class.guard { raise 'something' }).to be_nil
  ensure
    $stderr = before
  end

  it 'logs to the logger that there is by then' do
    config.log
    config.logger = Logger.new(later = StringIO.new)
    described_class.guard { raise 'something' }
    expect(later.string).to include('something')
  end
end
