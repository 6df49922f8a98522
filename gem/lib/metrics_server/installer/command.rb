# frozen_string_literal: true

require 'open3'
require 'shellwords'

module MetricsServer
  class Installer
    # A program found on the PATH. It runs without a shell, without input, and
    # without what a git hook or a make around us has left in the environment.
    class Command
      OF_GIT = %w[
        GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_COMMON_DIR GIT_NAMESPACE GIT_SHALLOW_FILE
        GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_QUARANTINE_PATH
      ].freeze
      OF_MAKE = %w[MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES MAKEFILES].freeze
      ENVIRONMENT = { **(OF_GIT + OF_MAKE).to_h { |name| [name, nil] }, 'GIT_TERMINAL_PROMPT' => '0' }.freeze

      LINES_SHOWN = 20

      # The first of the names that there is, or nil.
      def self.find(*names, env:)
        directories = env['PATH'].to_s.split(File::PATH_SEPARATOR)
        paths = names.product(directories).map { |name, directory| File.absolute_path(name, directory) }
        path = paths.find { |candidate| File.file?(candidate) && File.executable?(candidate) }
        path && new(path, env)
      end

      def initialize(path, env)
        @path = path
        @env = env.to_h.merge(ENVIRONMENT)
      end

      def name
        File.basename(@path)
      end

      # Raises InstallError when it fails: with what was being done, the command,
      # the advice that the block returns, and the end of the output.
      def run(*arguments, doing:, **options)
        output, status = try(*arguments, **options)
        return if status.success?

        command = Shellwords.join([name, *arguments])
        said = ["Couldn't #{doing}: `#{command}` #{ended(status)}. #{yield}", last_lines(output)]
        raise InstallError, said.reject(&:empty?).join("\n\n")
      end

      # What it printed, to stdout and stderr, and its Process::Status.
      def try(*arguments, **options)
        output, status = Open3.capture2e(@env, [@path, name], *arguments, unsetenv_others: true, **options)
        [output.scrub('?'), status]
      end

      private

      def ended(status)
        status.exited? ? "ended with exit status #{status.exitstatus}" : "was ended by signal #{status.termsig}"
      end

      def last_lines(output)
        output.lines.last(LINES_SHOWN).join.rstrip
      end
    end
  end
end
