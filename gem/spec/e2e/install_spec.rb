# frozen_string_literal: true

require 'pathname'
require_relative '../support/installation'

RSpec.describe MetricsServer::Installer do
  include Installation

  it 'clones, builds, and returns the path of the program' do
    expect(install).to eq(program)
    expect(what(program)).to start_with('0.2.0')
    expect(out.string).to include("Fetching gitlab-metrics-exporter main from #{repository.path} into #{dir}")
    expect(git('rev-list', '--count', 'HEAD')).to eq('1')
  end

  it 'fetches a file:// address' do
    install(from: "file://#{repository.path.gsub(' ', '%20')}")

    expect(what(program)).to start_with('0.2.0')
  end

  it 'upgrades, goes back to an older version, and is content with the same one' do
    %w[0.1.0 0.2.0 0.2.0 0.1.0].each do |version|
      install(version)
      expect(what(program)).to start_with(version)
    end
  end

  it 'installs what was pushed meanwhile, over changes made to the checkout' do
    install
    repository.release('0.3.0')
    File.write(File.join(dir, 'VERSION'), 'changed')
    install

    expect(what(program)).to start_with('0.3.0')
  end

  it 'installs a branch, a tag without a v, and a commit' do
    commit = repository.git('rev-parse', 'v0.1.0')

    { 'main' => '0.2.0', '1.0' => '1.0', commit => '0.1.0' }.each do |version, said|
      expect(what(install(version))).to start_with("#{said},")
    end
  end

  it 'upgrades from a repository that is itself shallow' do
    shallow = File.join(tmp, 'shallow')
    git('clone', '--quiet', '--depth', '1', "file://#{repository.path.gsub(' ', '%20')}", shallow, in_dir: tmp)
    install(from: shallow)
    repository.release('0.3.0')
    git('fetch', '--quiet', '--depth', '1', in_dir: shallow)
    git('reset', '--quiet', '--hard', 'FETCH_HEAD', in_dir: shallow)
    install(from: shallow)

    expect(what(program)).to start_with('0.3.0')
  end

  it 'leaves a checkout made by somebody its whole history' do
    git('clone', '--quiet', repository.path, dir, in_dir: tmp)
    expect { install('0.2.0', from: nil) }.not_to(change { git('rev-list', '--count', 'v0.2.0') })

    expect(what(program)).to start_with('0.2.0')
  end

  it 'goes on where an installation was interrupted' do
    git('init', '--quiet', dir, in_dir: tmp)
    git('config', 'remote.origin.url', repository.path)

    expect(what(install(from: nil))).to start_with('0.2.0')
  end

  it 'takes an empty directory, a Pathname, and a directory relative to the current one' do
    FileUtils.mkdir_p(dir)
    Dir.chdir(tmp) { install('0.1.0', into: Pathname('some where/gme')) }

    expect(what(program)).to start_with('0.1.0')
  end

  it 'takes a repository relative to the current directory, once and again' do
    repository
    Dir.chdir(tmp) { 2.times { install(from: './the repository') } }

    expect(git('config', 'remote.origin.url')).to eq(File.realpath(repository.path))
  end
end
