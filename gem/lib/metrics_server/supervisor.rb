# frozen_string_literal: true

require 'metrics_server/backoff'
require 'metrics_server/child'
require 'metrics_server/clock'

module MetricsServer
  # Keeps one metrics server running beside the application, in a thread:
  #
  #   claim ──▶ launch ──▶ watch ──▶ it ended, or hung and was killed ──▶ rest ──┐
  #               ▲                                                              │
  #               └──────────────────────────────────────────────────────────────┘
  #
  # Nothing that happens here is raised into the application.
  class Supervisor
    TICK = 1 # seconds between two looks at the process
    CHECK_EVERY = 5 # seconds between two questions whether it answers
    BOOT = 30 # seconds that it may take to answer for the first time
    PATIENCE = 15 # seconds without an answer after which it counts as hung
    HUNG_GRACE = 2 # seconds that a hung server has to end by itself
    CLAIM_EVERY = 5 # seconds between two attempts to become the one that runs the server

    # health: answers whether the server answers?. report: a Report. claim:
    # called until it returns true, by the process that is to run the server.
    # The block starts a server and returns a Child; it may raise.
    def initialize(health:, report:, clock: Clock.new, claim: -> { true }, &launch)
      @health = health
      @report = report
      @clock = clock
      @claim = claim
      @launch = launch
      @backoff = Backoff.new
      @owner = Process.pid
      @stopping = false
    end

    # Returns at once.
    def start
      @thread = Thread.new { run }
      self
    end

    # Stops the server and the thread. Does nothing in a forked copy of the
    # process that made it, and nothing a second time. Not for signal
    # handlers, where no lock may be taken: call it from a thread there.
    def stop
      return unless @owner == Process.pid

      @stopping = true
      @clock.wake
      @child&.stop
      @thread&.join(Child::GRACE)
    end

    # What the thread does. Nothing leaves it: with Thread.abort_on_exception the
    # application would end, and else stop would raise it.
    def run
      wait_for_claim
      run_once until @stopping
    rescue Exception => e # rubocop:disable Lint/RescueException
      @report.gave_up(e)
    ensure
      @child&.stop
    end

    private

    def wait_for_claim
      rest(CLAIM_EVERY) until @stopping || claimed?
    end

    def claimed?
      return true if @claim.call

      @report.run_elsewhere
      false
    rescue SystemCallError => e # the directory is gone, for now
      @report.not_started(e)
      false
    end

    def run_once
      started = @clock.now
      answered = watch(started) if launch
      return if @stopping

      # One that never answered did not run well, however long it was there.
      pause = @backoff.ended_after(answered ? @clock.now - started : 0)
      @report.ended(@child.fate, failures: @backoff.failures) if @child
      rest(pause)
    end

    # Only that: once there is a process, nothing may make us forget it.
    def launch
      @child = @launch.call
    rescue StandardError, ScriptError => e
      @child = nil
      @report.not_started(e)
      nil
    end

    # Returns when the child has ended, or is to: when it answered last, if ever.
    def watch(started)
      @report.starting(@child.pid)
      answered = nil
      while rest_while_alive(answered ? CHECK_EVERY : TICK)
        answered = @clock.now if @health.answers?
        replace_hung if @clock.now >= (answered ? answered + PATIENCE : started + BOOT)
        praise(started) if answered
      end
      answered
    end

    def replace_hung
      return if @stopping || !@child.alive?

      @report.hung(@child.pid)
      @child.stop(grace: HUNG_GRACE)
    end

    def praise(started)
      return if @clock.now - started < Backoff::STABLE

      @report.stable(@child.pid)
    end

    # Whether the child still runs after so many seconds; at once if it does not.
    def rest_while_alive(seconds)
      wake_at = @clock.now + seconds
      @clock.wait(TICK) while !@stopping && @child.alive? && @clock.now < wake_at
      !@stopping && @child.alive?
    end

    def rest(seconds)
      wake_at = @clock.now + seconds
      @clock.wait(TICK) while !@stopping && @clock.now < wake_at
    end
  end
end
