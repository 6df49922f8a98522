# frozen_string_literal: true

require 'json'
require 'pathname'
require 'rbconfig'
require 'yaml'
require_relative 'programs'
require_relative 'server_processes'

# A process that uses the gem (wrapper_driver.rb), with a gitlab.yml and a
# directory of its own, and the server that it starts.
class WrapperProcess
  include ServerProcesses

  DRIVER = File.expand_path('wrapper_driver.rb', __dir__)
  # GitLab's end-to-end spec has both on one port, without a log.
  COMMON = { 'enabled' => true, 'address' => '127.0.0.1', 'log_enabled' => false }.freeze

  attr_reader :server # its pid

  # dir: where it runs, the root of the application. settings: of both exporters.
  def initialize(dir, port:, golang: false, settings: {})
    @dir = dir
    @environment = environment(golang)
    exporter = COMMON.merge('port' => port).merge(settings.transform_keys(&:to_s))
    monitoring = { 'web_exporter' => exporter, 'sidekiq_exporter' => exporter.dup }
    File.write(File.join(dir, 'gitlab.yml'), YAML.dump('test' => { 'monitoring' => monitoring }))
  end

  # Calls a method of MetricsServer there and returns the server's pid.
  def start(method, *arguments, **keywords)
    arguments = [*arguments, keywords.transform_values { |value| text(value) }]
    @pid = run(method.to_s, JSON.generate(arguments))
    wait_until("#{method} returned\n#{output}") { File.exist?(pid_file) || ended? }
    raise "#{method} failed: #{output}" unless File.exist?(pid_file)

    @server = Integer(File.read(pid_file))
  end

  # All that it and the server wrote to stdout and stderr.
  def output
    File.exist?(output_file) ? File.read(output_file) : ''
  end

  # Signals that reached handlers of this process, or of a copy of it.
  def signals
    file = "#{pid_file}.signals"
    File.exist?(file) ? File.read(file) : ''
  end

  def ended?
    @ended ||= Process.wait(@pid, Process::WNOHANG)
  end

  # Ends all, whatever state it is in: the server first, while its pid cannot
  # be anybody else's.
  def close
    return unless @pid

    signal_group(:KILL, @server) if @server && !ended? && there?(@server)
    @stdin.close
    wait_until('the process that uses the gem has ended') { ended? }
  ensure
    kill unless @pid.nil? || ended?
  end

  # Without a chance to end its server.
  def kill
    Process.kill(:KILL, @pid)
    @ended = Process.wait(@pid)
  end

  private

  def run(*arguments)
    input, @stdin = IO.pipe
    Process.spawn(@environment, RbConfig.ruby, DRIVER, pid_file, *arguments,
                  chdir: @dir, in: input, %i[out err] => output_file)
  ensure
    input.close
  end

  def environment(golang)
    foreign = ENV.keys.grep(/\A(?:GME_|METRICS_SERVER_|WIPE_METRICS_DIR|RAILS_ENV|RACK_ENV|RUBYOPT)/)
    foreign.to_h { |name| [name, nil] }.merge(
      'RAILS_ENV' => 'test', 'GITLAB_CONFIG' => File.join(@dir, 'gitlab.yml'),
      'GITLAB_GOLANG_METRICS_SERVER' => golang ? '1' : nil, 'prometheus_multiproc_dir' => nil
    )
  end

  def text(value)
    value.is_a?(Pathname) ? "pathname:#{value}" : value
  end

  def pid_file
    File.join(@dir, 'server.pid')
  end

  def output_file
    File.join(@dir, 'output')
  end
end
