# frozen_string_literal: true

require_relative '../support/certificates'
require_relative '../support/ruby_server_process'

RSpec.describe 'metrics-server with TLS' do
  let(:authority) { Certificates.make('authority') }
  let(:between) { Certificates.make('between', issuer: authority, authority: true) }
  let(:leaf) { Certificates.make('leaf', issuer: between) }
  let(:settings) { Certificates.write(tmp, [leaf, between].map(&:first), leaf.last) }
  let(:server) { RubyServerProcess.new(tmp, settings: settings) }

  before { server.start }

  after { server.kill }

  def https(**options, &block)
    store = OpenSSL::X509::Store.new.tap { |known| known.add_cert(authority.first) }
    Net::HTTP.start('127.0.0.1', server.port, use_ssl: true, cert_store: store, open_timeout: 10, read_timeout: 10,
                                              **options, &block)
  end

  it 'serves the page, with the whole chain of certificates' do
    https do |http|
      expect(http.get('/metrics').body).to include('web_exporter_ruby')
      expect(http.peer_cert.subject.to_s).to eq('/CN=leaf')
    end
  end

  it 'is not kept waiting by clients that say nothing, neither then nor at the end' do
    silent = Array.new(3) { TCPSocket.new('127.0.0.1', server.port) }
    expect(https { |http| http.get('/metrics') }.code).to eq('200')
    server.signal('TERM')
    expect(server.status(within: 4).exitstatus).to eq(0)
  ensure
    silent&.each(&:close)
  end

  it 'outlives clients without TLS' do
    expect { server.get }.to raise_error(StandardError)
    expect(https { |http| http.get('/metrics') }.code).to eq('200')
  end

  it 'refuses old versions of TLS' do
    expect { https(max_version: OpenSSL::SSL::TLS1_1_VERSION) { |http| http.get('/metrics') } }
      .to raise_error(OpenSSL::SSL::SSLError)
  end
end
