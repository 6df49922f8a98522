# frozen_string_literal: true

# writer.rb DIR ID PROGRESS: counts until it is killed, with the real gem, as
# writer_test.go does. PROGRESS says in which round it is, and which it has done.

require_relative '../../../testdata/writers'

dir, id, progress = ARGV
Writers.configure(dir, id)
metrics = Metrics.new
progress = File.open(progress, 'r+b')
round = progress.pread(8, 8).unpack1('Q<')
loop do
  progress.pwrite([round + 1].pack('Q<'), 0)
  metrics.counter(:faults_ops_total, { writer: id })
  part = round / 64
  metrics.counter(:faults_grown_total, { part: part, writer: id }) if part < 50
  metrics.histogram(:faults_seconds, { writer: id }, round % 3, buckets: [0, 1])
  metrics.gauge(:faults_latest, { writer: id }, round + 1, :max)
  metrics.gauge(:faults_rounds, { writer: id }, round + 1)
  round += 1
  progress.pwrite([round].pack('Q<'), 8)
  sleep 0.02 if (round % 20).zero?
end
