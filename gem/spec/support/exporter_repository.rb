# frozen_string_literal: true

require 'open3'
require 'fileutils'
require 'tmpdir'

# A git repository from which something can be installed in no time: its make
# writes a shell script that prints the version.
#
#   v0.1.0, v0.2.0, 1.0   tags
#   main                  a branch, at v0.2.0
#   broken, idle          branches whose make fails, and builds nothing
class ExporterRepository
  # git as on a machine where nobody has set anything, and without sample hooks.
  ISOLATED = {
    'GIT_TEMPLATE_DIR' => '',
    'GIT_CONFIG_GLOBAL' => '/dev/null', 'GIT_CONFIG_NOSYSTEM' => '1',
    'GIT_AUTHOR_NAME' => 'Author', 'GIT_AUTHOR_EMAIL' => 'author@example.com',
    'GIT_COMMITTER_NAME' => 'Committer', 'GIT_COMMITTER_EMAIL' => 'committer@example.com'
  }.freeze

  MAKEFILE = <<~'MAKE'
    all:
    	mkdir -p bin
    	printf '#!/bin/sh\necho "%s, built by %s"\n' "`cat VERSION`" '$(notdir $(MAKE))' > bin/gitlab-metrics-exporter
    	chmod +x bin/gitlab-metrics-exporter
  MAKE

  BROKEN = "all:\n\t@for i in `seq 30`; do echo line $$i; done\n\texit 3\n"

  attr_reader :path

  def self.git(dir, *arguments)
    output, status = Open3.capture2e(ISOLATED, 'git', '-C', dir.to_s, *arguments)
    status.success? ? output.chomp : raise("git #{arguments.join(' ')}: #{output}")
  end

  # A copy of one that is made only once.
  def self.copy_to(path)
    @made ||= Dir.mktmpdir.tap do |dir|
      owner = Process.pid
      at_exit { FileUtils.rm_rf(dir) if Process.pid == owner }
      new(dir).make
    end
    FileUtils.mkdir_p(path)
    FileUtils.cp_r("#{@made}/.", path)
    new(path)
  end

  def initialize(path)
    @path = path
  end

  def make
    git('init', '--quiet', '--initial-branch', 'main')
    release('0.1.0')
    release('0.2.0')
    release('1.0', tag: '1.0', branch: 'other')
    branch('broken', BROKEN)
    branch('idle', "all:\n")
  end

  def release(version, tag: "v#{version}", branch: 'main')
    commit(branch, 'VERSION' => "#{version}\n", 'Makefile' => MAKEFILE)
    git('tag', tag, branch)
  end

  def git(*arguments)
    self.class.git(path, *arguments)
  end

  private

  def branch(name, makefile)
    commit(name, 'Makefile' => makefile)
  end

  def commit(branch, files)
    git('checkout', '--quiet', '-B', branch)
    files.each { |name, text| File.write(File.join(path, name), text) }
    git('add', '.')
    git('commit', '--quiet', '--message', "#{branch} #{files.keys.join(' ')}")
    git('checkout', '--quiet', 'main') if git('branch', '--list', 'main') != ''
  end
end
