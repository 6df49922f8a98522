# frozen_string_literal: true

require 'metrics_server/configuration'
require 'metrics_server/errors'
require 'metrics_server/filled'
require 'metrics_server/installer/checkout'
require 'metrics_server/installer/command'
require 'metrics_server/installer/source'

module MetricsServer
  # gitlab-metrics-exporter could not be installed.
  class InstallError < Error
  end

  # Installs gitlab-metrics-exporter into a directory, or upgrades it there: a
  # git checkout of the wanted version in which make has run. Changes that
  # somebody made to the files of that checkout are lost.
  #
  # What is missing is said before anything is changed; what was installed
  # before stays until the build replaces it.
  class Installer
    PROGRAM = 'gitlab-metrics-exporter'

    class << self
      # Installs the version and from the repository that the environment and
      # the application name, unless the options do. Returns the program's path.
      def install(dir, env: ENV, root: Configuration.new(env: env).root, **options)
        version = options.fetch(:version) { Filled.of(env[Source::VERSION]) || default_version(root) }
        repository = options.fetch(:repository) { Filled.of(env[Source::REPOSITORY]) }
        new(dir, env: env, **options, version: version, repository: repository).install
      end

      # The version for the application in the directory root.
      def default_version(root)
        Source.version_for(root)
      end
    end

    # A repository of nil: that of the checkout, or else the one the gem is in.
    def initialize(dir, version:, repository: nil, env: ENV, out: $stdout)
      @dir = absolute(dir)
      @ref = Source.ref(version)
      @repository = repository && Source.repository(repository)
      @env = env
      @out = out
    end

    # Returns the program's path. Raises InstallError.
    def install
      make, git = programs
      fetch(Checkout.new(@dir, git))
      build(make)
      binary
    rescue InstallError => e
      raise InstallError, failure(e.message)
    rescue SystemCallError => e
      raise InstallError, failure("Couldn't install #{PROGRAM} into #{@dir}: #{e.message}.")
    end

    private

    def absolute(dir)
      raise InstallError, 'The directory to install into is empty. Name one.' unless Filled.of(dir)

      File.expand_path(dir.to_s)
    rescue ArgumentError => e # a null byte, or ~ and the name of nobody
      raise InstallError, "#{dir.to_s.inspect} can't be the directory to install into: #{e.message}."
    end

    def programs
      make = Command.find('gmake', 'make', env: @env)
      raise InstallError, "Couldn't find a 'make' binary. Install GNU make, or put it on the PATH." unless make

      git = Command.find('git', env: @env)
      raise InstallError, "Couldn't find a 'git' binary. Install git, or put it on the PATH." unless git

      [make, git]
    end

    def fetch(checkout)
      checkout.check
      repository = @repository || checkout.origin || Source.repository_of_gem
      say "Fetching #{PROGRAM} #{@ref} from #{repository} into #{@dir}"
      checkout.use(repository)
      checkout.switch_to(@ref)
    end

    def build(make)
      say "Building it with #{make.name}"
      make.run(chdir: @dir, doing: "build #{PROGRAM} #{@ref} in #{@dir}") { advice_on_building }
      return if executable?

      raise InstallError, "#{make.name} ended well in #{@dir}, but left no program #{binary}. " \
                          "See that #{@ref} is a version of #{PROGRAM}."
    end

    def advice_on_building
      return 'See what it says below.' if Filled.of(@env['GO']) || Command.find('go', env: @env)

      "There is no 'go' on the PATH: install Go (https://go.dev/doc/install), which #{PROGRAM} is written in."
    end

    def failure(reason)
      reason += "\n\nThe program that was there before, #{binary}, is still there." if executable?
      Source.public_text(reason)
    end

    def executable?
      File.file?(binary) && File.executable?(binary)
    end

    def binary
      File.join(@dir, 'bin', PROGRAM)
    end

    def say(text)
      @out.puts(Source.public_text(text))
    end
  end
end
