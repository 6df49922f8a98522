# frozen_string_literal: true

require 'metrics_server/ruby_server/tls'
require 'metrics_server/exporter_settings'
require_relative '../support/certificates'

RSpec.describe MetricsServer::RubyServer::Tls do
  let(:authority) { Certificates.make('authority') }
  let(:leaf) { Certificates.make('leaf', issuer: authority) }
  let(:bundle) { [leaf, authority].map(&:first) }

  def options(certificates, key)
    values = { enabled: true, address: 'localhost', port: 1, log_enabled: false }
    settings = Certificates.write(tmp, certificates, key)
    described_class.new(MetricsServer::ExporterSettings.new(values.merge(settings), place: 'place'), place: 'place')
                   .webrick_options
  end

  def refused(certificates, key, rule)
    expect { options(certificates, key) }.to raise_error(MetricsServer::Error, rule)
  end

  it 'takes the first certificate of a bundle for its own' do
    result = options(bundle, leaf.last)

    expect(result[:SSLCertificate].subject.to_s).to eq('/CN=leaf')
    expect(result[:SSLExtraChainCert].map { |certificate| certificate.subject.to_s }).to eq(['/CN=authority'])
    expect(result[:SSLPrivateKey].public_to_pem).to eq(leaf.last.public_to_pem)
  end

  it 'reads keys of several kinds and forms' do
    rsa = OpenSSL::PKey::RSA.generate(2048)
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    pem = leaf.last.to_pem
    forms = { leaf.last => [pem, "#{parameters}#{pem}", leaf.last.private_to_pem],
              rsa => [rsa.to_pem, rsa.private_to_pem] }
    forms.each do |key, texts|
      texts.each { |text| expect { options([Certificates.make('a', key: key).first], text) }.not_to raise_error }
    end
  end

  it 'reads the certificate and the key from one file' do
    expect { options(bundle, bundle.map(&:to_pem).join + leaf.last.to_pem) }.not_to raise_error
  end

  it 'refuses the key of another certificate' do
    refused(bundle, authority.last, /\Aplace\.tls_key_path: .*key\.pem is not the key of the certificate in/)
  end

  it 'refuses a file without a certificate, or with a broken one' do
    refused([], leaf.last, /\Aplace\.tls_cert_path: .*cert\.pem holds no certificate in PEM form/)
    broken = Struct.new(:to_pem).new("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    refused([broken], leaf.last, /\Aplace\.tls_cert_path: .*holds a certificate that cannot be read/)
  end

  it 'refuses a file without a private key' do
    refused(bundle, leaf.last.public_to_pem, /\Aplace\.tls_key_path: .*key\.pem holds no private key/)
    refused(bundle, '', /holds no private key/)
  end

  it 'refuses a key with a passphrase, and does not ask for that' do
    secret = leaf.last.private_to_pem(OpenSSL::Cipher.new('aes-128-cbc'), 'secret')

    refused(bundle, secret, /\Aplace\.tls_key_path: .*cannot be read without a passphrase/)
  end

  it 'asks nobody for a passphrase' do
    expect(OpenSSL::PKey).to receive(:read).with(anything, '').and_call_original
    options(bundle, leaf.last)
  end

  it 'speaks no TLS below 1.2' do
    wanted = OpenSSL::SSL::OP_NO_TLSv1 | OpenSSL::SSL::OP_NO_TLSv1_1
    expect(options(bundle, leaf.last)[:SSLOptions] & wanted).to eq(wanted)
  end

  it 'refuses files in another form than PEM' do
    settings = Certificates.write(tmp, bundle, leaf.last)
    File.binwrite(settings[:tls_cert_path], "\xFF\xFE".b + leaf.first.to_der)
    values = { enabled: true, address: 'localhost', port: 1, log_enabled: false }
    expect do
      described_class.new(MetricsServer::ExporterSettings.new(values.merge(settings), place: 'place'),
                          place: 'place').webrick_options
    end
      .to raise_error(MetricsServer::Error, /holds no certificate in PEM form/)
  end
end
