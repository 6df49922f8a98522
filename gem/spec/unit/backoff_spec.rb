# frozen_string_literal: true

require 'metrics_server/backoff'

RSpec.describe MetricsServer::Backoff do
  subject(:backoff) { described_class.new }

  it 'waits twice as long after each start that failed, up to a minute' do
    expect(Array.new(9) { backoff.ended_after(0.1) }).to eq([1, 2, 4, 8, 16, 32, 60, 60, 60])
  end

  it 'does not wait after a server that had run well, and begins anew' do
    3.times { backoff.ended_after(1) }
    expect([backoff.ended_after(30), backoff.failures, backoff.ended_after(1)]).to eq([0, 0, 1])
  end
end
