# frozen_string_literal: true

require 'fileutils'
require 'securerandom'
require_relative 'http'
require_relative 'ports'
require_relative 'processes'
require_relative 'waiting'

# The Rails application of examples/rails, run for real: Redis, Puma and Sidekiq
# as processes, each with ports and directories of its own.
class ExampleApplication
  include Waiting

  ROOT = File.expand_path('../../../examples/rails', __dir__)
  PROGRAMS = File.expand_path('../../../bin', __dir__)
  MARK = 'METRICS_SERVER_SPEC'
  BOOT = 90 # seconds, on a busy machine

  attr_reader :port, :redis_port, :web_exporter_port, :sidekiq_exporter_port, :puma

  # Gems that a Gemfile.lock of another machine names may not be here.
  FileUtils.rm_f(File.join(ROOT, 'Gemfile.lock'))

  # tmp: a directory for everything that is written. golang: which server.
  def initialize(tmp, golang:, **env)
    @tmp = tmp
    @mark = SecureRandom.hex
    @port, @redis_port, @web_exporter_port, @sidekiq_exporter_port = Array.new(4) { Ports.free }
    @env = environment(golang).merge(env.transform_keys(&:to_s))
  end

  def start_redis
    start('redis', 'redis-server', '--port', redis_port.to_s, '--bind', '127.0.0.1', '--save', '', '--dir', @tmp)
    wait_until('Redis listens') { Ports.open?(redis_port) }
  end

  # Returns when it answers requests. more: Ruby code at the end of its configuration.
  def start_puma(more: nil)
    @puma = start('puma', 'bundle', 'exec', 'puma', '-C', more ? puma_configuration(more) : 'config/puma.rb')
    wait_until("Puma answers\n#{log('puma')}", within: BOOT) { Http.ok?(port) }
  end

  # The same, as a developer starts it.
  def start_rails_server
    @puma = start('puma', 'bin/rails', 'server')
    wait_until("Puma answers\n#{log('puma')}", within: BOOT) { Http.ok?(port) }
  end

  # Returns its pid when it has loaded the application. Several may run at once; nil: without a number.
  def start_sidekiq(id: 0)
    log = "sidekiq#{id || "_unnumbered#{sidekiqs.size}"}"
    sidekiqs << start(log, 'bundle', 'exec', 'sidekiq', '-C', 'config/sidekiq.yml', 'SIDEKIQ_WORKER_ID' => id&.to_s)
    wait_until("Sidekiq is up\n#{log(log)}", within: BOOT) { log(log).include?('Booted Rails') }
    sidekiqs.last
  end

  # Runs a command of the application to its end.
  def run(*command)
    pid = start('command', *command)
    reap(pid, within: BOOT)
  end

  def log(name)
    path = File.join(@tmp, "#{name}.log")
    File.exist?(path) ? File.read(path) : ''
  end

  # Pids of the servers that listen on the exporters' ports, or nil.
  def web_exporter
    Processes.listening_on(web_exporter_port)
  end

  def sidekiq_exporter
    Processes.listening_on(sidekiq_exporter_port)
  end

  def metrics(port)
    response = Http.get(port, '/metrics')
    raise "#{response.code}: #{response.body}" unless response.is_a?(Net::HTTPSuccess)

    response.body
  end

  # The pids of those servers, once they serve.
  def wait_for_web_exporter(other_than: nil, within: 20)
    wait_for_exporter('puma', web_exporter_port, other_than, within)
  end

  def wait_for_sidekiq_exporter(other_than: nil, within: 20)
    wait_for_exporter('sidekiq0', sidekiq_exporter_port, other_than, within)
  end

  # Waits until no process and no port is left of what was started.
  def wait_for_nothing
    wait_until("nothing is left, but #{processes}", within: 20) do
      processes.empty? && !web_exporter && !sidekiq_exporter
    end
  end

  # The sum of all samples of that name, whatever their labels.
  def total(port, name)
    metrics(port).lines.grep(/\A#{name}[ {]/).sum { |line| line.split.last.to_f }
  end

  # Everything that was started here or by what was started here, however it
  # was called since; without Redis.
  def processes
    Processes.with_variable(MARK, @mark) - [@redis]
  end

  def signal(name, pid)
    Process.kill(name, pid)
  end

  # Waits for the end of a process that was started here.
  def reap(pid, within: 40)
    wait_until("end of process #{pid}", within: within) { Process.wait(pid, Process::WNOHANG) }
  rescue Errno::ECHILD
    nil
  end

  def stop
    [@puma, *sidekiqs, @redis].compact.each { |pid| end_process(pid) }
    Processes.with_variable(MARK, @mark).each { |pid| Process.kill(:KILL, pid) }
  rescue Errno::ESRCH
    retry
  end

  private

  def wait_for_exporter(application, port, other_than, within)
    wait_until("a metrics server of #{application}\n#{log(application)}", within: within) do
      pid = Processes.listening_on(port)
      pid && pid != other_than && Http.ok?(port, '/metrics') && pid
    end
  end

  def environment(golang)
    { MARK => @mark, 'RAILS_ENV' => 'production', 'SECRET_KEY_BASE' => 'of no use',
      'BUNDLE_GEMFILE' => File.join(ROOT, 'Gemfile'), 'PORT' => port.to_s,
      'REDIS_URL' => "redis://127.0.0.1:#{redis_port}/0",
      'WEB_EXPORTER_PORT' => web_exporter_port.to_s, 'SIDEKIQ_EXPORTER_PORT' => sidekiq_exporter_port.to_s,
      'EXPORTER_LOG' => 'false', 'GITLAB_GOLANG_METRICS_SERVER' => golang.to_s,
      'PATH' => "#{PROGRAMS}:#{ENV.fetch('PATH')}", 'RUBYOPT' => nil }
  end

  def puma_configuration(more)
    own = File.join(ROOT, 'config', 'puma.rb')
    File.join(@tmp, 'puma.rb').tap { |file| File.write(file, "instance_eval(File.read(#{own.dump}))\n#{more}") }
  end

  def sidekiqs
    @sidekiqs ||= []
  end

  # Puma and Sidekiq each keep their metrics apart, as they do without a variable.
  def start(name, *command, **env)
    dir = { 'prometheus_multiproc_dir' => File.join(@tmp, 'metrics', name[/[a-z]+/]) }
    pid = Process.spawn(dir.merge(@env, env), *command, chdir: ROOT, pgroup: true, in: File::NULL, err: %i[child out],
                                                        out: [File.join(@tmp, "#{name}.log"), 'a'])
    @redis = pid if name == 'redis'
    pid
  end

  def end_process(pid)
    Process.kill(:KILL, pid)
    Process.wait(pid)
  rescue Errno::ESRCH, Errno::ECHILD
    nil
  end
end
