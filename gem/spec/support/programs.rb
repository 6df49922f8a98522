# frozen_string_literal: true

# Where the programs are that specs run.
module Programs
  GO_SERVER = File.expand_path('../../../bin/gitlab-metrics-exporter', __dir__)

  # The directory of the Go server's program.
  def self.go_directory
    return File.dirname(GO_SERVER) if File.executable?(GO_SERVER)

    raise 'bin/gitlab-metrics-exporter is missing: run make in the directory above gem first'
  end
end
