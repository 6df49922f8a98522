# frozen_string_literal: true

require 'metrics_server/ruby_server/log'

RSpec.describe MetricsServer::RubyServer::Log do
  let(:path) { File.join(tmp, 'log', 'web_exporter.log') }

  it 'makes its directory and stamps the lines of the server' do
    described_class.new(path).server.info('hello')

    expect(File.read(path)).to match(/\A\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}\] INFO  hello\n\z/)
  end

  it 'takes text in whatever encoding' do
    described_class.new(path).server.info("serving from caf\xe9")

    expect(File.read(path)).to end_with("INFO  serving from caf\u{fffd}\n")
  end

  it 'appends' do
    2.times { |number| described_class.new(path) << "line #{number}\n" }

    expect(File.read(path)).to eq("line 0\nline 1\n")
  end

  it 'goes on in a new file after the old one was moved' do
    log = described_class.new(path)
    File.rename(path, "#{path}.1")
    log << "old\n"
    log.reopen
    log << "new\n"

    expect(File.read("#{path}.1")).to eq("old\n")
    expect(File.read(path)).to end_with("new\n")
  end

  it 'goes on in the old file when there can be no new one' do
    log = described_class.new(path)
    File.rename(path, "#{path}.1")
    Dir.mkdir(path)
    log.reopen

    expect(File.read("#{path}.1")).to match(/ERROR cannot write the log file #{path}: Is a directory/)
  end

  it 'does not mind a full disk' do
    log = described_class.new('/dev/full')

    expect { log.server.error('lost') }.not_to raise_error
  end

  it 'goes nowhere without a path' do
    expect { described_class.new(nil).server.info('lost') }.not_to output.to_stderr_from_any_process
  end

  it 'says when it cannot be written' do
    File.write(File.join(tmp, 'log'), '')

    expect { described_class.new(path) }.to raise_error(MetricsServer::Error, /\Acannot write the log file #{path}: /)
  end

  it 'does not mind what is logged after its end' do
    log = described_class.new(path).tap(&:close)
    expect { log << 'late' }.not_to raise_error
  end

  it 'has one file open, however often it is reopened' do
    GC.disable
    log = described_class.new(path)
    3.times { log.reopen }
    expect(Dir.glob('/proc/self/fd/*').count { |fd| File.identical?(fd, path) }).to eq(1)
  ensure
    GC.enable
  end
end
