# frozen_string_literal: true

require 'fileutils'
require 'stringio'
require 'metrics_server/installer'
require_relative 'exporter_repository'

# Installs from an ExporterRepository, with real git and real make.
module Installation
  extend RSpec::SharedContext

  let(:repository) { ExporterRepository.copy_to(File.join(tmp, 'the repository')) }
  let(:dir) { File.join(tmp, 'some where', 'gme') }
  let(:program) { File.join(dir, 'bin', 'gitlab-metrics-exporter') }
  let(:variables) { {} }
  let(:env) { ENV.to_h.merge(ExporterRepository::ISOLATED, 'HOME' => tmp, **variables) }
  let(:out) { StringIO.new }

  def install(version = 'main', into: dir, from: repository.path)
    MetricsServer::Installer.install(into, version: version, repository: from, env: env, out: out)
  end

  def git(*arguments, in_dir: dir)
    ExporterRepository.git(in_dir, *arguments)
  end

  def what(program, *arguments)
    IO.popen([program, *arguments], &:read).chomp
  end

  # The error that people see: sentences, and no place in our code.
  def fail_saying(*texts)
    raise_error(MetricsServer::InstallError) do |error|
      expect(error.message).to include(*texts)
      expect(error.message).not_to match(/\.rb:\d/)
    end
  end

  # A directory to be the PATH, with just these programs and scripts in it.
  def path_with(*names, **scripts)
    File.join(tmp, 'the path').tap do |path|
      FileUtils.mkdir_p(path)
      names.each { |name| File.symlink(found(name), File.join(path, name)) }
      scripts.each { |name, script| File.write(File.join(path, name.to_s), "#!/bin/sh\n#{script}\n", perm: 0o755) }
    end
  end

  def found(name)
    ENV['PATH'].split(':').map { |directory| File.join(directory, name) }.find { |path| File.executable?(path) }
  end

  # A file that nobody may touch, beside what is installed.
  def keep(path)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, 'mine')
    path
  end
end
