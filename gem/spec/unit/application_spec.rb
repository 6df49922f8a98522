# frozen_string_literal: true

require 'metrics_server/application'
require 'metrics_server/configuration'
require 'prometheus/client'

RSpec.describe MetricsServer::Application do
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
      expect(env).to eq('prometheus_multiproc_dir' => puma_dir)
    end

    it 'wipes what an earlier run left' do
      FileUtils.mkdir_p(puma_dir)
      FileUtils.touch(File.join(puma_dir, 'counter_puma_0-0.db'))
      application.prepare('puma')
      expect(files).to eq([])
    end

    it 'wipes nothing in a process of sidekiq-cluster' do
      env.update('ENABLE_SIDEKIQ_CLUSTER' => '1', 'prometheus_multiproc_dir' => tmp)
      FileUtils.touch(File.join(tmp, 'counter_sidekiq_0-0.db'))
      application.prepare('sidekiq')
      expect(files(tmp)).to eq(['counter_sidekiq_0-0.db'])
      expect(application.directory.path).to eq(tmp)
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

    it 'does nothing where no metrics are kept' do
      before = client.pid_provider
      application.take_name
      expect(client.pid_provider).to be(before)
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

    def page
      require 'prometheus/client/formats/text'
      Prometheus::Client::Formats::Text.marshal_multiprocess(puma_dir)
    end
  end

  describe '#worker_started' do
    it 'does nothing where nothing was prepared' do
      expect(Prometheus::Client).not_to receive(:reinitialize_on_pid_change)
      application.worker_started(0)
      expect(application.process_name).to eq("process_#{Process.pid}")
    end
  end

  describe '#leave' do
    it 'gives up the directory in a copy of the process' do
      application.prepare('puma')
      FileUtils.touch(File.join(puma_dir, 'counter_puma_0-0.db'))
      read, write = IO.pipe
      copy = Process.fork do
        application.leave
        write.puts('left')
        sleep
      ensure
        Process.exit!(0)
      end
      read.gets
      application.directory.forget # what the end of this process does
      expect(MetricsServer::MetricsDirectory.new(puma_dir).use).to be(true)
    ensure
      Process.kill(:KILL, copy)
      Process.wait(copy)
      [read, write].each(&:close)
    end

    it 'does nothing where nothing was prepared' do
      expect { application.leave }.not_to raise_error
    end
  end

  it 'knows a process of sidekiq-cluster by its variable' do
    expect(application).not_to be_clustered_sidekiq
    env['ENABLE_SIDEKIQ_CLUSTER'] = ''
    expect(application).not_to be_clustered_sidekiq
    env['ENABLE_SIDEKIQ_CLUSTER'] = '1'
    expect(application).to be_clustered_sidekiq
  end
end
