# frozen_string_literal: true

require 'prometheus/client'
require 'metrics_server/health_check'
require 'metrics_server/ruby_server/application'

RSpec.describe MetricsServer::RubyServer::Application do
  let(:registry) { Prometheus::Client::Registry.new }
  let(:log) { double('log', error: nil) }
  let(:app) { described_class.build(registry: registry, log: log, pid: 'web_exporter') }

  def request(path, method: 'GET', **headers)
    app.call({ 'REQUEST_METHOD' => method, 'PATH_INFO' => path }.merge(headers.transform_keys(&:to_s)))
  end

  # How often a request with these labels was counted, by what the block does.
  # (The client keeps counting where an earlier example ended.)
  def counted(**labels)
    labels = { pid: 'web_exporter' }.merge(labels)
    app
    counter = registry.get(:exporter_http_requests_total)
    before = counter.get(labels)
    yield
    counter.get(labels) - before
  end

  it 'counts by a method, path and code of a few' do
    expect(counted(method: 'get', path: '/metrics', code: '200') { request('/metrics') }).to eq(1)
    expect(counted(method: 'head', path: '/metrics', code: '200') { request('/metrics', method: 'HEAD') }).to eq(1)
    expect(counted(method: 'get', path: 'other', code: '404') { request('/a') && request('/b') }).to eq(2)
    expect(counted(method: 'other', path: 'other', code: '404') { request('/', method: 'BREW') }).to eq(1)
  end

  it 'collects garbage after each page, and after nothing else' do
    app
    expect(GC).to receive(:start).once
    %w[/metrics /none /-/healthy].each { |path| request(path) }
  end

  it 'does not count the health checks of those who supervise it, and answers them as any unknown path' do
    answers = []
    { MetricsServer::HealthCheck::PATH => 0, '/-/health' => 1 }.each do |path, times|
      expect(counted(method: 'get', path: 'other', code: '404') { answers << request(path) }).to eq(times)
    end
    expect(answers.map { |status, headers, body| [status, headers.to_h, body.to_enum.to_a] }.uniq.size).to eq(1)
  end

  it 'has names of headers in lower case' do
    status, headers, = request('/metrics')

    expect(status).to eq(200)
    expect(headers.to_h.keys).to include('content-type')
  end

  it 'answers with the error when the metrics cannot be read' do
    allow(Prometheus::Client::Formats::Text).to receive(:marshal_multiprocess).and_raise("broken\nsource code")
    status, _, body = request('/metrics')

    expect([status, body.to_enum(:each).to_a.join]).to eq([500, "cannot read the metrics: RuntimeError: broken\n"])
    expect(log).to have_received(:error).with('cannot read the metrics: RuntimeError: broken')
  end
end
