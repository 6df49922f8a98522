# frozen_string_literal: true

module MetricsServer
  # Reads yes and no as people write them in YAML and in environment variables.
  module Boolean
    YES = %w[true t yes y on 1].freeze
    NO = %w[false f no n off 0].freeze

    # true, false, or nil for anything else.
    def self.parse(value)
      text = value.to_s.strip.downcase
      return true if YES.include?(text)

      false if NO.include?(text)
    end
  end
end
