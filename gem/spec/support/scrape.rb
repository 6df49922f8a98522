# frozen_string_literal: true

require 'net/http'
require 'openssl'

# Asks metrics servers of this machine, as a scraper does.
module Scrape
  # Returns the response. root_file: the only certificate that is trusted.
  # Raises whatever goes wrong.
  def self.get(url, root_file: nil, headers: {})
    uri = URI(url)
    http = Net::HTTP.new(uri.hostname, uri.port, nil)
    http.open_timeout = http.read_timeout = 10
    http.max_retries = 0
    trust_only(http, root_file) if uri.scheme == 'https'
    http.start { http.get(uri.path, headers) }
  end

  # Whether it answers with a 2xx; false while nobody listens.
  def self.ok?(url, **options)
    get(url, **options).is_a?(Net::HTTPSuccess)
  rescue Errno::ECONNREFUSED, Errno::ECONNRESET, EOFError
    false
  end

  # The page, as UTF-8.
  def self.page(url, **options)
    response = get(url, **options)
    raise "#{url}: #{response.code} #{response.body}" unless response.is_a?(Net::HTTPSuccess)

    response.body.force_encoding(Encoding::UTF_8)
  end

  # Whether this machine knows the address of a host; some know no localhost.
  def self.knows?(host)
    Addrinfo.getaddrinfo(host, nil, nil, :STREAM).any?
  rescue SocketError
    false
  end

  def self.trust_only(http, root_file)
    http.use_ssl = true
    http.verify_mode = OpenSSL::SSL::VERIFY_PEER
    http.cert_store = OpenSSL::X509::Store.new.tap { |store| store.add_file(root_file) }
  end
  private_class_method :trust_only
end
