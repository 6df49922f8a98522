# frozen_string_literal: true

module MetricsServer
  class RubyServer
    # The signals of the process, as events in a queue: a signal handler itself
    # may do very little.
    module Signals
      STOP = %w[TERM INT].freeze
      # Those who supervise the application pass them on to the server too.
      IGNORED = %w[USR1 USR2 TTIN TTOU].freeze

      def self.deliver_to(events)
        IGNORED.each { |name| Signal.trap(name, 'IGNORE') }
        STOP.each { |name| Signal.trap(name) { events << :stop } }
        Signal.trap('HUP') { events << :reopen_log }
      end
    end
  end
end
