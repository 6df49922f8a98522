# frozen_string_literal: true

require 'tmpdir'

$LOAD_PATH.unshift(File.expand_path('../lib', __dir__))
# Before any part loads the Prometheus client, which otherwise makes a directory of its own.
ENV['prometheus_multiproc_dir'] ||= Dir.mktmpdir('metrics-server-specs').tap do |dir|
  owner = Process.pid
  at_exit { FileUtils.rm_rf(dir) if Process.pid == owner }
end

require_relative 'support/ports'
require_relative 'support/waiting'

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.order = :random
  Kernel.srand config.seed
  config.include Waiting
  config.around { |example| Dir.mktmpdir('metrics-server') { |dir| with_tmp(dir, example) } }

  config.include(Module.new do
    attr_reader :tmp # a directory of this example's own

    def with_tmp(dir, example)
      @tmp = dir
      example.run
    end
  end)
end
