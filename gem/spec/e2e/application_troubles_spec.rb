# frozen_string_literal: true

require_relative '../support/example_application'

# Whatever is wrong with the metrics server, the application boots and answers.
RSpec.describe 'A Rails application in trouble with its metrics server' do
  let(:application) { ExampleApplication.new(tmp, golang: true, **environment) }
  let(:environment) { {} }

  after { application.stop }

  def expect_log(text)
    wait_until("#{text.inspect} in the log\n#{application.log('puma')}") { application.log('puma').include?(text) }
    expect(Http.get(application.port, '/').code).to eq('200')
  end

  context 'when the program is not installed' do
    let(:environment) { { PATH: ENV.fetch('PATH') } }

    it 'is told how to install it' do
      application.start_puma
      expect_log('rake "gitlab:metrics_exporter:install[dir]"')
      expect(application.log('puma').scan('metrics server cannot be started').size).to eq(1)
    end
  end

  context 'when the port is taken' do
    it 'is told so, and gets its server once the port is free' do
      squatter = TCPServer.new('127.0.0.1', application.web_exporter_port)
      application.start_puma
      expect_log("Another program listens on http://127.0.0.1:#{application.web_exporter_port}")
      squatter.close
      application.wait_for_web_exporter(within: 60)
    end
  end

  context 'when a setting is wrong' do
    let(:environment) { { WEB_EXPORTER_PORT: 'eighty' } }

    it 'is told which' do
      application.start_puma
      expect_log('monitoring.web_exporter.port is "eighty"')
    end
  end

  context 'when the metrics directory cannot be made' do
    let(:environment) { { prometheus_multiproc_dir: '/proc/metrics' } }

    it 'is told so' do
      application.start_puma
      expect_log('/proc/metrics')
    end
  end
end

# Ways to run it that the other specs do not use.
RSpec.describe 'A Rails application run in other ways' do
  let(:application) { ExampleApplication.new(tmp, golang: true, **environment) }
  let(:environment) { {} }

  after { application.stop }

  context 'with Puma in single mode' do
    let(:environment) { { WEB_CONCURRENCY: '0' } }

    it 'is served, and leaves nothing behind' do
      application.start_puma
      application.wait_for_web_exporter
      5.times { Http.get(application.port, '/products') }
      expect(application.metrics(application.web_exporter_port)).to match(/action="index",controller="products".* 5$/)
      application.signal(:TERM, application.puma)
      application.reap(application.puma)
      application.wait_for_nothing
    end
  end

  context "with the application's own hook for the boot of a worker" do
    let(:hook) { 'public_send(respond_to?(:before_worker_boot) ? :before_worker_boot : :on_worker_boot)' }

    it 'has given the worker its name before that touches a metric' do
      application.start_puma(more: "#{hook} { Shop::Metrics::HEAP.set({}, 7) }\n")
      application.wait_for_web_exporter
      pids = []
      wait_until("both workers have set the gauge, not #{pids}") do
        page = application.metrics(application.web_exporter_port)
        pids = page.scan(/^shop_ruby_heap_live_slots\{pid="(.*?)"\}/).flatten.uniq
        pids.grep(/puma_\d/).size == 2 || pids.include?('puma_master')
      end
      expect(pids).to contain_exactly('puma_0', 'puma_1')
    end
  end

  context 'with variables of the Go server in its environment' do
    let(:environment) { { GME_WEB_LISTEN_ADDRESS: "unix://#{tmp}/socket", GME_CERT_FILE: '/none' } }

    it 'is served where its settings say' do
      application.start_puma
      application.wait_for_web_exporter
      expect(application.log('puma')).not_to include('ERROR')
    end
  end

  context 'with rails server' do
    it 'is served under the same names' do
      application.start_rails_server
      application.wait_for_web_exporter
      3.times { Http.get(application.port, '/products') }
      expect(application.metrics(application.web_exporter_port)).to match(/action="index",controller="products".* 3$/)
      application.signal(:INT, application.puma)
      application.reap(application.puma)
      application.wait_for_nothing
    end
  end

  it 'loses no count when pumactl reads its configuration' do
    application.start_puma
    application.wait_for_web_exporter
    3.times { Http.get(application.port, '/products') }
    application.run('bundle', 'exec', 'pumactl', '-F', 'config/puma.rb', '-p', application.puma.to_s, 'status')
    3.times { Http.get(application.port, '/products') }
    expect(application.metrics(application.web_exporter_port)).to match(/action="index",controller="products".* 6$/)
  end

  it 'shares one server, and one directory, among several Sidekiq processes' do
    application.start_redis
    application.start_puma
    first = application.start_sidekiq
    exporter = application.wait_for_sidekiq_exporter
    second = application.start_sidekiq(id: 1)
    place_orders(20)
    wait_for_jobs(20)
    expect(application.sidekiq_exporter).to eq(exporter)

    application.signal(:TERM, first)
    application.reap(first)
    application.wait_for_sidekiq_exporter(other_than: exporter, within: 40)
    place_orders(10)
    wait_for_jobs(30)
    application.signal(:TERM, second)
    application.reap(second)
    wait_until('Sidekiq has no server any more') { application.sidekiq_exporter.nil? }
  end

  it 'keeps several Sidekiq processes apart that have no number' do
    application.start_redis
    2.times { application.start_sidekiq(id: nil) }
    files = Dir.children("#{tmp}/metrics/sidekiq").grep(/\.db\z/)
    expect(files.map { |name| name[/sidekiq\w*-\d+/] }.uniq).to contain_exactly('sidekiq-0', 'sidekiq_1-0')
  end

  def place_orders(count)
    count.times { expect(Http.post(application.port, '/orders').code).to eq('202') }
  end

  def wait_for_jobs(count)
    wait_until('all jobs are counted') do
      application.total(application.sidekiq_exporter_port, 'shop_jobs_total') == count
    end
  end
end
