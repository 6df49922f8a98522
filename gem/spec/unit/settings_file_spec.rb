# frozen_string_literal: true

require 'etc'
require 'metrics_server/settings_file'

RSpec.describe MetricsServer::SettingsFile do
  let(:path) { File.join(tmp, 'gitlab.yml') }

  def exporter(text = nil, environment: 'production', name: 'web_exporter')
    File.write(path, text) if text
    described_class.new(path, environment: environment).exporter(name)
  end

  def refuse(message)
    raise_error(MetricsServer::SettingsError, message)
  end

  it 'reads the section of its environment' do
    text = <<~YAML
      production:
        monitoring:
          web_exporter: { enabled: true, port: 1 }
          sidekiq_exporter: { port: 2 }
      test:
        monitoring:
          web_exporter: { port: 3 }
    YAML
    expect(exporter(text)).to eq(enabled: true, port: 1)
    expect(exporter(name: 'sidekiq_exporter')).to eq(port: 2)
    expect(exporter(environment: 'test')).to eq(port: 3)
    expect(exporter(environment: 'development')).to eq({})
  end

  it 'follows anchors and merges' do
    text = <<~YAML
      base: &base
        monitoring:
          web_exporter: &web { enabled: true, port: 1 }
          sidekiq_exporter: { <<: *web, port: 2 }
      production:
        <<: *base
    YAML
    expect(exporter(text)).to eq(enabled: true, port: 1)
    expect(exporter(name: 'sidekiq_exporter')).to eq(enabled: true, port: 2)
  end

  it 'runs ERB first' do
    text = <<~YAML
      <% section = 'production' %>
      <%= section %>:
        monitoring: { web_exporter: { port: <%= 9000 + 83 %>, log_enabled: "<%= false %>" } }
    YAML
    expect(exporter(text)).to eq(port: 9083, log_enabled: 'false')
  end

  it 'keeps nil for a value that ERB left empty' do
    expect(exporter("production: { monitoring: { web_exporter: { port: <%= nil %> } } }\n")).to eq(port: nil)
  end

  it 'reads UTF-8, whatever the locale' do
    File.write(path, "# für <%= 'ö' %>\nproduction: { monitoring: { web_exporter: { tls_cert_path: /ä } } }\n")
    script = 'print MetricsServer::SettingsFile.new(ARGV[0], environment: "production").exporter("web_exporter")'
    load_path = File.expand_path('../../lib', __dir__)
    command = [RbConfig.ruby, '-I', load_path, '-r', 'metrics_server/settings_file', '-e', script, path]
    environment = { 'LC_ALL' => 'C', 'RUBYOPT' => nil }
    output = IO.popen([environment, *command, { err: %i[child out] }], encoding: 'UTF-8', &:read)
    expect(output).to include('/ä').or include('/\u00E4')
  end

  # Nothing is set, which is no mistake.
  {
    'is missing' => nil,
    'is empty' => '',
    'holds comments only' => "# nothing\n",
    'has an empty section' => "production:\n",
    'has an empty monitoring section' => "production:\n  monitoring:\n",
    'has an empty section of the exporter' => "production:\n  monitoring:\n    web_exporter:\n"
  }.each do |what, text|
    it("is no settings when the file #{what}") { expect(exporter(text)).to eq({}) }
  end

  it 'takes any key, to complain about it elsewhere' do
    settings = exporter("production:\n  monitoring:\n    web_exporter:\n      1: a\n      true: b\n      :port: 2\n")
    expect(settings.keys).to all(be_a(Symbol))
    expect(settings.transform_keys(&:to_s)).to eq('1' => 'a', 'true' => 'b', 'port' => 2)
  end

  # Each message names the file and the place.
  {
    "[1, 2]\n" => 'must hold a section for each Rails environment',
    "just text\n" => 'must hold a section for each Rails environment',
    "production: nonsense\n" => 'production must hold settings, not "nonsense"',
    "production: [1]\n" => 'production must hold settings, not [1]',
    "production: { monitoring: 7 }\n" => 'production.monitoring must hold settings, not 7',
    "production: { monitoring: { web_exporter: true } }\n" =>
      'production.monitoring.web_exporter must hold settings, not true'
  }.each do |text, message|
    it "refuses #{text.strip.inspect}" do
      expect { exporter(text) }.to refuse("#{path}: #{message}")
    end
  end

  # What Ruby says of these differs with its version.
  {
    'damaged YAML' => ["production:\n  monitoring: [\n", /line \d/],
    'a tab' => ["production:\n\tmonitoring: 1\n", /line 2/],
    'an unknown anchor' => ["production: *nothing\n", /nothing/],
    'an object' => ["production: !ruby/object:Object {}\n", /Object/],
    'ERB that raises' => ["production:\n<% raise 'the disk is on fire' %>\n", /the disk is on fire/],
    'ERB that calls what is not there' => ["production: <%= no_such_thing %>\n", /no_such_thing/],
    'ERB that loads what is not there' => ["<% require 'no_such_library' %>\n", /no_such_library/],
    'ERB that is not Ruby' => ["production:\n  a: <%= 1 + %>\n", /\(erb\):2/],
    'bytes that are not UTF-8' => ["production: \"\xff\"\n", /./]
  }.each do |what, (text, message)|
    it "refuses #{what}, and says so in one line" do
      expect { exporter(text) }.to refuse(/\A#{Regexp.escape(path)}: [^\n]*#{message}[^\n]*\z/)
    end
  end

  it 'does not name the file twice' do
    expect { exporter("production:\n  monitoring: [\n") }
      .to refuse(satisfy { |message| message.scan(path).size == 1 })
  end

  it 'refuses a directory' do
    Dir.mkdir(path)
    expect { exporter }.to refuse(/\A#{Regexp.escape(path)}: Is a directory/)
  end

  it 'refuses a file that it may not read' do
    File.write(path, 'production: {}')
    File.chmod(0, path)
    File.chmod(0o755, tmp)
    expect { as_nobody { exporter } }.to refuse(/\A#{Regexp.escape(path)}: Permission denied/)
  end

  # root may read everything.
  def as_nobody
    return yield unless Process.euid.zero?

    begin
      Process::Sys.seteuid(Etc.getpwnam('nobody').uid)
      yield
    ensure
      Process::Sys.seteuid(0)
    end
  end
end
