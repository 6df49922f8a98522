# frozen_string_literal: true

module MetricsServer
  # What every error of this gem is. The message says what is wrong, where, and
  # what to do.
  class Error < StandardError
  end

  # A setting has a value that it cannot have. The message names the setting.
  class SettingsError < Error
  end
end
