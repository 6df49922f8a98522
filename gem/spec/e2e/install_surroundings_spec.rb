# frozen_string_literal: true

require_relative '../support/installation'

RSpec.describe MetricsServer::Installer, 'in its surroundings' do
  include Installation

  describe 'what the environment says' do
    let(:variables) do
      { 'GITLAB_METRICS_EXPORTER_REPO' => repository.path, 'GITLAB_METRICS_EXPORTER_VERSION' => '1.0' }
    end

    def install
      described_class.install(dir, root: tmp, env: env, out: out)
    end

    it 'is installed, whatever the application says' do
      File.write(File.join(tmp, 'GITLAB_METRICS_EXPORTER_VERSION'), "0.1.0\n")

      expect(what(install)).to start_with('1.0')
    end

    it 'gives way to the version of the application where it is blank' do
      File.write(File.join(tmp, 'GITLAB_METRICS_EXPORTER_VERSION'), "0.1.0\n")
      variables['GITLAB_METRICS_EXPORTER_VERSION'] = ' '

      expect(what(install)).to start_with('0.1.0')
    end

    it 'is where a checkout fetches from, now and later' do
      git('clone', '--quiet', ExporterRepository.copy_to(File.join(tmp, 'another')).path, dir, in_dir: tmp)
      install

      expect(git('config', 'remote.origin.url')).to eq(repository.path)
    end

    it 'gives way to the origin of the checkout where it is not set' do
      install
      env.delete('GITLAB_METRICS_EXPORTER_REPO')
      repository.release('1.1', tag: '1.1')
      env['GITLAB_METRICS_EXPORTER_VERSION'] = '1.1'

      expect(what(install)).to start_with('1.1')
    end
  end

  describe 'make' do
    let(:variables) { { 'PATH' => path } }

    context 'with both gmake and make' do
      let(:path) { path_with('git', 'make', *%w[sh mkdir cat chmod], gmake: 'echo "$#" > by-gmake; exec make "$@"') }

      it 'is gmake, without arguments' do
        install

        expect(File.read(File.join(dir, 'by-gmake'))).to eq("0\n")
      end
    end

    context 'with make only' do
      let(:path) { path_with(*%w[git make sh mkdir cat chmod]) }

      it('is make') { expect(what(install)).to end_with('built by make') }
    end
  end

  context 'when run by a git hook that make runs' do
    let(:outer) { File.join(tmp, 'outer') }
    let(:variables) do
      { 'GIT_DIR' => File.join(outer, '.git'), 'GIT_WORK_TREE' => outer, 'GIT_INDEX_FILE' => File.join(outer, 'index'),
        'MAKEFLAGS' => 'n', 'MAKELEVEL' => '1', 'MFLAGS' => '-n' }
    end

    it 'is not disturbed, and disturbs nothing' do
      ExporterRepository.copy_to(outer)
      expect { install }.not_to(change { git('status', '--branch', '--porcelain=v2', in_dir: outer) })

      expect(what(program)).to start_with('0.2.0')
    end
  end

  describe 'inside another repository' do
    let(:outer) { ExporterRepository.copy_to(File.join(tmp, 'application')) }
    let(:dir) { File.join(outer.path, 'tmp', 'test', 'gme') }

    def state
      [outer.git('rev-parse', 'HEAD'), outer.git('status', '--short', 'VERSION'), outer.git('config', '--list')]
    end

    it 'leaves that one alone' do
      File.write(File.join(outer.path, 'VERSION'), 'being edited')
      expect { %w[0.1.0 0.2.0].each { |version| install(version) } }.not_to(change { state })

      expect(what(program)).to start_with('0.2.0')
    end

    it 'leaves that one alone when the checkout is broken' do
      keep(File.join(dir, '.git', 'config'))
      expect { expect { install }.to fail_saying("git can't use #{dir} as a checkout", 'remove the directory') }
        .not_to(change { state })
    end
  end
end
