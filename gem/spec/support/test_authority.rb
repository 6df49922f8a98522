# frozen_string_literal: true

require_relative 'certificates'

# A certificate authority for one example: root, intermediate and, signed by
# that, a certificate for 127.0.0.1 and localhost. Its files are in dir.
class TestAuthority
  # [certificate, key] each.
  attr_reader :root, :intermediate, :leaf

  def initialize(dir)
    @dir = dir
    @root = Certificates.make('Test root')
    @intermediate = Certificates.make('Test intermediate', issuer: @root, authority: true)
    @leaf = Certificates.make('Test server', issuer: @intermediate)
  end

  # The server's certificate, and behind it the intermediate one.
  def bundle_file
    write('bundle.pem', [leaf, intermediate].map { |certificate, _| certificate.to_pem }.join)
  end

  def key_file
    write('key.pem', leaf.last.to_pem)
  end

  # For clients: who trusts the root only needs the whole chain from the server.
  def root_file
    write('root.pem', root.first.to_pem)
  end

  private

  def write(name, text)
    File.join(@dir, name).tap { |path| File.write(path, text) }
  end
end
