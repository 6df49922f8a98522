# frozen_string_literal: true

require 'rbconfig'
require_relative '../support/exposition'
require_relative '../support/scrape'
require_relative '../support/wrapper_process'

# Both servers serve one directory at a time, and what they say of it is
# compared, over HTTP.
RSpec.describe 'The pages of both servers' do
  include ServerProcesses

  testdata = File.expand_path('../../../testdata', __dir__)
  # Families of the servers themselves. Those of the Ruby server are in the same
  # directory as the application's, so the Go server serves them too.
  ruby_server = /\A(?:exporter_http|web_exporter_ruby)_/
  of_servers = Regexp.union(ruby_server, /\Agme_/)

  let(:metrics_dir) { File.join(tmp, 'metrics').tap { |dir| Dir.mkdir(dir) } }

  after { [@go, @ruby].compact.each(&:close) }

  # Starts both, and waits until they answer.
  def serve
    @go = start('go', golang: true)
    @ruby = start('ruby', golang: false)
    [go_url, ruby_url].each { |url| wait_until("#{url} answers") { Scrape.ok?(url) } }
  end

  def start(name, golang:)
    dir = File.join(tmp, name).tap { |path| Dir.mkdir(path) }
    port = Ports.free
    urls[name] = "http://127.0.0.1:#{port}/metrics"
    WrapperProcess.new(dir, port: port, golang: golang).tap do |wrapper|
      wrapper.start(golang ? :spawn : :spawn_ruby_server, 'puma', metrics_dir: metrics_dir, path: Programs.go_directory)
    end
  end

  def urls
    @urls ||= {}
  end

  def go_url
    urls.fetch('go')
  end

  def ruby_url
    urls.fetch('ruby')
  end

  def whole_go_page
    Exposition.new(Scrape.page(go_url))
  end

  def whole_ruby_page
    Exposition.new(Scrape.page(ruby_url), dialect: Exposition::MMAP)
  end

  # The application's families.
  define_method(:go_page) { whole_go_page.without(of_servers).check_order }
  define_method(:ruby_page) { whole_ruby_page.without(of_servers) }

  # Series whose values differ: { series => [Ruby's value, Go's] }.
  def differences(ruby, golang)
    keys = ruby.series.keys | golang.series.keys
    pairs = keys.to_h { |key| [key, [ruby.series[key], golang.series[key]]] }
    pairs.reject { |_, (one, other)| same?(one, other) }
  end

  # To the bit, but all NaNs are one.
  def same?(one, other)
    return one == other if one.nil? || other.nil?

    (one.nan? && other.nan?) || [one].pack('G') == [other].pack('G')
  end

  # The block runs when the processes of an application have written, and live.
  def with_application
    output = File.join(tmp, 'application')
    input, stdin = IO.pipe
    writers = start_application(input, output)
    wait_until('all is written', within: 60) { File.read(output).include?('ready') || !writers.alive? }
    expect(File.read(output)).to eq("ready\n")
    yield
  ensure
    stdin.close
    writers&.join
  end

  # Returns the thread that reaps it.
  def start_application(input, output)
    script = File.expand_path('../support/write_metrics.rb', __dir__)
    environment = { 'prometheus_multiproc_dir' => metrics_dir, 'RUBYOPT' => nil }
    Process.detach(Process.spawn(environment, RbConfig.ruby, script, metrics_dir, in: input, %i[out err] => output))
  ensure
    input.close
  end

  # Files that a real client wrote; see testdata/README.md.
  define_method(:copy) do |folder, files = '*.db'|
    FileUtils.cp(Dir.glob(File.join(testdata, folder, files)), metrics_dir)
  end

  it 'have the same series, values and types, while an application of several processes writes' do
    with_application do
      serve
      ruby = ruby_page
      golang = go_page
      # By hand: if both were empty they would be the same too.
      expect(golang.series).to include(
        ['app_requests_total', { 'CamelCase' => 'x', 'v' => 'plain' }] => 10.0,
        ['app_livesum', { 'v' => 'plain' }] => 10.0, ['app_min', { 'v' => 'plain' }] => 0.0,
        ['app_max', { 'v' => 'plain' }] => 4.0, ['app_all', { 'v' => 'plain', 'pid' => 'puma_1' }] => 3.0,
        ['app_liveall', { 'v' => 'plain', 'pid' => 'process_4711' }] => 4.0,
        ['app_seconds_bucket', { 'v' => 'plain', 'zone' => 'after le', 'le' => '1' }] => 7.0,
        ['app_summary_sum', { 'v' => 'plain' }] => 11.25, ['bare_max', {}] => 4.0
      )
      expect(golang.series.size).to be > 1000
      expect(golang.types.values.tally).to eq('counter' => 15, 'gauge' => 15, 'histogram' => 2, 'summary' => 3)

      expect(differences(ruby, golang)).to eq({})
      expect(golang.types).to eq(ruby.types)
    end
  end

  %w[basic gauge-modes nasty-labels restarted odd-pids empty].each do |folder|
    it "have the same series, values and types for testdata/#{folder}" do
      copy(folder)
      serve
      ruby = ruby_page
      golang = go_page
      expect(differences(ruby, golang)).to eq({})
      expect(golang.types).to eq(ruby.types)
    end
  end

  it 'both have what the Ruby server says of itself, because that is in the directory' do
    serve
    ruby = whole_ruby_page.types.select { |family, _| family.match?(ruby_server) }
    golang = whole_go_page.types
    expect(ruby).to include('exporter_http_requests_total' => 'counter', 'web_exporter_ruby_process_max_fds' => 'gauge')
    expect(golang).to include(ruby)
    expect(golang.keys.grep_v(of_servers)).to eq([])
  end

  # The differences that we want; docs/formats/prometheus-client-mmap.md has all.
  describe 'differ on purpose:' do
    # The gem copies the escapes of its JSON keys, so parsers refuse its page.
    it 'labels that JSON escapes otherwise than the text format' do
      copy('script-escapes')
      serve
      expect { Exposition.new(Scrape.page(ruby_url)) }.to raise_error(Exposition::Odd, /not a label/)
      expect(differences(ruby_page, go_page)).to eq({})
      expect(go_page.types).to eq(ruby_page.types)
    end

    # nil and "", 1 and "1" are two keys that read the same, and Prometheus
    # refuses double series.
    it 'keys that read the same' do
      copy('same-text')
      serve
      expect { ruby_page }.to raise_error(Exposition::Odd, /a second line/)
      expect(go_page.series).to include(['same_total', { 'pair' => 'nil', 'v' => '' }] => 6.0)
    end

    # In one label set a name can stand only once.
    it "a label pid of the application's own, beside ours" do
      copy('own-pid')
      serve
      expect { ruby_page }.to raise_error(Exposition::Odd, /a second label pid/)
      expect(go_page.series).to include(
        ['own_all', { 'a' => 'x', 'exported_pid' => 'mine', 'pid' => 'puma_0' }] => 1.0
      )
    end

    # Samples of one type under the name of another are refused.
    it 'a family in files of two types' do
      copy('two-types')
      serve
      expect { ruby_page }.to raise_error(Exposition::Odd, /not of family/)
      expect(go_page.types).to include('counter_and_gauge_all' => 'untyped', 'steady_total' => 'counter')
    end

    # One bad file must not blind an operator.
    it 'a damaged file' do
      copy('basic')
      copy('damaged', 'counter_file_cut-0.db')
      serve_with_damage
      expect(Scrape.get(ruby_url).code).to eq('500')
      expect(go_page.series).to include(['boots_total', {}] => 2.0, ['file_cut_total', { 'n' => '1' }] => 1.0)
    end

    # The Ruby server answers, but not well.
    def serve_with_damage
      @go = start('go', golang: true)
      @ruby = start('ruby', golang: false)
      wait_until('the Go server answers') { Scrape.ok?(go_url) }
      wait_until('the Ruby server answers') { Ports.open?(URI(ruby_url).port) }
    end
  end
end
