# frozen_string_literal: true

require 'logger'
require 'stringio'
require 'metrics_server/errors'
require 'metrics_server/exporter_settings'
require 'metrics_server/report'
require 'metrics_server/target'

RSpec.describe MetricsServer::Report do
  subject(:report) { report_of(puma) }

  let(:puma) { MetricsServer::Target.named('puma') }
  let(:settings) { MetricsServer::ExporterSettings.new(puma.defaults, place: 'monitoring.web_exporter') }
  let(:health) { Struct.new(:port_taken?).new(false) }
  let(:log) { StringIO.new }

  # At the end of every trouble.
  let(:patience) do
    'It is tried again, with pauses of up to 60 s, and without further messages; the application is not affected.'
  end

  def report_of(target)
    logger = Logger.new(log, formatter: ->(level, _, _, text) { "#{level} #{text}\n" })
    described_class.new(target, settings: settings, health: health, log: logger)
  end

  # What was logged since the last call.
  def said
    log.string.lines(chomp: true).tap { log.reopen(+'') }
  end

  it 'tells of a start with the pid' do
    report.starting(7)
    expect(said).to eq(['INFO Starting Puma metrics server with pid 7'])
  end

  it 'tells of an end and how it came about' do
    report.ended('signal 9', failures: 0)
    report.ended('exit status 1', failures: 1)
    expect(said).to eq(['WARN Puma metrics server terminated, restarting... (signal 9)',
                        'WARN Puma metrics server terminated, restarting... (exit status 1)'])
  end

  it 'admits that it does not know how it ended' do
    report.ended(nil, failures: 0)
    expect(said).to eq(['WARN Puma metrics server terminated, restarting... (unknown status)'])
    report.ended(nil, failures: 2)
    expect(said.first).to include('ends soon after each start (unknown status).')
  end

  it 'says where to look when the server ends again and again' do
    report.ended('exit status 2', failures: 2)
    expect(said).to eq(
      ['ERROR Puma metrics server ends soon after each start (exit status 2). Its own message, on standard error or ' \
       "in its log file, says why. #{patience}"]
    )
  end

  it 'says what to do when another program has the port' do
    health[:port_taken?] = true
    report.ended('exit status 2', failures: 2)
    expect(said).to eq(
      ['ERROR Puma metrics server ends soon after each start (exit status 2). Another program listens on ' \
       "http://localhost:8083: end that, or change monitoring.web_exporter.port. #{patience}"]
    )
  end

  it 'passes on why it could not be started' do
    report.not_started(MetricsServer::Error.new('It is not there. Install it.'))
    expect(said).to eq(["ERROR Puma metrics server cannot be started: It is not there. Install it. #{patience}"])
  end

  it 'knows no advice when a process cannot be copied' do
    report.not_started(Errno::ENOENT.new('fork(2)'))
    expect(said).to eq(
      ["ERROR Puma metrics server cannot be started: No such file or directory - fork(2). #{patience}"]
    )
  end

  it 'tells a trouble once, however often it comes back, and when it is over' do
    3.times do |n|
      report.starting(n)
      report.ended('exit status 2', failures: n + 1)
    end
    report.not_started(Errno::ENOENT.new('x'))
    report.starting(8)
    3.times { report.stable(8) }
    expect(said.map { |line| line[/[^(.]+/] }).to eq(
      ['INFO Starting Puma metrics server with pid 0', 'WARN Puma metrics server terminated, restarting',
       'INFO Starting Puma metrics server with pid 1', 'ERROR Puma metrics server ends soon after each start ',
       'INFO Puma metrics server runs again, with pid 8']
    )
  end

  it 'tells of the next trouble after that' do
    report.not_started(Errno::ENOENT.new('x'))
    report.stable(8)
    said
    report.not_started(Errno::ENOENT.new('x'))
    expect(said.size).to eq(1)
  end

  it 'does not ask about the port for a trouble that it does not tell' do
    report.not_started(Errno::ENOENT.new('x'))
    said
    report.ended('exit status 2', failures: 3)
    expect(said).to eq([])
  end

  it 'says nothing of a server that simply runs' do
    report.stable(7)
    expect(said).to eq([])
  end

  it 'names the address on which a server does not answer' do
    report.hung(7)
    expect(said).to eq(
      ['ERROR Puma metrics server does not answer on http://localhost:8083, replacing it (pid 7)']
    )
  end

  it 'does not say of a server that it ends when it was ended for not answering' do
    health[:port_taken?] = true
    2.times do |n|
      report.starting(7)
      report.hung(7)
      report.ended('signal 15', failures: n + 1)
    end
    expect(said.last).to eq('ERROR Puma metrics server does not answer on http://localhost:8083, however often it is ' \
                            "replaced. Its own message, on standard error or in its log file, says why. #{patience}")
  end

  it 'knows one that ended by itself after another was ended for not answering' do
    report.starting(7)
    report.hung(7)
    report.ended('signal 15', failures: 1)
    report.starting(8)
    report.ended('exit status 2', failures: 2)
    expect(said.last).to include('ends soon after each start (exit status 2).')
  end

  it 'explains why it starts none' do
    2.times { report.run_elsewhere }
    expect(said).to eq(['INFO Puma metrics server is run by another process of this application; taking over when ' \
                        'that ends'])
  end

  it 'shows where a mistake in the gem is' do
    report.gave_up(begin
      raise 'unforeseen'
    rescue StandardError => e
      e
    end)
    expect(log.string).to start_with('ERROR Puma metrics server is no longer supervised, ' \
                                     'which is a mistake in this gem: ')
    expect(log.string).to match(/report_spec\.rb:\d+.*unforeseen \(RuntimeError\)/)
  end

  it 'calls each server by its name' do
    sidekiq = MetricsServer::Target.named('sidekiq')
    report_of(sidekiq).starting(7)
    expect(said).to eq(['INFO Starting Sidekiq metrics server with pid 7'])
  end

  it 'says nothing of one that hangs in the middle of a trouble' do
    report.not_started(Errno::ENOENT.new('x'))
    said
    report.hung(7)
    expect(said).to eq([])
  end
end
