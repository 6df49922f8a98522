# frozen_string_literal: true

require 'fileutils'
require 'metrics_server/clock'

module MetricsServer
  # The directory where the processes of an application keep their metrics, and
  # who uses it.
  #
  # Counters of an earlier run should not be served, so whoever starts first
  # wipes the directory. But files that a live process has mapped must never be
  # removed: what it counts would be lost. So each user keeps a shared lock on a
  # file in the directory for as long as it lives, and only somebody who is
  # alone there wipes. A lock belongs to an open file: forked workers share it,
  # and the kernel releases it when the last of them ends, however it ends.
  class MetricsDirectory
    LOCK = '.metrics_server.lock'

    # How long somebody else may wipe, in seconds, before it is given up.
    PATIENCE = 10

    attr_reader :path

    def initialize(path)
      @path = path.to_s
    end

    # Makes the directory, with mode 0700, unless it is there. Those above it are
    # not ours alone: tmp of a Rails application holds sockets and caches, too.
    # Raises SystemCallError where that cannot be done.
    def create
      FileUtils.mkdir_p(File.dirname(path))
      FileUtils.mkdir_p(path, mode: 0o700)
      self
    end

    # Removes the metric files (*.db), nothing else, and not in subdirectories. The
    # block is given the error of each that cannot be removed.
    def wipe
      Dir.glob('*.db', base: path).each do |name|
        File.delete(File.join(path, name))
      rescue Errno::ENOENT # somebody else has
        nil
      rescue SystemCallError => e
        yield e if block_given?
      end
      self
    end

    # Makes the directory, wipes it if nobody else uses it, and makes this
    # process a user of it. Returns whether nobody else did. The block is wipe's.
    # Raises SystemCallError where that cannot be done.
    def use(wipe: true, &block)
      create
      @use = open_lock(LOCK)
      alone = lock(@use)
      self.wipe(&block) if alone && wipe
      share(@use)
      alone
    end

    # Makes this process a user of the directory, if that has had one before: who is not
    # the application must not be the first, whose files others may not open. Never waits.
    def join
      @use = File.open(File.join(path, LOCK), File::RDONLY)
      @use.flock(File::LOCK_SH | File::LOCK_NB)
      self
    rescue SystemCallError
      self
    end

    # Tries to make this process the one that runs the server of that name. True
    # when it is; it then stays so until it ends.
    def claim(name)
      @claims ||= {}
      lock(@claims[name] ||= open_lock(".#{name}.lock"))
    end

    # Returns the first of these names that no other process has taken. It is
    # this process's until that takes another, or ends.
    def take_name(names)
      @name&.close
      names.find do |name|
        @name = open_lock(".name.#{name}.lock")
        lock(@name) || @name.close
      end
    end

    # For a forked process that goes on to use the directory, but is not to keep
    # others from running the server when its parent has ended.
    def disclaim
      @claims&.each_value(&:close)
      @claims = nil
    end

    # For a forked process that is not to keep locks when its parent has ended.
    def forget
      disclaim
      [@use, @name].each { |file| file&.close }
      @use = @name = nil
    end

    private

    def open_lock(name)
      File.open(File.join(path, name), File::RDWR | File::CREAT, 0o600)
    end

    # Waits for who wipes. That one may have been stopped, and the application is
    # not to wait for it for ever.
    def share(file)
      clock = Clock.new
      start = clock.now
      until file.flock(File::LOCK_SH | File::LOCK_NB)
        raise Errno::EBUSY, 'another process has begun to wipe it, and does not end' if clock.now - start > PATIENCE

        sleep 0.01
      end
    end

    # Whether nobody else holds it.
    def lock(file)
      file.flock(File::LOCK_EX | File::LOCK_NB) ? true : false
    end
  end
end
