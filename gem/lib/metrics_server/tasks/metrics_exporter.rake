# frozen_string_literal: true

namespace :gitlab do
  namespace :metrics_exporter do
    desc 'Install gitlab-metrics-exporter into a directory, or upgrade it there'
    task :install, [:dir] do |_task, arguments| # without :environment: nothing of the application is needed
      # A Rakefile that only loads this file may not have the gem on its path.
      lib = File.expand_path('../..', __dir__)
      $LOAD_PATH.unshift(lib) unless $LOAD_PATH.include?(lib)
      require 'metrics_server/filled'
      require 'metrics_server/installer'
      require 'metrics_server/wrapper'

      unless MetricsServer::Filled.of(arguments.dir)
        abort <<~TEXT
          Please specify the directory where you want to install the exporter
          Usage: rake "gitlab:metrics_exporter:install[/installation/dir]"
        TEXT
      end

      begin
        binary = MetricsServer::Installer.install(arguments.dir, root: MetricsServer.config.root)
      rescue MetricsServer::InstallError => e
        abort e.message
      end

      puts <<~TEXT
        gitlab-metrics-exporter is installed: #{binary}
        For Puma and Sidekiq to use it:
          1. put #{File.dirname(binary)} on their PATH
          2. set GITLAB_GOLANG_METRICS_SERVER=1 in their environment
      TEXT
    end
  end
end
