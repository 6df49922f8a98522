# frozen_string_literal: true

require_relative '../support/ruby_server_process'

RSpec.describe 'What metrics-server serves' do
  def server(**options)
    @server ||= RubyServerProcess.new(tmp, **options)
  end

  after { @server&.kill }

  def page
    server.get.body
  end

  describe 'its own metrics' do
    it 'count and time the requests, with a few values of path and method' do
      server.start
      server.get
      server.get('/secret/1')
      server.http { |http| http.send_request('BREW', '/secret/2') }

      expect(page.scan(/^exporter_http_requests_total\{(.*)\} (\d+)$/)).to contain_exactly(
        ['code="200",method="get",path="/metrics",pid="web_exporter"', '1'],
        ['code="404",method="get",path="other",pid="web_exporter"', '1'],
        ['code="404",method="other",path="other",pid="web_exporter"', '1']
      )
      expect(page.scan(/^exporter_http_request_duration_seconds_bucket\{code="404",le="(.*?)",method="get"/).flatten)
        .to contain_exactly('0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf')
    end

    it 'tell about the process, from the first page on' do
      server.start
      names = page.scan(/^# TYPE web_exporter_ruby_(\S+)/).flatten

      expect(names).to include('file_descriptors', 'process_cpu_seconds_total', 'process_max_fds',
                               'process_start_time_seconds', 'process_resident_memory_bytes', 'gc_duration_seconds',
                               'sampler_duration_seconds_total', 'gc_stat_count')
      started = page[/^web_exporter_ruby_process_start_time_seconds\{pid="web_exporter"\} (\S+)/, 1].to_f
      expect(started).to be_within(60).of(Time.now.to_f)
    end

    it 'are named after the target' do
      server(environment: { 'METRICS_SERVER_TARGET' => 'sidekiq' }).start
      server.get

      expect(page).to include('sidekiq_exporter_ruby_gc_stat_count{pid="sidekiq_exporter"}',
                              'path="/metrics",pid="sidekiq_exporter"')
      expect(page).not_to include('web_exporter')
    end

    it 'are the title of the process' do
      title = File.read("/proc/#{server.start.pid}/cmdline").delete("\0").strip

      expect(title).to eq('web_exporter')
    end
  end

  describe 'the metrics directory' do
    def leftover
      FileUtils.mkdir_p(server.metrics_dir)
      RubyServerProcess.write_metrics(server.metrics_dir, 'puma_0') { |r| r.counter(:old_total, 'Old').increment }
    end

    it 'keeps what is there' do
      leftover
      server.start
      expect(page).to include('old_total 1')
    end

    it 'is wiped when that is asked for' do
      server(environment: { 'WIPE_METRICS_DIR' => '1' })
      leftover
      server.start
      expect(page).not_to include('old_total')
    end

    it 'may hold what cannot be wiped' do
      server(environment: { 'WIPE_METRICS_DIR' => '1' }, settings: { log_enabled: true })
      FileUtils.mkdir_p(File.join(server.metrics_dir, 'counter_puma_0-0.db'))
      server.start
      expect(server.log).to match(/ WARN +a file of an earlier run stays: .*counter_puma_0-0.db$/)
    end

    it 'may vanish: the page is empty then' do
      server.start
      FileUtils.rm_rf(server.metrics_dir)
      server.get('/new/labels')

      expect([server.get.code, page]).to eq(['200', ''])
      expect(server.get('/x').code).to eq('404')
    end

    it 'may hold a damaged file: the answer is an error until it is gone' do
      server(settings: { log_enabled: true }).start
      damaged = File.join(server.metrics_dir, 'counter_puma_0-0.db')
      File.binwrite(damaged, [100_000, 0].pack('l2') + ('x' * 4000))
      answer = server.get

      expect([answer.code, answer['content-type']]).to eq(['500', 'text/plain'])
      expect(answer.body).to match(/\Acannot read the metrics: PrometheusParsingError: .*counter_puma_0-0\.db/)
      expect(server.log).to match(/ERROR cannot read the metrics: .*counter_puma_0-0\.db/)
      File.unlink(damaged)
      expect(server.get.code).to eq('200')
    end
  end
end
