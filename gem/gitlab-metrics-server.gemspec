# frozen_string_literal: true

require_relative 'lib/metrics_server/version'

Gem::Specification.new do |spec|
  spec.name = 'gitlab-metrics-server'
  spec.version = MetricsServer::VERSION
  spec.authors = ['The gitlab-metrics-exporter maintainers']
  spec.summary = 'Serves the metrics of Puma and Sidekiq beside the application, not in it'
  spec.description = <<~TEXT
    Spawns and supervises a metrics server beside Puma and Sidekiq: gitlab-metrics-exporter, written in Go, or a server
    in Ruby. It reads the files of prometheus-client-mmap and serves one /metrics page for all processes.
  TEXT
  spec.license = 'MIT'
  spec.required_ruby_version = '>= 3.0'

  spec.files = Dir.chdir(__dir__) { Dir['lib/**/*.{rb,rake}', 'exe/*', 'README.md', 'GITLAB_METRICS_EXPORTER_VERSION'] }
  spec.bindir = 'exe'
  spec.executables = ['metrics-server']

  spec.add_dependency 'logger' # does not come with Ruby 4.0 and newer
  spec.add_dependency 'prometheus-client-mmap', '>= 0.16'
  spec.add_dependency 'rack', '>= 2.2'
  spec.add_dependency 'webrick', '>= 1.7'

  spec.metadata['rubygems_mfa_required'] = 'true'
end
