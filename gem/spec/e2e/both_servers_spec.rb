# frozen_string_literal: true

require_relative '../support/scrape'
require_relative '../support/test_authority'
require_relative '../support/wrapper_process'

# What the settings promise, of either server: TLS, the log file, and silence.
RSpec.describe 'Both servers' do
  include ServerProcesses

  let(:port) { Ports.free }
  let(:metrics_dir) { File.join(tmp, 'metrics').tap { |dir| Dir.mkdir(dir) } }

  after { @wrapper&.close }

  def start(target, golang:, **settings)
    @wrapper = WrapperProcess.new(tmp, port: port, golang: golang, settings: settings)
    @wrapper.start(:spawn, target, metrics_dir: metrics_dir, path: Programs.go_directory)
  end

  def url(scheme = 'http')
    "#{scheme}://127.0.0.1:#{port}/metrics"
  end

  def wait_for_server
    wait_until("the server listens\n#{@wrapper.output}") { Ports.open?(port) }
  end

  { 'Go' => true, 'Ruby' => false }.each do |language, golang|
    describe "TLS of the #{language} server" do
      let(:authority) { TestAuthority.new(tmp) }
      let(:tls) { { tls_enabled: true, tls_cert_path: authority.bundle_file, tls_key_path: authority.key_file } }

      it 'satisfies a client that trusts the root only' do
        start('puma', golang: golang, **tls)
        wait_for_server
        expect(Scrape.page(url('https'), root_file: authority.root_file)).to be_a(String)
      end

      it 'does not satisfy it when the intermediate certificate is missing' do
        File.write(leaf_file = "#{tmp}/leaf.pem", authority.leaf.first.to_pem)
        start('puma', golang: golang, **tls, tls_cert_path: leaf_file)
        wait_for_server
        expect { Scrape.page(url('https'), root_file: authority.root_file) }
          .to raise_error(OpenSSL::SSL::SSLError, /verify/)
      end

      it 'does not satisfy a client that trusts somebody else' do
        Dir.mkdir(other = "#{tmp}/other")
        start('sidekiq', golang: golang, **tls)
        wait_for_server
        expect { Scrape.page(url('https'), root_file: TestAuthority.new(other).root_file) }
          .to raise_error(OpenSSL::SSL::SSLError, /verify/)
      end

      it 'serves no page without TLS' do
        start('puma', golang: golang, **tls)
        wait_for_server
        expect(plain_answer).not_to include('200 OK')
      end
    end

    { 'puma' => 'web_exporter', 'sidekiq' => 'sidekiq_exporter' }.each do |target, exporter|
      it "are logged to log/#{exporter}.log where that is on: the #{language} server of #{target}" do
        start(target, golang: golang, log_enabled: true)
        wait_for_server
        Scrape.page(url)
        end_server(@wrapper.server)
        expect(Dir.children("#{tmp}/log")).to eq(["#{exporter}.log"])
        expect(File.read("#{tmp}/log/#{exporter}.log")).to include(port.to_s)
        expect(@wrapper.output).to eq('')
      end

      it "say nothing at all where it is off: the #{language} server of #{target}" do
        start(target, golang: golang, log_enabled: false)
        wait_for_server
        Scrape.page(url)
        Scrape.get("http://127.0.0.1:#{port}/nothing")
        end_server(@wrapper.server)
        expect(@wrapper.output).to eq('')
        expect(Dir).not_to exist("#{tmp}/log")
      end
    end
  end

  # What a server with TLS says to a request without.
  def plain_answer
    socket = TCPSocket.new('127.0.0.1', port)
    socket.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    socket.read
  rescue Errno::ECONNRESET
    ''
  ensure
    socket&.close
  end
end
