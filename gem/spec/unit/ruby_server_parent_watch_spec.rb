# frozen_string_literal: true

require 'metrics_server/ruby_server/parent_watch'

RSpec.describe MetricsServer::RubyServer::ParentWatch do
  it 'sees that the parent of this process is there' do
    expect(described_class.new(Process.ppid)).not_to be_gone
  end

  it 'sees when another process has ended' do
    pid = Process.spawn('sleep', '60')
    watch = described_class.new(pid)
    expect(watch).not_to be_gone
    Process.kill('KILL', pid)
    Process.wait(pid)

    expect(watch).to be_gone
  end

  it 'takes a process that it may not signal for one that is there' do
    allow(Process).to receive(:kill).with(0, 1).and_raise(Errno::EPERM)

    expect(described_class.new(1)).not_to be_gone
  end

  it 'goes by the parent that the system names, not by an id that may be given again' do
    allow(Process).to receive(:ppid).and_return(Process.pid, 1)

    expect(described_class.new(Process.pid)).to be_gone
  end

  it 'ends a process that hangs' do
    stub_const("#{described_class}::PATIENCE", 0.1)
    ended = Process.spawn('true')
    Process.wait(ended)
    hanging = fork do
      described_class.new(ended).start { nil }
      Thread::Queue.new.pop
    end

    expect(wait_until('it ends', within: 5) { Process.wait(hanging, Process::WNOHANG) }).to eq(hanging)
  end
end
