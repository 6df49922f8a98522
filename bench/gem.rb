# frozen_string_literal: true

# Answers each line of standard input with the time that the Ruby gem takes to
# add up a directory: seconds, bytes of text, high-water mark of memory in kB.
#
#   ruby gem.rb DIR      as often as asked
#   ruby gem.rb DIR -    once, the text to standard output
require 'prometheus/client'
require 'prometheus/client/formats/text'

dir, once = ARGV
if once
  $stdout.write(Prometheus::Client::Formats::Text.marshal_multiprocess(dir))
  exit
end

$stdout.sync = true
version = Gem.loaded_specs.fetch('prometheus-client-mmap', nil)&.version ||
          Gem::Specification.find_by_name('prometheus-client-mmap').version
puts "#{version} ruby-#{RUBY_VERSION}"
$stdin.each_line do
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  bytes = Prometheus::Client::Formats::Text.marshal_multiprocess(dir).bytesize
  seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  puts "#{seconds} #{bytes} #{File.read('/proc/self/status')[/VmHWM:\s*(\d+)/, 1]}"
end
