# frozen_string_literal: true

require 'logger'
require 'puma'
require 'puma/configuration'
require 'puma/launcher'
require 'stringio'
require 'metrics_server/puma_hooks'
require 'metrics_server/sidekiq_hooks'

# Whatever is wrong with us, Puma and Sidekiq go on: all that their hooks call
# here fails.
RSpec.describe 'A hook that fails' do
  let(:log) { StringIO.new }

  before do
    config = MetricsServer::Configuration.new(env: {})
    config.logger = Logger.new(log, formatter: ->(_, _, _, text) { "#{text}\n" })
    allow(MetricsServer).to receive(:config).and_return(config)
    %i[application settings stop].each { |method| allow(MetricsServer).to receive(method).and_raise("no #{method}") }
  end

  def said
    log.string.lines(chomp: true).tap { log.reopen(+'') }
  end

  describe 'of Puma' do
    let(:workers) { 2 }
    let(:launcher) do
      number = workers
      configuration = Puma::Configuration.new do |options|
        options.workers(number)
        options.app { nil }
        options.quiet
      end
      Puma::Launcher.new(configuration, events: events)
    end
    # Of its own: those of Puma 5 are everybody's otherwise.
    let(:events) { Puma::Events.respond_to?(:strings) ? Puma::Events.strings : Puma::Events.new }

    # By its name since Puma 7, or the older one.
    def fire(newer, older)
      events.public_send(events.respond_to?(newer) ? newer : older)
    end

    it 'is logged, when Puma starts, has booted and stops' do
      MetricsServer::PumaHooks.new(launcher).install
      expect(said).to eq(['Metrics server: no application (RuntimeError)'])
      fire(:fire_after_booted!, :fire_on_booted!)
      expect(said).to eq(['Metrics server: no settings (RuntimeError)'])
      fire(:fire_after_stopped!, :fire_on_stopped!)
      expect(said).to eq(['Metrics server: no stop (RuntimeError)'])
    end

    it 'is logged, when Puma has hooks that we do not know' do
      allow(launcher.config).to receive(:configure).and_raise(ArgumentError, 'no hook')
      MetricsServer::PumaHooks.new(launcher).install
      expect(said.last).to eq('Metrics server: no hook (ArgumentError)')
    end

    it 'has Puma 6 not warn of workers that there are not, before it knows of those of the file' do
      called = []
      options = double(before_restart: nil)
      allow(options).to receive(:silence_fork_callback_warning) { called << :silence }
      allow(options).to receive(:before_worker_boot) { called << :hook }
      allow(launcher.config).to receive(:configure).and_yield(options, nil, nil)
      MetricsServer::PumaHooks.new(launcher).install
      expect(called).to eq(%i[silence hook])
    end

    describe 'when it is installed' do
      before { MetricsServer::PumaHooks.new(launcher).install && said }

      it 'stops in a signal handler too' do
        lock = Mutex.new
        stopped = []
        allow(MetricsServer).to receive(:stop) { lock.synchronize { stopped << true } }
        before = Signal.trap(:USR2) { fire(:fire_after_stopped!, :fire_on_stopped!) }
        Process.kill(:USR2, Process.pid)
        wait_until('the handler has run', within: 2) { stopped.any? }
      ensure
        Signal.trap(:USR2, before)
      end

      it 'does not end Puma where an error in a thread does' do
        before = Thread.abort_on_exception
        Thread.abort_on_exception = true
        expect { fire(:fire_after_stopped!, :fire_on_stopped!) }.not_to output.to_stderr
        expect(said).to eq(['Metrics server: no stop (RuntimeError)'])
      ensure
        Thread.abort_on_exception = before
      end

      it 'goes on when there can be no thread' do
        allow(Thread).to receive(:new).and_raise(ThreadError, "can't create Thread")
        expect { fire(:fire_after_stopped!, :fire_on_stopped!) }.not_to raise_error
      end

      it 'starts nothing in the environment test' do
        allow(MetricsServer).to receive(:settings).and_return(double(enabled: true))
        allow(MetricsServer).to receive(:start_for_puma)
        MetricsServer.config.environment = 'test'
        fire(:fire_after_booted!, :fire_on_booted!)
        expect(MetricsServer).not_to have_received(:start_for_puma)
      end

      it 'lets no worker fail' do
        hook = launcher.config.options.all_of(:before_worker_boot).flatten.first
        hook = hook[:block] if hook.is_a?(Hash)
        expect { hook.call(0) }.not_to raise_error
      end

      context 'without workers' do
        let(:workers) { 0 }

        it 'has no hook of workers' do
          expect(launcher.config.options.all_of(:before_worker_boot).flatten).to eq([])
        end
      end
    end
  end

  describe 'of Sidekiq' do
    it 'is logged, when Sidekiq loads the application and when it has started' do
      stub_const('Sidekiq', Class.new { def self.configure_server = raise('no hook') })
      MetricsServer::SidekiqHooks.install
      expect(said).to eq(['Metrics server: no application (RuntimeError)', 'Metrics server: no hook (RuntimeError)'])
      MetricsServer::SidekiqHooks.start
      expect(said.uniq).to eq(['Metrics server: no application (RuntimeError)'])
    end
  end

  it 'has the client checked when Sidekiq has started' do
    application = instance_double(MetricsServer::Application, clustered_sidekiq?: true)
    allow(MetricsServer).to receive(:application).and_return(application)
    expect(application).to receive(:check_client)
    MetricsServer::SidekiqHooks.start
  end

  it 'has no server of its own where Sidekiq is embedded in Puma' do
    application = instance_double(MetricsServer::Application, target: MetricsServer::Target.named('puma'),
                                                              clustered_sidekiq?: false, check_client: nil)
    allow(MetricsServer).to receive_messages(application: application, settings: double(enabled: true))
    expect(MetricsServer).not_to receive(:supervise)
    MetricsServer::SidekiqHooks.start
  end
end
