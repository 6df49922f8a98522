# frozen_string_literal: true

require 'pathname'
require 'stringio'
require 'metrics_server/installer'

RSpec.describe MetricsServer::Installer do
  def version_file(text)
    File.write(File.join(tmp, 'GITLAB_METRICS_EXPORTER_VERSION'), text)
  end

  describe '.default_version' do
    it "is what the application's file says, without the space around it" do
      version_file(" 1.2.3 \n")

      expect(described_class.default_version(tmp)).to eq('1.2.3')
    end

    it "is what the gem's own file says when the application has none" do
      own = File.read(File.expand_path('../../GITLAB_METRICS_EXPORTER_VERSION', __dir__))

      expect(described_class.default_version(tmp)).to eq(own.strip)
    end

    it 'takes a Pathname' do
      version_file('main')

      expect(described_class.default_version(Pathname(tmp))).to eq('main')
    end

    it 'refuses an empty file' do
      version_file("\n")

      expect { described_class.default_version(tmp) }
        .to raise_error(MetricsServer::InstallError, /VERSION is empty\. Write the version/)
    end

    it 'refuses a file that it cannot read' do
      Dir.mkdir(File.join(tmp, 'GITLAB_METRICS_EXPORTER_VERSION'))

      expect { described_class.default_version(tmp) }.to raise_error(MetricsServer::InstallError, /Couldn't read/)
    end
  end

  describe 'the version' do
    { '1.2.3' => 'v1.2.3', '10.20.30-rc4' => 'v10.20.30-rc4', " 1.2.3\n" => 'v1.2.3',
      '1.0' => '1.0', '1.2.3-rc' => '1.2.3-rc', '1.2.3.4' => '1.2.3.4', 'v1.2.3' => 'v1.2.3', 'main' => 'main',
      '65bbfa0b62518691961de096e4a27d7c76307b7c' => '65bbfa0b62518691961de096e4a27d7c76307b7c',
      'feature/a@b' => 'feature/a@b', 'HEAD' => 'HEAD' }.each do |version, ref|
      it("#{version.inspect} stands for #{ref}") { expect(described_class::Source.ref(version)).to eq(ref) }
    end

    ['', '  ', nil, '--upload-pack=touch x', '-1', '+main', 'main:main', ':main', '^main', 'a b', "a\nb", 'v*',
     "\xff"].each do |version|
      it "#{version.inspect} is refused" do
        expect { described_class.new(tmp, version: version) }
          .to raise_error(MetricsServer::InstallError, /can't be a version/)
      end
    end
  end

  ['', '-u', '--upload-pack=x'].each do |repository|
    it "refuses the repository #{repository.inspect}" do
      expect { described_class.new(tmp, version: 'main', repository: repository) }
        .to raise_error(MetricsServer::InstallError, /GITLAB_METRICS_EXPORTER_REPO/)
    end
  end

  ['', ' ', nil, "a\0b", '~nobody-of-this-name/x'].each do |dir|
    it "refuses the directory #{dir.inspect}" do
      expect { described_class.new(dir, version: 'main') }.to raise_error(MetricsServer::InstallError, /directory/)
    end
  end

  it 'says what is wrong with a directory of whatever name' do
    installer = described_class.new("/proc/\xff", version: 'main', out: StringIO.new)
    expect { installer.install }.to raise_error(MetricsServer::InstallError, %r{Couldn't use /proc/. as a directory})
  end

  def command(*names, path: ENV.fetch('PATH'))
    described_class::Command.find(*names, env: { 'PATH' => path })
  end

  it 'has git ask nobody for a password' do
    expect(command('sh').try('-c', 'echo $GIT_TERMINAL_PROMPT').first).to eq("0\n")
  end

  it 'takes no directory for a program' do
    FileUtils.mkdir_p("#{tmp}/git")
    expect(command('git', path: tmp)).to be_nil
  end

  it 'shows output in whatever encoding' do
    expect { command('sh').run('-c', "printf 'caf\\351'; exit 3", doing: 'x') { '' } }
      .to raise_error(MetricsServer::InstallError) { |e| expect(e.message).to be_valid_encoding }
  end

  it 'knows a program that a signal has ended' do
    expect { command('sh').run('-c', 'kill -KILL $$', doing: 'x') { '' } }
      .to raise_error(MetricsServer::InstallError, /was ended by signal 9/)
  end

  it 'does not overwrite this gem, wherever it is run' do
    root = File.expand_path('../../..', __dir__)
    skip 'this is no checkout' unless File.exist?("#{root}/.git")
    checkout = described_class::Checkout.new(root, command('git'))
    Dir.chdir(tmp) { expect { checkout.check }.to raise_error(MetricsServer::InstallError, /of this gem/) }
  end
end
