# frozen_string_literal: true

# Looks at the processes of this machine by way of /proc.
module Processes
  # Pids of living processes that have this environment variable, or inherited it.
  def self.with_variable(name, value)
    wanted = "#{name}=#{value}"
    living.select { |pid| read(pid, 'environ').split("\0").include?(wanted) }
  end

  # The pid of the process that listens on a port of 127.0.0.1.
  def self.listening_on(port)
    inode = listening_inode(port) or return
    living.find do |pid|
      Dir.children("/proc/#{pid}/fd").any? { |fd| File.readlink("/proc/#{pid}/fd/#{fd}") == "socket:[#{inode}]" }
    rescue SystemCallError
      false
    end
  end

  # What the process is called: the first word of its command line, without
  # directories.
  def self.name(pid)
    File.basename(read(pid, 'cmdline').split(/[\0 ]/).first.to_s)
  end

  def self.zombies_of(parent)
    all.select do |pid|
      _, _, rest = read(pid, 'stat').rpartition(') ')
      rest.start_with?("Z #{parent} ")
    end
  end

  def self.all
    Dir.children('/proc').grep(/\A\d+\z/).map(&:to_i)
  end

  # Zombies have no environment and no files: they do not count here.
  def self.living
    all.reject { |pid| read(pid, 'cmdline').empty? }
  end

  def self.read(pid, file)
    File.binread("/proc/#{pid}/#{file}")
  rescue SystemCallError
    ''
  end

  def self.listening_inode(port)
    address = format('0100007F:%04X', port)
    File.readlines('/proc/net/tcp').map(&:split).find { |line| line[1] == address && line[3] == '0A' }&.at(9)
  end
end
