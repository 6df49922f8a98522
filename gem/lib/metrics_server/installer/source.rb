# frozen_string_literal: true

module MetricsServer
  class Installer
    # Which version is installed, and from where.
    module Source
      # The variable, and the name of the file, that hold the version.
      VERSION = 'GITLAB_METRICS_EXPORTER_VERSION'
      REPOSITORY = 'GITLAB_METRICS_EXPORTER_REPO'

      GEM = File.expand_path('../../..', __dir__)

      RELEASE = /\A\d+\.\d+\.\d+(-rc\d+)?\z/

      # What git fetch would take for an option, for several refs, or for an
      # order to write to a branch of ours.
      NO_REF = /\A[-+]|[ ~^:?*\[\\[:cntrl:]]/

      class << self
        def version_for(root)
          files = [root, GEM].map { |directory| File.join(directory, VERSION) }
          read(files.find { |file| File.exist?(file) } || files.last)
        end

        # The tag, branch or commit that a version stands for.
        def ref(version)
          version = version.to_s.scrub('?').strip
          if version.empty? || version.match?(NO_REF)
            raise InstallError, "#{version.inspect} can't be a version. Set #{VERSION} to a version, such as 1.2.3, " \
                                'or to a tag, a branch or a full commit id.'
          end

          version.match?(RELEASE) ? "v#{version}" : version
        end

        # The repository at an address, which may be a path relative to ours.
        def repository(address)
          address = address.to_s.strip
          return File.expand_path(address) if File.exist?(address)
          return address unless address.empty? || address.start_with?('-')

          raise InstallError, "#{address.inspect} can't be the address of a git repository. Correct #{REPOSITORY}."
        end

        # The checkout that this gem is a part of.
        def repository_of_gem
          top = File.dirname(GEM)
          ours = File.exist?(File.join(top, '.git')) && File.directory?(File.join(top, 'cmd', PROGRAM))
          return top if ours

          raise InstallError, "Set #{REPOSITORY} to the address of the git repository of #{PROGRAM}: " \
                              'this gem was installed without it.'
        end

        # Without the name and password that an address may hold.
        def public_text(text)
          text.scrub.gsub(%r{://[^/\s]+@}, '://***@')
        end

        private

        def read(file)
          version = File.read(file).scrub('?').strip
          return version unless version.empty?

          raise InstallError, "#{file} is empty. Write the version of #{PROGRAM} into it, or set #{VERSION}."
        rescue SystemCallError => e
          raise InstallError, "Couldn't read the version of #{PROGRAM}: #{e.message}. Set #{VERSION}."
        end
      end
    end
  end
end
