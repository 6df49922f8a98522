# frozen_string_literal: true

# live.rb DIR ID ROUNDS [CHILD...]: a process that counts ROUNDS times, each
# time a little more of everything, and forks one CHILD after the other on the
# way, which do the same under ids of their own. It says "done" on stdout when
# all that is counted in full, then goes on with counters named restless_...,
# until stdin ends or somebody kills it.

require_relative '../../../testdata/writers'

dir, first_id, rounds, *children = ARGV
ROUNDS = Integer(rounds)

# What the application's own pid provider does: see which process it is in.
$id = first_id
Writers.configure(dir, first_id)
Prometheus::Client.configuration.pid_provider = -> { $id }

# A pause now and then, or the whole run is over before a second scrape.
def pace(round) = (sleep 0.005 if (round % 5).zero?)

def count(metrics, rounds)
  rounds.times do |round|
    metrics.counter(:live_total, { worker: $id })
    # New series all the time: files grow while they are read.
    metrics.counter(:live_rounds_total, { worker: $id, round: "#{round / 4} #{'x' * (round / 4 % 97)}" }, 0.5)
    metrics.histogram(:live_seconds, { worker: $id, kind: round / 50 }, round % 3, buckets: [0, 1])
    metrics.summary(:live_summary, { worker: $id }, 2)
    metrics.gauge(:live_rounds, {}, round)
    metrics.gauge(:live_most, { worker: $id }, round, :max)
    yield round if block_given?
    pace(round)
  end
end

metrics = Metrics.new
forked = []
count(metrics, ROUNDS) do |round|
  next unless (round % 20).zero? && !children.empty?

  id = children.shift
  forked << fork do
    $id = id
    Prometheus::Client.reinitialize_on_pid_change
    count(metrics, ROUNDS)
  end
end
forked.each do |pid|
  _, status = Process.wait2(pid)
  abort "child ended with #{status}" unless status.success?
end

$stdout.puts 'done'
$stdout.flush
Thread.new do
  $stdin.read
  exit!(0)
end
(0..).each do |round|
  metrics.counter(:restless_total, { worker: $id })
  metrics.counter(:restless_rounds_total, { worker: $id, round: round % 200 })
  pace(round)
end
