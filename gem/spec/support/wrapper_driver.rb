# frozen_string_literal: true

# wrapper_driver.rb PID_FILE METHOD ARGUMENTS: is to a metrics server what
# Puma's primary or sidekiq-cluster is. Calls the method of MetricsServer with
# the arguments (JSON: an Array, keywords as its last element), writes the
# server's pid into the file, and lives until stdin ends. Strings that begin
# with pathname: become a Pathname.
#
# It handles the signals that sidekiq-cluster handles, and notes in
# PID_FILE.signals what it got: a forked server must not handle them like this.

$LOAD_PATH.unshift(File.expand_path('../../lib', __dir__))
require 'json'
require 'pathname'
require 'metrics_server'

def revive(value)
  case value
  when Hash then value.to_h { |key, inner| [key.to_sym, revive(inner)] }
  when /\Apathname:/ then Pathname.new(value.delete_prefix('pathname:'))
  else value
  end
end

pid_file, method, arguments = ARGV
%w[INT TERM TTIN USR1 USR2 HUP].each do |name|
  Signal.trap(name) { File.write("#{pid_file}.signals", "#{name} to #{Process.pid}\n", mode: 'a') }
end
*positional, keywords = JSON.parse(arguments)
pid = MetricsServer.public_send(method, *positional, **revive(keywords))
File.write("#{pid_file}.new", pid.to_s)
File.rename("#{pid_file}.new", pid_file)
$stdin.read
