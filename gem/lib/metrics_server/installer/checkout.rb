# frozen_string_literal: true

require 'fileutils'

module MetricsServer
  class Installer
    # The git checkout in the directory of the installation, whether it is there
    # already or is to be made.
    class Checkout
      def initialize(dir, git)
        @dir = dir
        @git = git
      end

      # Raises InstallError unless a checkout can be made here, or is here.
      def check
        return check_checkout if exist?

        FileUtils.mkdir_p(@dir)
        return if Dir.empty?(@dir)

        raise InstallError, "#{@dir} isn't empty, and isn't a git checkout. Choose another directory."
      rescue SystemCallError => e
        raise InstallError, "Couldn't use #{@dir} as a directory: #{e.class.new.message}. Choose another one."
      end

      # The address of its repository, or nil.
      def origin
        return unless exist?

        address, status = git('config', '--local', '--get', 'remote.origin.url')
        address.chomp if status.success?
      end

      # Makes a clone of the repository, or lets the checkout that is here fetch
      # from there.
      def use(repository)
        return clone(repository) unless exist?
        return if origin == repository

        run('config', '--replace-all', 'remote.origin.url', repository, doing: "set the origin of #{@dir}") do
          'Remove the directory, and try again.'
        end
      end

      # Fetches a tag, a branch or a commit, and puts its files into the directory.
      def switch_to(ref)
        run('fetch', '--quiet', *depth, 'origin', ref, doing: "fetch #{ref} from #{origin}") do
          "#{Source::VERSION} must name a tag, a branch or a full commit id of the repository, " \
            "and #{Source::REPOSITORY} its address."
        end
        run('checkout', '-f', '--quiet', 'FETCH_HEAD', doing: "check #{ref} out in #{@dir}") do
          'If another installation is running, wait for its end; else remove the directory, and try again.'
        end
      end

      private

      # Not "is in a checkout": the directory may lie inside another repository,
      # in which nothing must be changed. (.git is a file in a linked worktree.)
      def exist?
        File.exist?(File.join(@dir, '.git'))
      end

      def check_checkout
        top, status = git('rev-parse', '--show-toplevel')
        raise InstallError, unusable(top) unless status.success? && File.realpath(top.chomp) == File.realpath(@dir)
        return unless holds_us?

        raise InstallError, "#{@dir} is the directory of the application or of this gem, whose files an installation " \
                            'would overwrite. Choose another directory.'
      end

      def unusable(output)
        "git can't use #{@dir} as a checkout, though it holds a .git. If an installation was interrupted there, " \
          "remove the directory, and try again. `git rev-parse --show-toplevel` there says:\n\n#{output.rstrip}"
      end

      def holds_us?
        top = File.join(File.realpath(@dir), '')
        [Dir.pwd, __dir__].any? { |directory| File.join(File.realpath(directory), '').start_with?(top) }
      end

      # --no-local: git ignores --depth when it copies a local repository.
      def clone(repository)
        options = %w[--quiet --no-local --no-checkout --origin origin --depth 1]
        @git.run('clone', *options, '--', repository, @dir, doing: "clone #{repository} into #{@dir}") do
          'See that it is the address of a git repository which can be read without a password, or set ' \
            "#{Source::REPOSITORY} to another."
        end
      end

      # A checkout with its whole history keeps it.
      def depth
        shallow, = git('rev-parse', '--is-shallow-repository')
        shallow.chomp == 'true' ? %w[--depth 1] : []
      end

      def git(*arguments)
        @git.try('-C', @dir, *arguments)
      end

      def run(*arguments, doing:, &advice)
        @git.run('-C', @dir, *arguments, doing: doing, &advice)
      end
    end
  end
end
