# frozen_string_literal: true

require_relative '../support/installation'

RSpec.describe MetricsServer::Installer, 'when it fails' do
  include Installation

  describe 'for want of a program' do
    let(:variables) { { 'PATH' => path_with(*programs) } }

    context 'without make' do
      let(:programs) { ['git'] }

      it 'says so before it clones' do
        expect { install }.to fail_saying("Couldn't find a 'make' binary", 'Install GNU make')
        expect(File).not_to exist(dir)
      end
    end

    context 'without git' do
      let(:programs) { ['make'] }

      it('says so') { expect { install }.to fail_saying("Couldn't find a 'git' binary", 'Install git') }
    end

    context 'without Go' do
      let(:programs) { %w[git make sh seq] }

      it 'says what to install' do
        expect { install('broken') }.to fail_saying("There is no 'go' on the PATH", 'line 30')
      end
    end

    context 'without a PATH' do
      let(:variables) { { 'PATH' => nil } }

      it('says so') { expect { install }.to fail_saying("Couldn't find a 'make' binary") }
    end
  end

  describe 'in the directory' do
    it 'touches nothing of one that is neither empty nor a checkout' do
      mine = keep(File.join(dir, 'mine'))

      expect { install }.to fail_saying("#{dir} isn't empty, and isn't a git checkout. Choose another directory.")
      expect(Dir.children(dir)).to eq([File.basename(mine)])
    end

    it 'refuses a file, and a directory below a file' do
      file = keep(File.join(tmp, 'file'))

      expect { install(into: file) }.to fail_saying("Couldn't use #{file} as a directory")
      expect { install(into: "#{file}/below") }.to fail_saying("Couldn't use #{file}/below as a directory")
    end

    it 'does not overwrite the application' do
      application = ExporterRepository.copy_to(File.join(tmp, 'application')).path
      File.write(File.join(application, 'VERSION'), 'being edited')

      Dir.chdir(application) { expect { install(into: '.') }.to fail_saying('is the directory of the application') }
      expect(File.read(File.join(application, 'VERSION'))).to eq('being edited')
    end
  end

  describe 'to fetch' do
    it 'says how to name a version, and shows what git says' do
      expect { install('9.9.9') }
        .to fail_saying("Couldn't fetch v9.9.9 from #{repository.path}", 'GITLAB_METRICS_EXPORTER_VERSION must name',
                        'ended with exit status 128', "couldn't find remote ref v9.9.9")
    end

    it 'says how to name a repository' do
      expect { install(from: "#{tmp}/none") }
        .to fail_saying("Couldn't clone #{tmp}/none into #{dir}", 'set GITLAB_METRICS_EXPORTER_REPO', 'does not exist')
    end

    it 'keeps the password of an address for itself' do
      expect { install(from: 'https://me:secret@127.0.0.1:1/x.git') }.to raise_error do |error|
        expect(error.message).to include('https://***@127.0.0.1:1/x.git')
        expect(error.message + out.string).not_to include('secret')
      end
    end

    it 'tries again the next time' do
      expect { install('9.9.9') }.to raise_error(MetricsServer::InstallError)

      expect(what(install)).to start_with('0.2.0')
    end
  end

  describe 'to build' do
    it 'names the command and its exit status, and shows the end of its output' do
      expect { install('broken') }.to raise_error(MetricsServer::InstallError) do |error|
        expect(error.message).to start_with("Couldn't build gitlab-metrics-exporter broken in #{dir}: `")
        expect(error.message).to match(/`g?make` ended with exit status 2\./).and include("line 30\n")
        expect(error.message.lines.grep(/^line/).size).to be_between(15, 20)
      end
    end

    it 'says that no program came of it' do
      expect { install('idle') }.to fail_saying("left no program #{program}")
    end

    it 'leaves the program that was there before, and says so' do
      install('0.1.0')

      %w[broken 9.9.9].each do |version|
        expect { install(version) }.to fail_saying("The program that was there before, #{program}, is still there.")
        expect(what(program)).to start_with('0.1.0')
      end
    end
  end
end
