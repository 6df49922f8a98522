# frozen_string_literal: true

require 'metrics_server/clock'

RSpec.describe MetricsServer::Clock do
  it 'is not moved by whoever sets the time' do
    expect(described_class.new.now).to be_within(0.5).of(monotonic)
  end

  it 'is woken' do
    clock = described_class.new
    waiting = Thread.new { clock.wait(10) }
    wait_until('it waits') { waiting.status == 'sleep' }
    clock.wake
    expect(waiting.join(1)).to be(waiting)
  end
end
