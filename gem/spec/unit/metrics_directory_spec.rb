# frozen_string_literal: true

require 'pathname'
require 'metrics_server/metrics_directory'
require_relative '../support/copies'

RSpec.describe MetricsServer::MetricsDirectory do
  include Copies

  subject(:directory) { described_class.new(path) }

  let(:path) { File.join(tmp, 'metrics') }
  let(:others) { [] }

  after do
    others.each do |pid|
      Process.kill(:KILL, pid)
      Process.wait(pid)
    rescue SystemCallError
      nil
    end
  end

  # A second process that runs the block with a directory object of its own.
  def another_process
    copy_of_this_process { (yield described_class.new(path)).inspect }.tap { |pid, _| others << pid }
  end

  def kill(pid)
    super(others.delete(pid))
  end

  def touch(*names)
    names.each { |name| FileUtils.touch(File.join(path, name)) }
  end

  def entries
    Dir.children(path).sort.grep_v(/\.lock\z/)
  end

  describe '#join' do
    it 'keeps others from wiping' do
      directory.use
      pid, = another_process(&:join)
      directory.forget
      touch('counter_1-0.db')
      expect(described_class.new(path).use).to be(false)
      expect(entries).to eq(%w[counter_1-0.db])
      kill(pid)
    end

    it 'makes nothing, and waits for nobody' do
      directory.join
      expect(File.exist?(path)).to be(false)
      Dir.mkdir(path)
      directory.join
      expect(Dir.children(path)).to eq([])
      directory.use
      _, joined = another_process { |other| other.join && :joined }
      expect(joined).to eq(':joined')
    end
  end

  describe '#create' do
    it 'makes the directory for its user alone, and those above it as usual' do
      deep = described_class.new(File.join(path, 'a', 'b'))
      expect(deep.create).to be(deep)
      modes = [deep.path, File.dirname(deep.path), path].map { |dir| File.stat(dir).mode & 0o777 }
      expect(modes).to eq([0o700, 0o777 & ~File.umask, 0o777 & ~File.umask])
    end

    it 'leaves a directory that is there as it is' do
      Dir.mkdir(path, 0o755)
      touch('counter_1-0.db')
      directory.create
      expect(File.stat(path).mode & 0o777).to eq(0o755)
      expect(entries).to eq(['counter_1-0.db'])
    end

    it 'raises where there is a file' do
      FileUtils.touch(path)
      expect { directory.create }.to raise_error(SystemCallError, /#{Regexp.escape(path)}/)
    end

    it 'takes a Pathname' do
      expect(described_class.new(Pathname.new(path)).path).to eq(path)
    end
  end

  describe '#wipe' do
    it 'removes metric files that are directly in the directory, and nothing else' do
      FileUtils.mkdir_p(File.join(path, 'sub.db'))
      touch('counter_1-0.db', 'gauge_all_puma_0-0.db', '.hidden.db', 'notes.txt', 'a.db.bak', 'sub.db/counter_1-0.db')
      expect(directory.wipe).to be(directory)
      expect(entries).to eq(%w[.hidden.db a.db.bak notes.txt sub.db])
      expect(File).to exist(File.join(path, 'sub.db', 'counter_1-0.db'))
    end

    it 'removes a link, not what it points to' do
      directory.create
      FileUtils.touch(target = File.join(tmp, 'elsewhere.db'))
      File.symlink(target, File.join(path, 'counter_1-0.db'))
      directory.wipe
      expect(entries).to eq([])
      expect(File).to exist(target)
    end

    it 'does nothing when there is no directory' do
      expect { directory.wipe }.not_to raise_error
    end

    ['[ab]', '{a,b}', '*', '?', 'a b', 'a\\b', "new\nline", '-rf', 'größe', "\xff".b].each do |name|
      it "removes the right files when the directory is called #{name.inspect}" do
        # No two files have one name.
        %W[#{name} a b ab].each_with_index do |other, index|
          FileUtils.mkdir_p(File.join(tmp.b, other.b))
          FileUtils.touch(File.join(tmp.b, other.b, "counter_#{index}-0.db"))
        end
        described_class.new(File.join(tmp.b, name.b)).wipe
        left = Dir.glob('*/*.db', base: tmp).map { |file| File.dirname(file).b }
        expect(left).to contain_exactly('a', 'b', 'ab')
      end
    end
  end

  describe '#use' do
    context 'while another process wipes' do
      let!(:wiping) do
        another_process do |other|
          other.create
          @lock = File.open(File.join(path, described_class::LOCK), File::RDWR | File::CREAT)
          @lock.flock(File::LOCK_EX)
        end.first
      end

      it 'waits for the end of that' do
        stub_const("#{described_class}::PATIENCE", Float::INFINITY)
        waiting = Thread.new { directory.use }
        expect(waiting.join(0.2)).to be_nil
        kill(wiping)
        expect(waiting.value).to be(false)
      end

      it 'gives up if that does not come' do
        stub_const("#{described_class}::PATIENCE", 0.1)
        expect { directory.use }.to raise_error(SystemCallError, /another process has begun to wipe it/)
      end
    end

    it 'makes and wipes the directory' do
      directory.create
      touch('counter_1-0.db')
      expect(directory.use).to be(true)
      expect(entries).to eq([])
    end

    it 'wipes nothing when told not to' do
      directory.create
      touch('counter_1-0.db')
      expect(directory.use(wipe: false)).to be(true)
      expect(entries).to eq(['counter_1-0.db'])
    end

    it 'wipes nothing while another process uses the directory' do
      _, alone = another_process(&:use)
      expect(alone).to eq('true')
      touch('counter_1-0.db')
      expect(directory.use).to be(false)
      expect(entries).to eq(['counter_1-0.db'])
    end

    it 'wipes again when that process was killed' do
      pid, = another_process(&:use)
      touch('counter_1-0.db')
      kill(pid)
      expect(directory.use).to be(true)
      expect(entries).to eq([])
    end

    it 'counts a process that came second as a user too' do
      first, = another_process(&:use)
      _, alone = another_process(&:use)
      expect(alone).to eq('false')
      kill(first)
      touch('counter_1-0.db')
      expect(directory.use).to be(false)
      expect(entries).to eq(['counter_1-0.db'])
    end

    it 'counts workers that outlive the process that forked them' do
      pid, worker = another_process { |other| other.use.then { Process.fork { sleep } } }
      others << Integer(worker)
      kill(pid)
      expect(directory.use).to be(false)
    end

    it 'does not count a worker that forgot the directory' do
      directory.use
      _, done = another_process { directory.forget.then { :forgotten } }
      expect(done).to eq(':forgotten')
      directory.forget
      expect(described_class.new(path).use).to be(true)
    end

    it 'does not count programs that a user started' do
      pid, program = another_process { |other| other.use.then { Process.spawn('sleep', '60') } }
      others << Integer(program)
      kill(pid)
      expect(directory.use).to be(true)
    end

    it 'keeps the locks to their owner' do
      directory.use
      directory.claim('puma')
      modes = Dir.glob('*', File::FNM_DOTMATCH, base: path).grep(/lock\z/).to_h do |name|
        [name, File.stat(File.join(path, name)).mode & 0o777]
      end
      expect(modes).to eq('.metrics_server.lock' => 0o600, '.puma.lock' => 0o600)
    end
  end

  describe '#claim' do
    before { directory.create }

    it 'is given to one process, and not to another until that ends' do
      pid, mine = another_process { |other| other.claim('puma') }
      expect(mine).to eq('true')
      expect(directory.claim('puma')).to be(false)
      expect(directory.claim('puma')).to be(false)
      kill(pid)
      expect(directory.claim('puma')).to be(true)
      expect(directory.claim('puma')).to be(true)
    end

    it 'is another one for another server' do
      another_process { |other| other.claim('puma') }
      expect(directory.claim('sidekiq')).to be(true)
    end

    it 'has nothing to do with using the directory' do
      another_process { |other| other.claim('puma') }
      expect(directory.use).to be(true)
    end

    it 'is no longer kept by a forked process that disclaimed it' do
      pid, worker = another_process do |other|
        other.use
        other.claim('puma')
        copy_of_this_process { other.disclaim }.first
      end
      others << Integer(worker)
      expect(directory.claim('puma')).to be(false)
      kill(pid)
      expect(directory.claim('puma')).to be(true)
      expect(directory.use).to be(false)
    end

    it 'is given up when it is forgotten' do
      directory.claim('puma')
      directory.forget
      _, mine = another_process { |other| other.claim('puma') }
      expect(mine).to eq('true')
    end
  end

  describe '#take_name' do
    before { directory.create }

    let(:names) { %w[sidekiq sidekiq_1 sidekiq_2] }

    it 'gives each process a name of its own, and that of one that ended to the next' do
      first, name = another_process { |other| other.take_name(names) }
      expect(name).to eq('"sidekiq"')
      _, name = another_process { |other| other.take_name(names) }
      expect(name).to eq('"sidekiq_1"')
      kill(first)
      expect(directory.take_name(names)).to eq('sidekiq')
      expect(described_class.new(path).take_name(names)).to eq('sidekiq_2')
      expect(described_class.new(path).take_name(names)).to be_nil
    end

    it 'leaves the name of a parent alone' do
      directory.take_name(names)
      _, name = another_process { directory.take_name(names) }
      expect(name).to eq('"sidekiq_1"')
      expect(described_class.new(path).take_name(names)).to eq('sidekiq_2')
    end

    it 'gives the name back when it is forgotten' do
      directory.take_name(names)
      directory.forget
      expect(described_class.new(path).take_name(names)).to eq('sidekiq')
    end

    it 'keeps no file open of names that others have' do
      2.times { another_process { |other| other.take_name(names) } }
      directory.take_name(names)
      open = ObjectSpace.each_object(File).reject(&:closed?).map(&:path).grep(/#{Regexp.escape(path)}/)
      expect(open.map { |file| File.basename(file) }).to eq(['.name.sidekiq_2.lock'])
    end
  end

  it 'can be forgotten without ever having been used' do
    expect { directory.forget }.not_to raise_error
  end

  it 'waits for nobody when it joins' do
    pid, = another_process do |other|
      other.create
      @lock = File.open(File.join(path, described_class::LOCK), File::RDWR | File::CREAT)
      @lock.flock(File::LOCK_EX)
    end
    expect(Thread.new { directory.join }.join(2)).not_to be_nil
    kill(pid)
  end

  it "leaves nothing of its parent's name to a fork that takes another" do
    directory.create
    names = %w[sidekiq sidekiq_1 sidekiq_2]
    pid, fork = another_process do |other|
      other.take_name(names)
      copy_of_this_process do
        GC.disable
        other.take_name(names)
      end.first
    end
    others << Integer(fork)
    kill(pid)
    expect(directory.take_name(names)).to eq('sidekiq')
  end

  it 'can be used anew after it was forgotten' do
    directory.use
    directory.claim('puma')
    directory.take_name(%w[a])
    directory.forget
    expect([directory.use, directory.claim('puma'), directory.take_name(%w[a])]).to eq([true, true, 'a'])
  end
end
