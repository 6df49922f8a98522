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
    let(:launcher) do
      Puma::Launcher.new(Puma::Configuration.new do |options|
        options.workers(2)
        options.app { nil }
        options.quiet
      end)
    end

    # By its name since Puma 7, or the older one.
    def fire(newer, older)
      events = launcher.events
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
end
