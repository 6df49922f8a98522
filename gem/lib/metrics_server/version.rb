# frozen_string_literal: true

module MetricsServer
  # The gem's own version. Which version of the Go server is installed with it
  # is another matter: see MetricsServer.version.
  VERSION = '0.1.0'
end
