# frozen_string_literal: true

require 'socket'

# Ports for servers that must be told one.
module Ports
  # A port of 127.0.0.1 that nobody listens on, below those that the kernel
  # gives to outgoing connections: so nobody gets it by accident meanwhile.
  def self.free
    loop do
      port = rand(20_000..32_000)
      TCPServer.new('127.0.0.1', port).close
      return port
    rescue Errno::EADDRINUSE
      next
    end
  end

  def self.open?(port)
    TCPSocket.new('127.0.0.1', port).close
    true
  rescue SystemCallError
    false
  end
end
