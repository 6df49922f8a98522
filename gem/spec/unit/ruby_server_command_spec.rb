# frozen_string_literal: true

require 'stringio'
require 'metrics_server/ruby_server/command'

RSpec.describe MetricsServer::RubyServer::Command do
  let(:stdout) { StringIO.new }
  let(:stderr) { StringIO.new }

  def call(*arguments, **env)
    described_class.new(env.transform_keys(&:to_s), stdout: stdout, stderr: stderr).call(arguments)
  end

  it 'explains itself' do
    expect([call('--help'), stderr.string]).to eq([0, ''])
    expect(stdout.string).to start_with('Usage: ')
  end

  it 'knows no other arguments' do
    expect(call('--port', METRICS_SERVER_TARGET: 'puma')).to eq(1)
    expect(stderr.string).to eq("unknown argument --port; metrics-server --help says more\n")
  end

  it 'wants a target' do
    expect([call, call(METRICS_SERVER_TARGET: '  ')]).to eq([1, 1])
    expect(stderr.string).to eq("METRICS_SERVER_TARGET cannot be blank\n" * 2)
  end

  it 'wants one that there is' do
    expect(call(METRICS_SERVER_TARGET: 'unicorn')).to eq(1)
    expect(stderr.string).to eq("Target must be one of [puma,sidekiq]\n")
  end

  it 'says which settings are wrong' do
    expect(call(METRICS_SERVER_TARGET: 'puma', METRICS_SERVER_SETTINGS: '{"enabled":"perhaps"}')).to eq(2)
    expect(stderr.string)
      .to eq("metrics-server: monitoring.web_exporter.enabled is \"perhaps\", but must be true or false\n")
  end

  it 'says which gem is missing' do
    command = described_class.new({ 'METRICS_SERVER_TARGET' => 'puma' }, stderr: stderr)
    allow(command).to receive(:require).and_raise(LoadError, 'cannot load such file -- webrick')

    expect(command.call([])).to eq(2)
    expect(stderr.string).to start_with('metrics-server: cannot load such file -- webrick: install that gem')
  end
end
