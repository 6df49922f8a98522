# frozen_string_literal: true

# Runs blocks as processes of an application that keeps its metrics with the
# real gem prometheus-client-mmap, so that every *.db file a test reads was
# written by the code that writes them in production.

# Set before the gem is loaded: without it every process leaves a directory
# behind in the temporary directory.
ENV['prometheus_multiproc_dir'] ||= '.'

require 'json'
require 'logger'
require 'prometheus/client'

# A registry that registers on first use. Options are a metric's base labels,
# a histogram's buckets and a gauge's mode.
class Metrics
  def initialize
    @registry = Prometheus::Client::Registry.new
  end

  def counter(name, labels = {}, by = 1)
    metric(name) { |r| r.counter(name, 'help') }.increment(labels, by)
  end

  def gauge(name, labels, value, mode = :all)
    metric(name) { |r| r.gauge(name, 'help', {}, mode) }.set(labels, value)
  end

  def summary(name, labels, *values)
    summary = metric(name) { |r| r.summary(name, 'help') }
    values.each { |value| summary.observe(labels, value) }
  end

  def histogram(name, labels, *values, buckets: Prometheus::Client::Histogram::DEFAULT_BUCKETS)
    histogram = metric(name) { |r| r.histogram(name, 'help', {}, buckets) }
    values.each { |value| histogram.observe(labels, value) }
  end

  private

  def metric(name)
    @registry.get(name) || yield(@registry)
  end
end

# The processes that write into one directory.
class Writers
  # How Array#to_json, which makes the keys, may differ from the plain one.
  ENCODERS = {
    plain: nil,
    # What ActiveSupport does in every Rails application, unless told not to.
    active_support: lambda do |json|
      json.gsub(/[<>&\u2028\u2029]/) { |char| format('\u%04x', char.ord) }
    end,
    escape_slash: ->(json) { json.gsub('/', '\/') },
    ascii_only: ->(json) { JSON.generate(JSON.parse(json), ascii_only: true) }
  }.freeze

  def self.open(dir)
    writers = new(dir)
    yield writers
  ensure
    writers.release
  end

  # Makes this very process write into dir under the given pid text.
  def self.configure(dir, id)
    Prometheus::Client.configure do |config|
      config.multiprocess_files_dir = dir
      config.pid_provider = -> { id }
      # The gem only logs what it could not write: tests look at stderr.
      config.logger = Logger.new($stderr, level: Logger::INFO)
    end
  end

  def initialize(dir)
    @dir = dir
    @held = []
  end

  # Runs the block in a new process with this pid text and returns when the
  # block has ended. With hold the process lives on, and so keeps its files
  # locked, until release.
  def run(id, encoder: :plain, hold: false)
    done, done_w = IO.pipe
    stop, stop_w = IO.pipe
    pid = fork do
      [done, stop_w].each(&:close)
      encode_with(ENCODERS.fetch(encoder))
      Writers.configure(@dir, id)
      yield Metrics.new
      done_w.write('done')
      stop.read if hold
    end
    [done_w, stop].each(&:close)
    ok = done.read(4) == 'done'
    hold && ok ? @held << [pid, stop_w] : reap(pid, stop_w)
    raise "writer #{id} failed" unless ok
  ensure
    done&.close
  end

  def release
    # All pipes first: a process forked later has inherited the earlier ones.
    @held.each { |_, stop| stop.close }
    @held.shift.then { |pid, stop| reap(pid, stop) } until @held.empty?
  end

  private

  def encode_with(encoder)
    return unless encoder

    Array.prepend(Module.new { define_method(:to_json) { |*args| encoder.call(super(*args)) } })
  end

  def reap(pid, stop)
    stop.close
    _, status = Process.wait2(pid)
    raise "writer process ended with #{status}" unless status.success?
  end
end
