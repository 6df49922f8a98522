# frozen_string_literal: true

require 'metrics_server/target'

RSpec.describe MetricsServer::Target do
  it 'finds a target by its name, as String or Symbol' do
    expect(described_class.named('puma').exporter).to eq('web_exporter')
    expect(described_class.named(:sidekiq).exporter).to eq('sidekiq_exporter')
  end

  [nil, '', 'Puma', 'unicorn', 'puma '].each do |name|
    it "refuses #{name.inspect}" do
      expect { described_class.named(name) }.to raise_error(RuntimeError, 'Target must be one of [puma,sidekiq]')
    end
  end

  it 'has the defaults of GitLab' do
    common = { enabled: false, address: 'localhost', tls_enabled: false, tls_cert_path: nil, tls_key_path: nil }
    expect(described_class.named('puma').defaults).to eq(common.merge(port: 8083, log_enabled: true))
    expect(described_class.named('sidekiq').defaults).to eq(common.merge(port: 8082, log_enabled: false))
  end
end
