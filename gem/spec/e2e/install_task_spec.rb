# frozen_string_literal: true

require_relative '../support/installation'

RSpec.describe 'rake gitlab:metrics_exporter:install' do
  include Installation

  let(:lib) { File.expand_path('../../lib', __dir__) }
  let(:application) { File.join(tmp, 'application') }
  let(:variables) { { 'GITLAB_METRICS_EXPORTER_REPO' => repository.path } }

  # Nothing but Ruby and rake: not even the gem's lib is on the load path.
  def rake(*arguments, lib: self.lib)
    FileUtils.mkdir_p(application)
    File.write(File.join(application, 'Rakefile'), "load '#{lib}/metrics_server/tasks/metrics_exporter.rake'\n")
    clean = env.merge('RUBYLIB' => nil, 'RUBYOPT' => nil)
    Open3.capture3(clean, 'rake', *arguments, chdir: application)
  end

  def task(dir = self.dir)
    "gitlab:metrics_exporter:install[#{dir}]"
  end

  it 'installs, and says what to do next' do
    FileUtils.mkdir_p(application)
    File.write(File.join(application, 'GITLAB_METRICS_EXPORTER_VERSION'), "0.1.0\n")
    output, error, status = rake(task)

    expect([error, status.exitstatus]).to eq(['', 0])
    expect(output).to include("is installed: #{program}", "put #{dir}/bin on", 'set GITLAB_GOLANG_METRICS_SERVER=1')
    expect(what(program)).to start_with('0.1.0')
  end

  ['', '[]', '[ ]'].each do |arguments|
    it "asks for the directory when given #{arguments.inspect}" do
      _, error, status = rake("gitlab:metrics_exporter:install#{arguments}")

      expect(status.exitstatus).to eq(1)
      expect(error).to eq(<<~TEXT)
        Please specify the directory where you want to install the exporter
        Usage: rake "gitlab:metrics_exporter:install[/installation/dir]"
      TEXT
    end
  end

  it 'says what went wrong, without a backtrace' do
    variables['GITLAB_METRICS_EXPORTER_VERSION'] = '9.9.9'
    _, error, status = rake(task)

    expect(status.exitstatus).to eq(1)
    expect(error).to start_with("Couldn't fetch v9.9.9")
    expect(error).not_to match(/rake aborted|\.rb:\d/)
  end

  it('is listed') { expect(rake('--tasks').first).to match(/install\[dir\]\s+# Install/) }

  describe 'when no repository is named' do
    let(:variables) { { 'GITLAB_METRICS_EXPORTER_VERSION' => 'HEAD' } }

    # As a gem in vendor/ of an application that is itself a git checkout.
    it 'asks for one when the gem is not in a checkout of the exporter' do
      vendored = File.join(ExporterRepository.copy_to(application).path, 'gem')
      FileUtils.mkdir_p(vendored)
      FileUtils.cp_r([lib, File.join(lib, '..', 'GITLAB_METRICS_EXPORTER_VERSION')], vendored)
      _, error, status = rake(task, lib: File.join(vendored, 'lib'))

      expect(status.exitstatus).to eq(1)
      expect(error).to start_with('Set GITLAB_METRICS_EXPORTER_REPO to the address of the git repository')
    end

    # With the HOME and the Go of whoever runs this: modules come from their cache.
    it 'builds the real program from the checkout that the gem is in' do
      skip 'there is no Go here' if ENV['SPECS_WITHOUT_GO'] && !MetricsServer::Installer::Command.find('go', env: ENV)

      env['HOME'] = Dir.home
      output, error, = rake(task)
      expect([output, error]).to match([/is installed: #{program}/, ''])

      version = File.read(File.join(dir, 'VERSION')).chomp
      expect(what(program, '--version')).to start_with("gitlab-metrics-exporter, version #{version}")
    end
  end
end
