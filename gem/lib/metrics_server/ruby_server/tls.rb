# frozen_string_literal: true

require 'openssl'
require 'metrics_server/errors'
require 'metrics_server/ruby_server/reason'

module MetricsServer
  class RubyServer
    # The certificate and the key of the server, as options for WEBrick.
    class Tls
      CERTIFICATE = /-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/m
      # Not the parameters that some tools write before an EC key.
      KEY = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.+?-----END \1-----/m

      # place: what the settings are called in messages.
      def initialize(settings, place:)
        @cert_path = settings.tls_cert_path
        @key_path = settings.tls_key_path
        @place = place
      end

      # Raises Error, whose message says which file is wrong.
      def webrick_options
        leaf, *chain = certificates
        key = private_key
        raise Error, "#{@place}.tls_key_path: #{@key_path} is not the key of the certificate in #{@cert_path}." unless
          leaf.check_private_key(key)

        { SSLEnable: true, SSLCertificate: leaf, SSLExtraChainCert: chain, SSLPrivateKey: key,
          SSLOptions: protocols, SSLStartImmediately: true }
      end

      private

      def certificates
        blocks = read(@cert_path, 'tls_cert_path').scan(CERTIFICATE)
        wrong('tls_cert_path', @cert_path, 'holds no certificate in PEM form') if blocks.empty?
        blocks.map { |block| OpenSSL::X509::Certificate.new(block) }
      rescue OpenSSL::X509::CertificateError => e
        wrong('tls_cert_path', @cert_path, "holds a certificate that cannot be read (#{Reason.of(e)})")
      end

      # The empty passphrase keeps OpenSSL from asking for one on the terminal.
      def private_key
        block = read(@key_path, 'tls_key_path')[KEY] or
          wrong('tls_key_path', @key_path, 'holds no private key in PEM form')
        OpenSSL::PKey.read(block, '')
      rescue OpenSSL::PKey::PKeyError => e
        wrong('tls_key_path', @key_path, "holds a key that cannot be read without a passphrase (#{Reason.of(e)})")
      end

      def read(path, key)
        File.read(path, mode: 'rb')
      rescue SystemCallError => e
        wrong(key, path, "cannot be read (#{Reason.of(e)})")
      end

      def wrong(key, path, rule)
        raise Error, "#{@place}.#{key}: #{path} #{rule}. Give the path of a PEM file that this user may read."
      end

      # TLS 1.2 and later, as the Go server does.
      def protocols
        OpenSSL::SSL::OP_ALL | OpenSSL::SSL::OP_NO_SSLv3 | OpenSSL::SSL::OP_NO_TLSv1 | OpenSSL::SSL::OP_NO_TLSv1_1
      end
    end
  end
end
