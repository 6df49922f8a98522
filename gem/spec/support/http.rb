# frozen_string_literal: true

require 'net/http'

# Requests to servers of this machine.
module Http
  def self.get(port, path = '/', timeout: 20)
    request(port, Net::HTTP::Get.new(path), timeout)
  end

  def self.post(port, path, timeout: 20)
    request(port, Net::HTTP::Post.new(path), timeout)
  end

  # Whether it answers, with a 2xx.
  def self.ok?(port, path = '/')
    get(port, path, timeout: 2).is_a?(Net::HTTPSuccess)
  rescue SystemCallError, IOError, Net::ProtocolError, Timeout::Error
    false
  end

  def self.request(port, request, timeout)
    http = Net::HTTP.new('127.0.0.1', port, nil)
    http.open_timeout = http.read_timeout = timeout
    http.max_retries = 0
    http.start { |connection| connection.request(request) }
  end
  private_class_method :request
end
