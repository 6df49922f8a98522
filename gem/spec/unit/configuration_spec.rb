# frozen_string_literal: true

require 'logger'
require 'pathname'
require 'stringio'
require 'metrics_server/configuration'

RSpec.describe MetricsServer::Configuration do
  subject(:config) { described_class.new(env: env).tap { |config| config.root = tmp } }

  let(:env) { {} }
  let(:puma) { MetricsServer::Target.named('puma') }
  let(:sidekiq) { MetricsServer::Target.named('sidekiq') }

  def gitlab_yml(text, path = File.join(tmp, 'config', 'gitlab.yml'))
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
    path
  end

  # What Rails says of itself.
  def rails(**values)
    stub_const('Rails', Module.new { values.each { |name, value| define_singleton_method(name) { value } } })
  end

  describe '#settings' do
    let(:log) { StringIO.new }

    before { config.logger = Logger.new(log, formatter: ->(level, _, _, text) { "#{level} #{text}\n" }) }

    it 'has the defaults of both targets without a file' do
      common = { enabled: false, address: 'localhost', tls_enabled: false, tls_cert_path: nil, tls_key_path: nil }
      expect(config.settings(puma).to_h).to eq(common.merge(port: 8083, log_enabled: true))
      expect(config.settings(sidekiq).to_h).to eq(common.merge(port: 8082, log_enabled: false))
    end

    it 'reads config/gitlab.yml below the root, in the section of the environment' do
      gitlab_yml(<<~YAML)
        development: { monitoring: { web_exporter: { port: 1 }, sidekiq_exporter: { enabled: true } } }
        production: { monitoring: { web_exporter: { port: 2 } } }
      YAML
      expect(config.settings(puma).port).to eq(1)
      expect(config.settings(sidekiq).enabled).to be(true)
      config.environment = :production
      expect(config.settings(puma).port).to eq(2)
      expect(config.settings(sidekiq).enabled).to be(false)
    end

    it 'honours false where the default is true' do
      gitlab_yml("development: { monitoring: { web_exporter: { log_enabled: false } } }\n")
      expect(config.settings(puma).log_enabled).to be(false)
    end

    it 'falls back to the default where the file says nothing' do
      gitlab_yml("development: { monitoring: { web_exporter: { log_enabled: null, port: , address: ~ } } }\n")
      expect(config.settings(puma).to_h).to include(log_enabled: true, port: 8083, address: 'localhost')
    end

    it 'lets Ruby win, with false too, and only for its own target' do
      gitlab_yml(<<~YAML)
        development:
          monitoring:
            web_exporter: &all { enabled: true, port: 1, log_enabled: true }
            sidekiq_exporter: *all
      YAML
      config.web_exporter.port = 9083
      config.web_exporter.log_enabled = false
      expect(config.settings(puma).to_h).to include(enabled: true, port: 9083, log_enabled: false)
      expect(config.settings(sidekiq).to_h).to include(enabled: true, port: 1, log_enabled: true)
    end

    it 'names a wrong value, wherever it comes from' do
      config.sidekiq_exporter.port = 'x'
      expect { config.settings(sidekiq) }
        .to raise_error(MetricsServer::SettingsError, /\Amonitoring\.sidekiq_exporter\.port is "x", but must be /)
    end

    it 'refuses to set what does not exist' do
      expect { config.web_exporter.prot = 1 }.to raise_error(NoMethodError)
    end

    it 'warns once of each key that it does not know' do
      path = gitlab_yml(<<~YAML)
        development:
          monitoring:
            web_exporter: { enabled: true, prot: 1, 8083: x }
            sidekiq_exporter: { prot: 1 }
      YAML
      3.times { expect(config.settings(puma).port).to eq(8083) }
      config.settings(sidekiq)
      known = 'known are enabled, address, port, log_enabled, tls_enabled, tls_cert_path, tls_key_path'
      expect(log.string.lines(chomp: true)).to eq(
        ["WARN #{path}: monitoring.web_exporter.prot is unknown and ignored; #{known}",
         "WARN #{path}: monitoring.web_exporter.8083 is unknown and ignored; #{known}",
         "WARN #{path}: monitoring.sidekiq_exporter.prot is unknown and ignored; #{known}"]
      )
    end

    it 'warns of nothing else' do
      gitlab_yml("development: { monitoring: { web_exporter: { enabled: true }, other: { prot: 1 } } }\n")
      config.settings(puma)
      config.settings(sidekiq)
      expect(log.string).to eq('')
    end
  end

  describe '#config_file' do
    it 'is config/gitlab.yml below the root' do
      expect(config.config_file).to eq(File.join(tmp, 'config', 'gitlab.yml'))
    end

    it 'is what GITLAB_CONFIG says, unless that is blank' do
      env['GITLAB_CONFIG'] = '/etc/gitlab.yml'
      expect(config.config_file).to eq('/etc/gitlab.yml')
      env['GITLAB_CONFIG'] = ' '
      expect(config.config_file).to start_with(tmp)
    end

    it 'is what Ruby says before that' do
      env['GITLAB_CONFIG'] = '/etc/gitlab.yml'
      config.config_file = Pathname.new('/opt/gitlab.yml')
      expect(config.config_file.to_s).to eq('/opt/gitlab.yml')
    end
  end

  describe '#environment' do
    it 'is development when nothing says otherwise' do
      expect(config.environment).to eq('development')
    end

    it 'comes from Ruby, Rails, RAILS_ENV, RACK_ENV, in this order' do
      env['RACK_ENV'] = 'from_rack'
      expect(config.environment).to eq('from_rack')
      env['RAILS_ENV'] = 'from_variable'
      expect(config.environment).to eq('from_variable')
      rails(env: :from_rails)
      expect(config.environment).to eq('from_rails')
      config.environment = :from_ruby
      expect(config.environment).to eq('from_ruby')
    end

    it 'takes no notice of blank variables' do
      env.update('RAILS_ENV' => '', 'RACK_ENV' => ' ')
      expect(config.environment).to eq('development')
    end
  end

  describe '#metrics_dir' do
    it 'is tmp/prometheus_multiproc_dir below the root, one for each target' do
      expect(config.metrics_dir(puma)).to eq("#{tmp}/tmp/prometheus_multiproc_dir/puma")
      expect(config.metrics_dir(sidekiq)).to eq("#{tmp}/tmp/prometheus_multiproc_dir/sidekiq")
    end

    it 'is what prometheus_multiproc_dir says, unless that is blank' do
      env['prometheus_multiproc_dir'] = '/run/metrics'
      expect(config.metrics_dir(puma)).to eq('/run/metrics')
      env['prometheus_multiproc_dir'] = ''
      expect(config.metrics_dir(puma)).to start_with(tmp)
    end

    it 'is what Ruby says before that' do
      env['prometheus_multiproc_dir'] = '/run/metrics'
      config.metrics_dir = Pathname.new('/run/mine')
      expect(config.metrics_dir(puma)).to eq('/run/mine')
    end

    # Whose *.db would be wiped.
    it 'is never the root for being blank' do
      config.metrics_dir = ' '
      expect(config.metrics_dir(puma)).to eq("#{tmp}/tmp/prometheus_multiproc_dir/puma")
    end

    it 'is absolute: below the root, not where the process happens to be' do
      env['prometheus_multiproc_dir'] = 'a/../metrics'
      expect(config.metrics_dir(puma)).to eq("#{tmp}/metrics")
      config.root = Pathname.new(tmp)
      config.metrics_dir = 'mine'
      expect(config.metrics_dir(puma)).to eq("#{tmp}/mine")
    end
  end

  describe '#root' do
    it 'comes from Ruby, Rails, the working directory, in this order' do
      config.root = nil
      expect(config.root).to eq(Dir.pwd)
      rails(root: Pathname.new('/srv/app'))
      expect(config.root).to eq('/srv/app')
      config.root = '/srv/other'
      expect(config.root).to eq('/srv/other')
    end

    it 'is not asked of a Rails that has none yet' do
      rails(root: nil)
      config.root = nil
      expect(config.root).to eq(Dir.pwd)
    end

    it 'stays the same when the application goes to another directory' do
      config.root = nil
      config.metrics_dir(puma) # as at the start
      Dir.chdir('/') { expect(config.root).not_to eq('/') }
    end

    it 'holds the log files' do
      config.root = Pathname.new('/srv/app')
      expect(config.log_file(puma)).to eq('/srv/app/log/web_exporter.log')
      expect(config.log_file(sidekiq)).to eq('/srv/app/log/sidekiq_exporter.log')
    end
  end

  it 'takes what is blank for not set, in Ruby too' do
    config.root = config.environment = config.config_file = config.binary_dir = ''
    expect([config.root, config.environment, config.binary_dir]).to eq([Dir.pwd, 'development', nil])
    expect(config.config_file).to eq(File.join(Dir.pwd, 'config', 'gitlab.yml'))
  end

  it 'knows where the program of the Go server is' do
    config.binary_dir = Pathname.new('/opt/bin')
    expect(config.binary_dir).to eq('/opt/bin')
  end

  it 'takes relative paths as below the root, wherever the process is' do
    gitlab_yml('development: { monitoring: { web_exporter: { tls_cert_path: config/c.pem, tls_key_path: /k.pem } } }')
    env['GITLAB_CONFIG'] = 'config/gitlab.yml'
    config.binary_dir = 'bin'
    Dir.chdir(tmp) { config.root = '.' }
    Dir.chdir('/') do
      expect(config.binary_dir).to eq("#{tmp}/bin")
      settings = config.settings(puma)
      expect([settings.tls_cert_path, settings.tls_key_path]).to eq(["#{tmp}/config/c.pem", '/k.pem'])
    end
  end

  it 'says of what is no path that it is a wrong setting' do
    wrong = '~nobody of that name/x'
    config.binary_dir = env['prometheus_multiproc_dir'] = env['GITLAB_CONFIG'] = wrong
    [-> { config.binary_dir }, -> { config.metrics_dir(puma) }, -> { config.settings(puma) }].each do |ask|
      expect(&ask).to raise_error(MetricsServer::SettingsError, /"#{wrong}" can't be a path/)
    end
  end

  describe '#golang_server?' do
    { nil => false, '' => false, '1' => true, 'true' => true, 'yes' => true, '0' => false, 'false' => false,
      'perhaps' => false }.each do |value, answer|
      it "is #{answer} when the variable is #{value.inspect}" do
        env['GITLAB_GOLANG_METRICS_SERVER'] = value if value
        expect(config.golang_server?).to be(answer)
      end
    end

    it 'understands in Ruby what it understands in the variable' do
      config.golang_server = 'false'
      expect(config.golang_server?).to be(false)
      config.golang_server = ''
      env['GITLAB_GOLANG_METRICS_SERVER'] = '1'
      expect(config.golang_server?).to be(true)
    end

    it 'is what Ruby says before that' do
      env['GITLAB_GOLANG_METRICS_SERVER'] = 'true'
      config.golang_server = false
      expect(config.golang_server?).to be(false)
      env.clear
      config.golang_server = true
      expect(config.golang_server?).to be(true)
    end
  end

  describe '#logger' do
    it 'writes on standard error by itself' do
      expect { config.logger.warn('hello') }.to output(/hello/).to_stderr
      expect(config.logger).to be(config.logger)
    end

    it 'is the one of Rails, or the one that Ruby says' do
      rails(logger: :logger_of_rails)
      expect(config.logger).to eq(:logger_of_rails)
      config.logger = :mine
      expect(config.logger).to eq(:mine)
    end
  end
end
