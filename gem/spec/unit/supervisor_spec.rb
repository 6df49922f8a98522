# frozen_string_literal: true

require 'metrics_server/supervisor'
require_relative '../support/fake_clock'

# Everything in one thread, with a clock that only passes in waits: what is
# noted is what happened, in order, and when.
RSpec.describe MetricsServer::Supervisor do
  let(:clock) { FakeClock.new }
  let(:journal) { [] }
  let(:health) { FakeHealth.new }

  before do
    stub_const('FakeHealth', Class.new do
      attr_accessor :answers

      def initialize = @answers = true
      def answers? = @answers
    end)
    # Lives until its time has come, or it is stopped.
    stub_const('FakeChild', Class.new do
      attr_reader :pid

      def initialize(pid, clock, until_time, journal)
        @pid = pid
        @clock = clock
        @until_time = until_time
        @journal = journal
      end

      def alive? = !@stopped && @clock.now < @until_time
      def fate = 'exit status 2'

      def stop(grace: 10)
        @journal << [@clock.now, :stopped, @pid, grace] if alive?
        @stopped = true
      end
    end)
    stub_const('FakeReport', Class.new do
      def initialize(journal, clock)
        @journal = journal
        @clock = clock
      end

      %i[starting ended not_started hung stable run_elsewhere gave_up].each do |event|
        define_method(event) { |*arguments, **named| @journal << [@clock.now, event, *arguments, *named.values] }
      end
    end)
  end

  # Servers that live so long, one after the other; the last one for ever.
  def supervisor(*lives, claim: -> { true })
    pids = (1..).each
    described_class.new(health: health, report: FakeReport.new(journal, clock), clock: clock, claim: claim) do
      life = lives.shift || Float::INFINITY
      raise Errno::ENOENT, 'no program' if life.zero?

      FakeChild.new(pids.next, clock, clock.now + life, journal)
    end
  end

  def run(supervisor, seconds)
    clock.at(seconds) { supervisor.stop }
    supervisor.run
    journal
  end

  it 'starts a server and stops it at the end' do
    expect(run(supervisor, 20)).to eq([[0, :starting, 1], [20, :stopped, 1, 10]])
  end

  it 'starts the next at once when one ends that had run well' do
    expect(run(supervisor(45), 50)).to eq(
      [[0, :starting, 1], [31, :stable, 1], [36, :stable, 1], [41, :stable, 1], [45, :ended, 'exit status 2', 0],
       [45, :starting, 2], [50, :stopped, 2, 10]]
    )
  end

  it 'waits longer and longer when it ends soon after each start' do
    run(supervisor(1, 1, 1, 1), 30)
    expect(journal.select { |event| event[1] == :starting }.map(&:first)).to eq([0, 2, 5, 10, 19])
  end

  it 'goes on when there is nothing to start' do
    run(supervisor(0, 0), 6)
    expect(journal.map do |event|
             event[0, 2]
           end).to eq([[0, :not_started], [1, :not_started], [3, :starting], [6, :stopped]])
  end

  it 'replaces a server that no longer answers' do
    clock.at(7) { health.answers = false }
    clock.at(22) { health.answers = true }
    expect(run(supervisor, 27)).to eq(
      [[0, :starting, 1], [21, :hung, 1], [21, :stopped, 1, 2], [21, :ended, 'exit status 2', 1],
       [22, :starting, 2], [27, :stopped, 2, 10]]
    )
  end

  it 'gives a server more time for its first answer' do
    health.answers = false
    clock.at(28) { health.answers = true }
    expect(run(supervisor, 29).map { |event| event[1] }).to eq(%i[starting stopped])
  end

  it 'kills one that never answers' do
    health.answers = false
    expect(run(supervisor, 31).map { |event| event[0, 2] }).to include([30, :hung])
  end

  it 'waits longer and longer for one that never answers, too' do
    health.answers = false
    run(supervisor, 140)
    expect(journal.select { |event| event[1] == :starting }.map(&:first)).to eq([0, 31, 63, 97, 135])
    expect(journal.select { |event| event[1] == :ended }.map(&:last)).to eq([1, 2, 3, 4])
  end

  it 'starts nothing while another process runs the server' do
    free = false
    clock.at(12) { free = true }
    expect(run(supervisor(claim: -> { free }), 20)).to eq(
      [[0, :run_elsewhere], [5, :run_elsewhere], [10, :run_elsewhere], [15, :starting, 1], [20, :stopped, 1, 10]]
    )
  end

  it 'goes on where it cannot be found out who runs the server' do
    claims = [-> { raise Errno::ENOENT, 'gone' }, -> { false }, -> { true }]
    expect(run(supervisor(claim: -> { claims.shift.call }), 20).map { |time, event| [time, event] }).to eq(
      [[0, :not_started], [5, :run_elsewhere], [10, :starting], [20, :stopped]]
    )
  end

  # As it does for a thread that waits its turn, or a process that was stopped.
  it 'goes on when time passes between two looks at the clock' do
    looks = 0
    allow(clock).to receive(:now).and_wrap_original do |now|
      now.call + ((looks += 1) * 0.3)
    end
    allow(clock).to receive(:wait).and_wrap_original do |wait, seconds|
      seconds.negative? ? raise(ArgumentError, 'time interval must not be negative') : wait.call(seconds)
    end
    expect(run(supervisor(0, 0, 0), 20).map { |event| event[1] }).to include(:starting).and end_with(:stopped)
  end

  it 'stops at once while it rests' do
    lives = Array.new(6, 1)
    run(supervisor(*lives), 45)
    expect(clock.now).to be < 47
  end

  it 'ends quietly, and leaves no server, when something unforeseen happens' do
    allow(health).to receive(:answers?).and_raise('unforeseen')
    expect(run(supervisor, 60).map { |event| event[1] }).to eq(%i[starting gave_up stopped])
  end

  it 'leaves no server when telling of its start fails' do
    stub_const('FakeReport', Class.new(FakeReport) { def starting(*) = raise('cannot be told') })
    expect(run(supervisor, 60).map { |event| event[1] }).to eq(%i[gave_up stopped])
  end

  # As fork does where there is none.
  it 'goes on when starting a server is not implemented' do
    attempts = 0
    unable = described_class.new(health: health, report: FakeReport.new(journal, clock), clock: clock) do
      attempts += 1
      raise NotImplementedError, 'fork'
    end
    run(unable, 2)
    expect([attempts, journal.map { |event| event[1] }.uniq]).to eq([2, [:not_started]])
  end

  it 'does nothing in a forked copy of its process' do
    one = supervisor.start
    copy = Process.fork do
      one.stop
      Process.exit!(0)
    end
    expect(Process.wait2(copy).last).to be_success
    one.stop
  end

  it 'stops without waiting for the end of a pause' do
    stub_const('MetricsServer::Supervisor::TICK', MetricsServer::Supervisor::CLAIM_EVERY)
    one = described_class.new(health: health, report: FakeReport.new(journal, clock), claim: -> { false }) { nil }.start
    wait_until('it rests') { journal.any? }
    started = monotonic
    one.stop
    expect(monotonic - started).to be < MetricsServer::Supervisor::TICK / 2.0
  end

  it 'stops a server that it is just asking whether it answers' do
    stub_const('MetricsServer::Child::GRACE', 0.2)
    asked = Queue.new
    allow(health).to receive(:answers?) { asked.push(true) && sleep }
    one = supervisor.start
    asked.pop
    one.stop
    expect(journal.last[1..2]).to eq([:stopped, 1])
  ensure
    one.instance_variable_get(:@thread).kill.join
  end

  it 'leaves no server that was just being started' do
    begun = Queue.new
    go_on = Queue.new
    one = described_class.new(health: health, report: FakeReport.new(journal, clock), clock: clock) do
      begun.push(true)
      go_on.pop
      FakeChild.new(1, clock, Float::INFINITY, journal)
    end.start
    begun.pop
    helper = Thread.new { sleep(0.1) && go_on.push(true) }
    one.stop
    expect(journal.map { |event| event[1] }).to eq(%i[starting stopped])
    helper.join
  end

  it 'says so when the unforeseen is something that cannot be loaded' do
    allow(health).to receive(:answers?).and_raise(LoadError, 'unforeseen')
    expect(run(supervisor, 60).map { |event| event[1] }).to eq(%i[starting gave_up stopped])
  end

  it 'stops while another process runs the server' do
    asked = 0
    expect(run(supervisor(claim: -> { (asked += 1) > 9 && raise('asked for ever') }), 7).map { |event| event[1] })
      .to eq(%i[run_elsewhere run_elsewhere])
  end

  it 'does not say again of a server that it ended when there is none any more' do
    expect(run(supervisor(1, 0), 3).map { |event| event[1] }).to eq(%i[starting ended not_started])
  end

  it 'says nothing of a server that does not answer because it is being stopped' do
    one = supervisor
    allow(health).to receive(:answers?) { one.instance_variable_set(:@stopping, true) && clock.wait(31) && false }
    one.run
    expect(journal.map { |event| event[1] }).to eq(%i[starting stopped])
  end

  it 'does not take one for hung that ended while it was asked' do
    allow(health).to receive(:answers?) { clock.wait(15) && false }
    expect(run(supervisor(31), 40).map { |event| event[1] }).to eq(%i[starting ended starting stopped])
  end

  it 'lets nothing at all out of its thread' do
    before = Thread.abort_on_exception
    Thread.abort_on_exception = true
    one = supervisor(claim: -> { raise NoMemoryError, 'unforeseen' }).start
    wait_until('its thread has ended') { !one.instance_variable_get(:@thread).alive? }
    expect { one.stop }.not_to raise_error
    expect(journal.map { |event| event[1] }).to eq([:gave_up])
  ensure
    Thread.abort_on_exception = before
  end
end
