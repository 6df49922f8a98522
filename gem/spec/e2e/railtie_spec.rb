# frozen_string_literal: true

require 'open3'
require 'rbconfig'
require_relative '../support/example_application'

# The example application's code, run for real by something that is neither Puma
# nor Sidekiq.
RSpec.describe 'The Railtie' do
  let(:env) do
    { 'BUNDLE_GEMFILE' => nil, 'RUBYOPT' => nil, 'WEB_EXPORTER_PORT' => '8083', 'RAILS_LOG_LEVEL' => 'error' }
  end

  def run_in_application(*command, **more)
    output, status = Open3.capture2e(env.merge(more.transform_keys(&:to_s)), *command, chdir: ExampleApplication::ROOT)
    raise output unless status.success?

    output
  end

  def ruby(code, **more)
    run_in_application(RbConfig.ruby, '-e', code, **more)
  end

  it 'lets settings be made in Ruby, which win' do
    expect(ruby(<<~RUBY)).to eq("9083 127.0.0.1 false\n")
      require './config/application'
      Rails.application.config.metrics_server.web_exporter.port = 9083
      Rails.application.config.metrics_server.golang_server = false
      Rails.application.initialize!
      puts [MetricsServer.settings('puma').port, MetricsServer.settings('puma').address, MetricsServer.config.golang_server?].join(' ')
    RUBY
  end

  it 'takes root, environment and logger from Rails' do
    expect(ruby(<<~RUBY, RAILS_ENV: 'test')).to eq("#{ExampleApplication::ROOT} test true\n")
      require './config/environment'
      config = MetricsServer.config
      puts [config.root, config.environment, config.logger.equal?(Rails.logger)].join(' ')
    RUBY
  end

  it "takes rails server for Puma, also where the application loads Sidekiq's command line" do
    expect(ruby(<<~RUBY, prometheus_multiproc_dir: tmp)).to eq("puma_master\n")
      require './config/application'
      require 'rails/command'
      require 'rails/commands/server/server_command'
      require 'sidekiq/cli'
      Rails.application.initialize!
      puts MetricsServer.application.process_name
    RUBY
  end

  it 'brings the rake task' do
    expect(run_in_application('bundle', 'exec', 'rake', '-T')).to include('rake gitlab:metrics_exporter:install[dir]')
  end

  it 'says nothing to whoever has Ruby warn of everything' do
    lib = File.expand_path('../../lib', __dir__)
    output = ruby(<<~RUBY, RUBYOPT: '-w -W:deprecated')
      require './config/environment'
      require 'puma'
      require 'puma/plugin'
      Dir['#{lib}/**/*.rb'].each { |file| require file }
    RUBY
    expect(output.lines.grep(/\A#{Regexp.escape(lib)}.*warning:/)).to eq([])
  end

  it 'wipes nothing in a process that is neither of Puma nor of Sidekiq, and names it' do
    counter = File.join(tmp, 'counter_puma_0-0.db')
    File.binwrite(counter, "\x08\0\0\0\0\0\0\0")
    ruby('require "./config/environment"; Shop::Metrics::REQUESTS.increment', prometheus_multiproc_dir: tmp)
    expect(File.exist?(counter)).to be(true)
    expect(Dir.children(tmp)).to include(/\Acounter_process_\d+-0\.db\z/)
  end

  it 'says that an application which has the client write elsewhere should not' do
    [tmp, "#{tmp}/other"].each { |dir| FileUtils.mkdir_p(dir) }
    output = ruby(<<~RUBY, prometheus_multiproc_dir: tmp, RAILS_LOG_LEVEL: 'warn')
      require './config/application'
      MetricsServer.application.prepare('puma')
      Rails.application.initializer('own', after: :load_config_initializers) do
        Prometheus::Client.configuration.multiprocess_files_dir = '#{tmp}/other'
      end
      Rails.application.initialize!
    RUBY
    expect(output.scan("multiprocess_files_dir of the Prometheus client to #{tmp}/other, but").size).to eq(1)
  end

  it 'leaves an application without gitlab.yml alone' do
    expect(ruby(<<~RUBY, GITLAB_CONFIG: File.join(tmp, 'none.yml'))).to eq("false false\n")
      require './config/environment'
      puts %w[puma sidekiq].map { |target| MetricsServer.settings(target).enabled }.join(' ')
    RUBY
  end

  it 'does not keep an application from booting whose name cannot be taken' do
    expect(ruby(<<~RUBY, prometheus_multiproc_dir: tmp)).to include("booted\n")
      require './config/application'
      MetricsServer.application.define_singleton_method(:take_name) { raise 'broken' }
      Rails.application.initialize!
      puts 'booted'
    RUBY
  end

  it 'has metrics that rails server touches before it starts Puma in their place' do
    expect(ruby(<<~RUBY, prometheus_multiproc_dir: tmp)).to end_with("puma_master\n")
      require "rails"; require "rails/command"
      Rails::Server = Class.new
      require './config/environment'
      puts Prometheus::Client.configuration.pid_provider.call
    RUBY
  end
end
