# frozen_string_literal: true

require 'openssl'

# Certificates for specs.
module Certificates
  # Returns [certificate, key]; signed by issuer, another such pair, or by
  # itself. authority: whether it may sign others.
  def self.make(name, issuer: nil, authority: issuer.nil?, key: OpenSSL::PKey::EC.generate('prime256v1'))
    certificate = unsigned(name, key)
    certificate.issuer = issuer ? issuer.first.subject : certificate.subject
    extensions(authority).each { |extension| certificate.add_extension(extension) }
    certificate.sign(issuer ? issuer.last : key, 'SHA256')
    [certificate, key]
  end

  def self.unsigned(name, key)
    certificate = OpenSSL::X509::Certificate.new
    certificate.version = 2
    certificate.serial = rand(1..1_000_000)
    certificate.subject = OpenSSL::X509::Name.new([['CN', name]])
    certificate.not_before = Time.now - 3600
    certificate.not_after = Time.now + 3600
    certificate.public_key = key
    certificate
  end

  def self.extensions(authority)
    factory = OpenSSL::X509::ExtensionFactory.new
    [factory.create_extension('basicConstraints', authority ? 'CA:TRUE' : 'CA:FALSE', true),
     factory.create_extension('subjectAltName', 'IP:127.0.0.1,DNS:localhost')]
  end

  # Writes the certificates as a bundle, and the key; returns the settings.
  def self.write(dir, certificates, key)
    cert_path = File.join(dir, 'cert.pem')
    key_path = File.join(dir, 'key.pem')
    File.write(cert_path, certificates.map(&:to_pem).join)
    File.write(key_path, key.respond_to?(:to_pem) ? key.to_pem : key)
    { tls_enabled: true, tls_cert_path: cert_path, tls_key_path: key_path }
  end
end
