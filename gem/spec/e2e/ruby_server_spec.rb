# frozen_string_literal: true

require_relative '../support/ruby_server_process'

RSpec.describe 'metrics-server' do
  def server(**options)
    @server ||= RubyServerProcess.new(tmp, **options)
  end

  after { @server&.kill }

  describe 'the page' do
    it 'has the metrics of all processes, as the Prometheus client puts them together' do
      %w[puma_0 puma_1].each do |pid|
        FileUtils.mkdir_p(server.metrics_dir)
        RubyServerProcess.write_metrics(server.metrics_dir, pid) do |registry|
          registry.counter(:jobs_total, 'Jobs').increment({ queue: 'mail' }, 2)
          registry.gauge(:threads, 'Threads', {}, :all).set({}, 5)
        end
      end
      answer = server.start.get

      expect(answer.code).to eq('200')
      expect(answer['content-type']).to eq('text/plain; version=0.0.4')
      expect(answer.body.lines(chomp: true)).to include(
        '# TYPE jobs_total counter', 'jobs_total{queue="mail"} 4', 'threads{pid="puma_0"} 5', 'threads{pid="puma_1"} 5'
      )
    end

    it 'is there for an empty directory, which is made for the owner alone' do
      expect(server.start.get.code).to eq('200')
      expect(File.stat(server.metrics_dir).mode & 0o777).to eq(0o700)
    end

    it 'comes compressed for those who accept that' do
      answer = server.start.get('/metrics', 'Accept-Encoding' => 'gzip')

      expect(answer['content-encoding']).to eq('gzip')
      expect(Zlib.gunzip(answer.body)).to include('web_exporter_ruby_file_descriptors')
    end

    it 'answers any method, and HEAD without a body' do
      post, head = server.start.http { |http| [http.post('/metrics', 'x=1'), http.head('/metrics')] }

      expect([post.code, head.code, head.body]).to eq(['200', '200', nil])
    end

    it 'is refused to those who do not accept text' do
      server.start
      refusal = server.get('/metrics', 'Accept' => 'application/json')

      expect([refusal.code, refusal.body]).to eq(['406', 'Supported media types: text/plain'])
      expect(server.get('/metrics', 'Accept' => 'text/plain').code).to eq('200')
    end

    it 'is the only one' do
      server.start
      %w[/ /metrics/ /metrics/x /liveness /favicon.ico].each do |path|
        answer = server.get(path)
        expect([path, answer.code, answer.body]).to eq([path, '404', ''])
      end
      expect(server.get('/metrics?a=b').code).to eq('200')
    end

    it 'keeps connections' do
      server.start.http do |http|
        expect(http.get('/metrics')['connection']).to eq('Keep-Alive')
        expect(http.get('/metrics').code).to eq('200')
      end
    end
  end

  describe 'its settings' do
    def gitlab_yml(address)
      File.write(File.join(tmp, 'gitlab.yml'), <<~YAML)
        test:
          monitoring:
            web_exporter: { enabled: true, address: "#{address}", port: #{server.port} }
      YAML
    end

    ['', '*', 'localhost'].each do |address|
      it "may come from gitlab.yml, with the address #{address.inspect}" do
        skip 'this machine has no name localhost' if address == 'localhost' && !File.exist?('/etc/hosts')

        server(settings: nil, environment: { 'GITLAB_CONFIG' => File.join(tmp, 'gitlab.yml'), 'RAILS_ENV' => 'test' })
        gitlab_yml(address)
        server.start
        expect(server.get.body).to include('web_exporter_ruby')
        wait_until('the request is logged, as is the default') { server.log.include?('GET /metrics HTTP/1.1" 200') }
      end
    end
  end
end
