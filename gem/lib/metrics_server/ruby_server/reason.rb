# frozen_string_literal: true

module MetricsServer
  class RubyServer
    # Errors in the words of the system, for people.
    module Reason
      # 'Permission denied' of 'Permission denied @ rb_sysopen - /some/file', and
      # only the first line: some messages show source code after it. A path in it
      # may be anything.
      def self.of(error)
        text = error.message.scrub.lines.first.to_s.strip
        error.is_a?(SystemCallError) ? text.sub(/ (@|-) .*/, '') : text
      end
    end
  end
end
