# frozen_string_literal: true

require 'metrics_server/child'
require 'rbconfig'

RSpec.describe MetricsServer::Child do
  let(:children) { [] }

  after { children.each { |child| child.stop(grace: 1) } }

  # sh -c SCRIPT
  def shell(script, env = {})
    started(described_class.spawn(env, '/bin/sh', '-c', "exec 2> /dev/null; #{script}"))
  end

  def started(child)
    children << child
    child
  end

  def ended(child)
    wait_until('the child has ended') { !child.alive? }
    child
  end

  # Whether there is such a process; a zombie is one.
  def there?(pid)
    Process.kill(0, pid)
    true
  rescue Errno::ESRCH
    false
  end

  def content(file)
    wait_until("#{file} is written") { File.exist?(file) && File.size(file).positive? }
    File.read(file)
  end

  describe '.spawn' do
    it 'raises when there is no such program' do
      expect { described_class.spawn({}, 'no-such-program') }.to raise_error(Errno::ENOENT, /no-such-program/)
      expect { described_class.spawn({}, "#{tmp}/no such program") }.to raise_error(Errno::ENOENT, /no such program/)
    end

    it 'raises for what is not a program' do
      FileUtils.touch(file = "#{tmp}/program")
      expect { described_class.spawn({}, file) }.to raise_error(Errno::EACCES)
    end

    it 'takes a path with spaces, and what a shell would read otherwise' do
      Dir.mkdir(dir = "#{tmp}/my $(programs) & more")
      File.write(file = "#{dir}/prog ram;", "#!/bin/sh\necho $# > '#{tmp}/arguments'\n", perm: 0o755)
      started(described_class.spawn({}, file))
      expect(content("#{tmp}/arguments")).to eq("0\n")
    end

    it 'sets variables, and keeps the others' do
      shell("echo \"$ONE $PATH\" > #{tmp}/env", 'ONE' => '1')
      expect(content("#{tmp}/env").chomp).to eq("1 #{ENV.fetch('PATH')}")
    end

    it 'gives the child none of the sockets that are left open for others' do
      read, write = IO.pipe
      write.close_on_exec = false
      shell("readlink /proc/$$/fd/#{write.fileno} > #{tmp}/fd; echo end >> #{tmp}/fd")
      expect(content("#{tmp}/fd")).to eq("end\n")
    ensure
      [read, write].each(&:close)
    end

    it 'gives the child a process group of its own, and nothing to read' do
      child = shell("cat > #{tmp}/input; echo end >> #{tmp}/input; exec sleep 60")
      expect(Process.getpgid(child.pid)).to eq(child.pid)
      expect(content("#{tmp}/input")).to eq("end\n")
    end
  end

  describe '#fate' do
    it 'is nil while the child runs' do
      child = shell('exec sleep 60')
      expect(child.fate).to be_nil
      expect(child).to be_alive
    end

    it 'is the exit status' do
      expect(ended(shell('exit 0')).fate).to eq('exit status 0')
      expect(ended(shell('exit 3')).fate).to eq('exit status 3')
    end

    it 'is the signal' do
      expect(ended(shell('kill -KILL $$')).fate).to eq('signal 9')
    end

    it 'is nil when somebody else reaped the child' do
      allow(Process).to receive(:detach) do |pid|
        Process.wait2(pid)
        Thread.new { nil } # what Ruby's own thread comes to then
      end
      expect(ended(shell('exit 3')).fate).to be_nil
    end
  end

  describe '#stop' do
    it 'ends the child with TERM, and leaves no zombie' do
      child = shell('exec sleep 60')
      child.stop
      expect(child.fate).to eq('signal 15')
      expect(there?(child.pid)).to be(false)
    end

    it 'waits for a child that takes its time' do
      child = shell("trap 'sleep 0.3; exit 5' TERM; echo ready > #{tmp}/ready; while :; do sleep 0.1; done")
      content("#{tmp}/ready")
      child.stop(grace: 10)
      expect(child.fate).to eq('exit status 5')
    end

    it 'kills a child that takes no notice of TERM' do
      child = shell("trap '' TERM; echo ready > #{tmp}/ready; while :; do sleep 0.1; done")
      content("#{tmp}/ready")
      started = monotonic
      child.stop(grace: 0.3)
      expect(child.fate).to eq('signal 9')
      expect(monotonic - started).to be_between(0.3, 3)
    end

    it 'ends what the child started' do
      child = shell("sleep 60 & echo $! > #{tmp}/pid; wait")
      grandchild = Integer(content("#{tmp}/pid"))
      child.stop
      wait_until('the grandchild is gone') { !running?(grandchild) }
    end

    it 'kills what the child started, along with it' do
      child = shell("trap '' TERM; sleep 60 & echo $! > #{tmp}/pid; while :; do sleep 0.1; done")
      grandchild = Integer(content("#{tmp}/pid"))
      child.stop(grace: 0.3)
      wait_until('the grandchild is gone') { !running?(grandchild) }
    end

    it 'does nothing to a child that has ended' do
      child = ended(shell('exit 0'))
      expect(Process).not_to receive(:kill)
      child.stop
    end

    it 'can be called twice' do
      child = shell('exec sleep 60')
      2.times { child.stop }
      expect(child).not_to be_alive
    end

    # Whoever inherits an orphan may leave it a zombie.
    def running?(pid)
      there?(pid) && !File.read("/proc/#{pid}/stat").match?(/\) Z /)
    rescue Errno::ENOENT, Errno::ESRCH
      false
    end
  end

  it 'does not mind when somebody else reaps every child' do
    script = <<~'RUBY'
      child = MetricsServer::Child.spawn({}, '/bin/sh', '-c', 'sleep 0.2; exit 3')
      begin
        Process.wait2(-1)
      rescue Errno::ECHILD # the thread was faster
      end
      sleep 0.02 while child.alive?
      child.stop
      print [nil, 'exit status 3'].include?(child.fate)
    RUBY
    expect(ruby(script)).to eq('true')
  end

  describe '.fork' do
    it 'runs the block in a process with a group of its own' do
      child = started(described_class.fork do
        File.write("#{tmp}/ids", "#{Process.pid} #{Process.getpgrp}")
        sleep
      end)
      expect(Process.getpgid(child.pid)).to eq(child.pid)
      expect(content("#{tmp}/ids")).to eq("#{child.pid} #{child.pid}")
    end

    it 'succeeds when the block returns' do
      expect(ended(started(described_class.fork { 7 })).fate).to eq('exit status 0')
    end

    # What happens in a process of its own: [what it printed, its status].
    def fork_in(script)
      ruby("child = MetricsServer::Child.fork { #{script} }; sleep 0.02 while child.alive?; puts child.fate")
    end

    it 'says why the block failed' do
      expect(fork_in("raise 'unforeseen'")).to eq("RuntimeError: unforeseen\nexit status 1\n")
      expect(fork_in('raise NotImplementedError, "no"')).to eq("NotImplementedError: no\nexit status 1\n")
    end

    it 'says what cannot be done, as the program does' do
      expect(fork_in('raise MetricsServer::SettingsError, "no"')).to eq("metrics-server: no\nexit status 2\n")
    end

    it 'lets the block exit' do
      expect(fork_in('exit 3')).to eq("exit status 3\n")
      expect(fork_in('exit! 4')).to eq("exit status 4\n")
    end

    it 'ends by TERM without words' do
      script = 'child = MetricsServer::Child.fork { $stdout.sync = true; puts "up"; sleep }; ' \
               'sleep 0.2; child.stop; puts child.fate'
      expect(ruby(script)).to eq("up\nexit status 143\n")
    end

    it 'leaves no second copy of the application when a hook of others raises there', if: Process.respond_to?(:_fork) do
      expect(ruby(<<~'RUBY')).to eq("exit status 1\n")
        at_exit { puts 'at_exit' unless Process.pid == MAIN }
        MAIN = Process.pid
        hook = Module.new { def _fork = super.tap { |pid| raise 'hook' if pid.zero? } }
        Process.singleton_class.prepend(hook)
        child = MetricsServer::Child.fork { puts 'ran' } rescue puts('went on')
        sleep 0.02 while child.alive?
        puts child.fate
      RUBY
    end

    it "does not do at its end what the parent does at the parent's" do
      expect(ruby(<<~'RUBY')).to eq("buffered\nat_exit\n")
        at_exit { puts 'at_exit' }
        print "buffered\n" # into a pipe, so it stays in memory
        child = MetricsServer::Child.fork { 1 }
        sleep 0.02 while child.alive?
      RUBY
    end
  end

  # What a process that runs the script prints on both channels.
  def ruby(script)
    lib = File.expand_path('../../lib', __dir__)
    command = [RbConfig.ruby, '-I', lib, '-r', 'metrics_server/child', '-e', script]
    IO.popen([{ 'RUBYOPT' => nil }, *command, { err: %i[child out] }], &:read)
  end

  it 'gives the child nothing to read, whatever this process can read' do
    before = $stdin.dup
    $stdin.reopen(IO.pipe.first)
    shell("readlink /proc/$$/fd/0 > #{tmp}/input")
    expect(content("#{tmp}/input")).to eq("/dev/null\n")
  ensure
    $stdin.reopen(before)
  end

  it 'forks one that has ended before it could be given a group' do
    allow(Process).to receive(:setpgid).and_call_original
    allow(Process).to receive(:setpgid).with(be_positive, anything).and_raise(Errno::ESRCH)
    expect(ended(started(described_class.fork { 7 })).fate).to eq('exit status 0')
  end

  it 'leaves no process when there can be no thread to reap it' do
    pid = nil
    allow(Process).to receive(:spawn).and_wrap_original do |spawn, *arguments, **options|
      pid = spawn.call(*arguments, **options)
    end
    allow(Process).to receive(:detach).and_raise(ThreadError, "can't create Thread: Resource temporarily unavailable")
    expect { described_class.spawn({}, 'sleep', '60') }.to raise_error(ThreadError)
    expect(there?(pid)).to be(false)
  end
end
