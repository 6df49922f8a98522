# frozen_string_literal: true

module MetricsServer
  # Tells a setting from none: what is blank, in YAML or in the environment, was not given.
  module Filled
    # value, or nil where it is nil or blank. Text need not be valid in its encoding.
    def self.of(value)
      value unless value.to_s.scrub.strip.empty?
    end
  end
end
