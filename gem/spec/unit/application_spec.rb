# frozen_string_literal: true

require 'logger'
require 'stringio'
require 'metrics_server/application'
require 'metrics_server/configuration'
require 'prometheus/client'
require_relative '../support/copies'

RSpec.describe MetricsServer::Application do
  include Copies

  subject(:application) { described_class.new(config, env: env) }

  let(:config) { MetricsServer::Configuration.new(env: env).tap { |config| config.root = tmp } }
  let(:env) { {} }
  let(:client) { Prometheus::Client.configuration }
  let(:puma_dir) { File.join(tmp, 'tmp', 'prometheus_multiproc_dir', 'puma') }

  # The client is configured once for the whole process.
  around do |example|
    before = [client.pid_provider, client.multiprocess_files_dir]
    example.run
  ensure
    client.pid_provider, client.multiprocess_files_dir = before
  end

  # The block runs in a process of its own.
  def in_a_process
    pid = Process.fork do
      status = false
      yield
      status = true
    ensure
      Process.exit!(status)
    end
    expect(Process.wait2(pid).last).to be_success
  end

  # Of counters: other examples of this process may have metrics of other types.
  def files(dir = puma_dir)
    Dir.children(dir).grep(/\Acounter_.*\.db\z/).sort
  end

  describe '#prepare' do
    it 'makes the directory, and has the client write there under our names' do
      application.prepare('puma')
      expect(File.stat(puma_dir).mode & 0o777).to eq(0o700)
      expect(application.directory.path).to eq(puma_dir)
      expect(client.multiprocess_files_dir).to eq(puma_dir)
      expect(client.pid_provider.call).to eq('puma_master')
      expect(env).to include('prometheus_multiproc_dir' => puma_dir)
    end

    # The directory of one that the application starts, or runs as next.
    def dir_of_successor(target, root: tmp)
      inherited = env.dup
      config = MetricsServer::Configuration.new(env: inherited).tap { |other| other.root = root }
      described_class.new(config, env: inherited).tap { |other| other.prepare(target) }.directory.path
    end

    it 'chooses anew in a Sidekiq that Puma starts, and in a Puma restarted in another release' do
      application.prepare('puma')
      expect(dir_of_successor('sidekiq')).to eq(File.join(tmp, 'tmp/prometheus_multiproc_dir/sidekiq'))
      expect(dir_of_successor('puma')).to eq(puma_dir)
      expect(dir_of_successor('puma', root: "#{tmp}/2")).to eq("#{tmp}/2/tmp/prometheus_multiproc_dir/puma")
    end

    it 'chooses nothing where the operator gave a directory' do
      env['prometheus_multiproc_dir'] = 'metrics'
      application.prepare('puma')
      dirs = %w[puma sidekiq].map { |target| dir_of_successor(target, root: "#{tmp}/2") }
      expect(dirs).to all(eq(File.join(tmp, 'metrics')))
    end

    it 'wipes what an earlier run left' do
      FileUtils.mkdir_p(puma_dir)
      FileUtils.touch(File.join(puma_dir, 'counter_puma_0-0.db'))
      application.prepare('puma')
      expect(files).to eq([])
    end

    it 'says what of an earlier run it could not wipe, and goes on' do
      config.logger = Logger.new(log = StringIO.new)
      %w[0 1].each { |number| FileUtils.mkdir_p(File.join(puma_dir, "counter_puma_#{number}-0.db", 'in the way')) }
      FileUtils.touch(File.join(puma_dir, 'counter_puma_2-0.db'))
      application.prepare('puma')
      expect(log.string).to match(/2 files of an earlier run cannot be .* - #{puma_dir}.counter_puma_[01]-0.db$/)
      expect(files.size).to eq(2)
    end

    it 'wipes nothing in a process of sidekiq-cluster' do
      env.update('ENABLE_SIDEKIQ_CLUSTER' => '1', 'prometheus_multiproc_dir' => tmp)
      FileUtils.touch(File.join(tmp, 'counter_sidekiq_0-0.db'))
      application.prepare('sidekiq')
      expect(files(tmp)).to eq(['counter_sidekiq_0-0.db'])
      expect(application.directory.path).to eq(tmp)
    end

    # Where rails server boots an application that does not require the gem, or config/puma.rb does.
    it 'has metrics counted here that were touched before' do
      in_a_process do
        client.multiprocess_files_dir = Dir.mktmpdir('elsewhere', tmp)
        early, late = %i[early_total late_total].map { |name| Prometheus::Client::Registry.new.counter(name, 'help') }
        early.increment
        application.prepare('puma')
        early.increment({}, 10)
        late.increment({}, 100)
      end
      expect(page.scan(/^\w+_total \d+/)).to contain_exactly('early_total 10', 'late_total 100')
    end

    it 'is decided by the first call' do
      application.prepare('puma')
      FileUtils.touch(File.join(puma_dir, 'counter_puma_0-0.db'))
      %w[puma sidekiq].each { |target| application.prepare(target) }
      expect(files).to eq(['counter_puma_0-0.db'])
      expect(application.process_name).to eq('puma_master')
      expect(application.directory.path).to eq(puma_dir)
    end

    it 'refuses an unknown target, and then still takes a right one' do
      expect { application.prepare('unicorn') }.to raise_error('Target must be one of [puma,sidekiq]')
      application.prepare('sidekiq')
      expect(application.process_name).to eq('sidekiq')
    end

    it 'leaves the client alone when the directory cannot be made' do
      FileUtils.touch(File.join(tmp, 'tmp'))
      before = client.multiprocess_files_dir
      expect { application.prepare('puma') }
        .to raise_error(MetricsServer::Error, /\Athe metrics directory #{puma_dir} cannot be used \(.*File exists/)
      expect(application.directory).to be_nil
      expect(client.multiprocess_files_dir).to eq(before)
      expect(env).to eq({})
    end
  end

  describe '#take_name' do
    it 'has the client name files after the process id, where they are kept' do
      env['prometheus_multiproc_dir'] = tmp
      application.take_name
      expect(client.pid_provider.call).to eq("process_#{Process.pid}")
    end

    it 'keeps those files from being wiped for as long as the process lives' do
      application.prepare('puma')
      application.directory.forget
      env['prometheus_multiproc_dir'] = puma_dir
      task = described_class.new(config, env: env).tap(&:take_name)
      expect(MetricsServer::MetricsDirectory.new(puma_dir).use).to be(false)
      expect(task.process_name).to eq("process_#{Process.pid}")
    end

    [nil, '', ' '].each do |dir|
      it "does nothing where metrics are kept in #{dir.inspect}" do
        env['prometheus_multiproc_dir'] = dir
        before = client.pid_provider
        application.take_name
        expect(client.pid_provider).to be(before)
      end
    end

    it 'does not take the name away that the process was prepared with' do
      application.prepare('puma')
      application.take_name
      expect(client.pid_provider.call).to eq('puma_master')
    end
  end

  describe '#process_name' do
    it 'is the process id outside of Puma and Sidekiq' do
      expect(application.process_name).to eq("process_#{Process.pid}")
    end

    it 'is puma_master in the primary of Puma, and puma_2 in a worker' do
      application.prepare('puma')
      expect(application.process_name).to eq('puma_master')
      in_a_process do
        application.worker_started(2)
        raise unless application.process_name == 'puma_2'
      end
    end

    it 'takes no notice of a worker id of Sidekiq in Puma' do
      env['SIDEKIQ_WORKER_ID'] = '3'
      application.prepare('puma')
      expect(application.process_name).to eq('puma_master')
    end

    { nil => 'sidekiq', '' => 'sidekiq', '0' => 'sidekiq_0', '12' => 'sidekiq_12' }.each do |id, name|
      it "is #{name} in a Sidekiq whose id is #{id.inspect}" do
        env['SIDEKIQ_WORKER_ID'] = id if id
        application.prepare('sidekiq')
        expect(application.process_name).to eq(name)
      end
    end
  end

  describe 'the name of a Sidekiq process' do
    # A process with metrics in the directory, which lives until the example ends.
    def sidekiq(id: nil)
      pid, name = copy_of_this_process do
        env['SIDEKIQ_WORKER_ID'] = id if id
        application.prepare('sidekiq')
        application.process_name
      end
      others << pid
      name
    end

    let(:others) { [] }

    after { others.each { |pid| kill(pid) } }

    it 'is its own where several have no id' do
      expect([sidekiq, sidekiq, sidekiq]).to eq(%w[sidekiq sidekiq_1 sidekiq_2])
    end

    it 'is given to the process that takes the place of another' do
      2.times { sidekiq }
      kill(others.shift)
      expect(sidekiq).to eq('sidekiq')
    end

    it 'is never that of one with an id, which is called after it whatever others do' do
      expect([sidekiq(id: '1'), sidekiq, sidekiq, sidekiq(id: '1')]).to eq(%w[sidekiq_1 sidekiq sidekiq_2 sidekiq_1])
    end

    { nil => 'sidekiq', '3' => 'sidekiq_3' }.each do |id, name|
      it "is not that of a process which a job of #{name} forks, so that each has its gauges" do
        env['SIDEKIQ_WORKER_ID'] = id if id
        in_a_process do
          application.prepare('sidekiq')
          gauge = Prometheus::Client::Registry.new.gauge(:jobs_left, 'help', {}, :all)
          gauge.set({}, 1)
          2.times { |number| in_a_process { gauge.set({}, 10 + number) } } # one after the other: one name
          in_a_process { gauge.set({}, 12) && in_a_process { gauge.set({}, 20) } }
        end
        expect(page("#{tmp}/tmp/prometheus_multiproc_dir/sidekiq").scan(/^jobs_left\{pid="(.*?)"\} (\d+)/))
          .to contain_exactly([name, '1'], ["#{name}_fork", '12'], ["#{name}_fork_1", '20'])
      end
    end

    # Solid Queue's plugin forks from the primary, and a request may fork, too.
    it 'is not that of a process which the primary or a worker of Puma forks, so that no count is lost' do
      in_a_process do
        application.prepare('puma')
        counter = Prometheus::Client::Registry.new.counter(:calls_total, 'help')
        counter.increment
        in_a_process { counter.increment({}, 10) }
        counter.increment({}, 100)
        in_a_process do
          application.worker_started(0)
          counter.increment({}, 1000)
          in_a_process { counter.increment({}, 10_000) }
          counter.increment({}, 100_000)
        end
      end
      expect(page).to match(/^calls_total 111111(\.0)?$/)
      expect(files).to eq(%w[counter_puma_0-0.db counter_puma_0_fork-0.db
                             counter_puma_master-0.db counter_puma_master_fork-0.db])
    end

    it 'is told by the process id where a fork can take none' do
      application.prepare('sidekiq')
      FileUtils.rm_rf(application.directory.path)
      in_a_process { raise unless application.process_name == "process_#{Process.pid}" }
      expect(application.process_name).to eq('sidekiq')
    end
  end

  def page(dir = puma_dir)
    require 'prometheus/client/formats/text'
    Prometheus::Client::Formats::Text.marshal_multiprocess(dir)
  end

  describe 'the files' do
    it 'are named after the master and the workers' do
      in_a_process do
        application.prepare('puma')
        counter = Prometheus::Client::Registry.new.counter(:forks_total, 'help')
        counter.increment
        2.times do |number|
          in_a_process do
            application.worker_started(number)
            counter.increment({}, 10)
          end
        end
      end
      expect(files).to eq(%w[counter_puma_0-0.db counter_puma_1-0.db counter_puma_master-0.db])
    end

    it 'are there, with all metrics of the master, before a worker counts' do
      # A master of its own: in this process the client has files of other examples.
      in_a_process do
        application.prepare('puma')
        Prometheus::Client::Registry.new.counter(:forks_total, 'help').increment
        in_a_process { application.worker_started(0) }
      end
      expect(files).to eq(%w[counter_puma_0-0.db counter_puma_master-0.db])
    end

    it 'go on to be counted in by a worker that takes the place of another' do
      application.prepare('puma')
      counter = Prometheus::Client::Registry.new.counter(:forks_total, 'help')
      2.times do
        in_a_process do
          application.worker_started(0)
          counter.increment({}, 10)
        end
      end
      expect(files).to eq(%w[counter_puma_0-0.db])
      expect(page).to match(/^forks_total 20$/)
    end
  end

  describe '#worker_started' do
    it 'makes the directory anew that is gone' do
      application.prepare('puma')
      counter = Prometheus::Client::Registry.new.counter(:forks_total, 'help')
      FileUtils.rm_r(puma_dir)
      in_a_process do
        application.worker_started(0)
        counter.increment
      end
      expect(files).to eq(%w[counter_puma_0-0.db])
    end

    it 'does nothing where nothing was prepared' do
      expect(Prometheus::Client).not_to receive(:reinitialize_on_pid_change)
      application.worker_started(0)
      expect(application.process_name).to eq("process_#{Process.pid}")
    end
  end

  describe '#check_client' do
    let(:log) { StringIO.new }

    before { config.logger = Logger.new(log) }

    it 'says once, in one process, that the application has the client write elsewhere' do
      application.prepare('puma')
      client.multiprocess_files_dir = tmp
      application.worker_started(1)
      expect(log.string).to eq('')
      application.worker_started(0)
      application.check_client
      expect(log.string.lines.size).to eq(1)
      expect(log.string).to match(/WARN.* has set multiprocess_files_dir .* to #{tmp}, but .* into #{puma_dir},/)
    end

    it 'has workers say that the application has the client write elsewhere' do
      application.prepare('puma')
      client.multiprocess_files_dir = tmp
      application.worker_started(0)
      expect(log.string).to match(/has set multiprocess_files_dir/)
    end

    it 'says nothing of a directory that is gone' do
      application.prepare('puma')
      FileUtils.rm_r(puma_dir)
      application.check_client
      expect(log.string).to eq('')
    end

    it 'says once that metrics_dir was set too late' do
      application.prepare('puma')
      config.metrics_dir = "#{tmp}/late"
      2.times { application.check_client }
      expect(log.string.lines.size).to eq(1)
      expect(log.string).to match(%r{WARN.* metrics_dir is #{tmp}/late now, but .* to #{puma_dir} since the start,})
    end

    it 'is content with the same directory by another name' do
      application.prepare('sidekiq')
      File.symlink(application.directory.path, "#{tmp}/link")
      client.multiprocess_files_dir = "#{tmp}/link"
      application.check_client
      expect(log.string).to eq('')
    end

    it 'does nothing where nothing was prepared' do
      application.check_client
      expect(log.string).to eq('')
    end
  end

  describe '#leave' do
    # The Railtie calls take_name in processes that the Puma plugin has prepared, too.
    { 'in a copy of the process' => -> { application.prepare('puma') },
      'under Rails, too' => -> { application.prepare('puma') && application.take_name },
      'in a copy of a process that has only joined it' => lambda {
        MetricsServer::MetricsDirectory.new(puma_dir).tap(&:use).forget
        env['prometheus_multiproc_dir'] = puma_dir
        application.take_name
      } }.each do |what, begun|
      it "gives up the directory #{what}" do
        in_a_process do
          instance_exec(&begun)
          copy, = copy_of_this_process { application.leave }
          application.leave # what the end of this process does
          raise 'still in use' unless MetricsServer::MetricsDirectory.new(puma_dir).use
        ensure
          kill(copy)
        end
      end
    end

    it 'does nothing where nothing was prepared' do
      expect { application.leave }.not_to raise_error
    end
  end

  it 'knows what it was prepared for' do
    expect(application.target).to be_nil
    application.prepare('puma')
    application.prepare('sidekiq')
    expect(application.target.name).to eq('puma')
  end

  it 'knows a process of sidekiq-cluster by its variable' do
    expect(application).not_to be_clustered_sidekiq
    env['ENABLE_SIDEKIQ_CLUSTER'] = ''
    expect(application).not_to be_clustered_sidekiq
    env['ENABLE_SIDEKIQ_CLUSTER'] = '1'
    expect(application).to be_clustered_sidekiq
  end

  it 'keeps files from being wiped whatever the garbage collector does' do
    application.prepare('puma')
    application.directory.forget
    env['prometheus_multiproc_dir'] = puma_dir
    task = described_class.new(config, env: env)
    Thread.new { task.take_name }.join
    GC.start
    expect(MetricsServer::MetricsDirectory.new(puma_dir).use).to be(false)
    expect(task.process_name).to eq("process_#{Process.pid}")
  end

  it 'has workers keep nobody from running the server' do
    application.prepare('puma')
    application.directory.claim('puma')
    worker, = copy_of_this_process { application.worker_started(0) }
    application.directory.forget # what the end of this process does
    expect(MetricsServer::MetricsDirectory.new(puma_dir).claim('puma')).to be(true)
  ensure
    kill(worker)
  end

  it 'can be prepared once its directory can be made' do
    FileUtils.touch(File.join(tmp, 'tmp'))
    expect { application.prepare('puma') }.to raise_error(MetricsServer::Error)
    expect(application.process_name).to eq("process_#{Process.pid}")
    application.worker_started(0)
  end

  it 'says what to do when the directory may not be made' do
    config.metrics_dir = '/proc/metrics'
    expect { application.prepare('puma') }.to raise_error(MetricsServer::Error, /cannot be used/)
  end
end
