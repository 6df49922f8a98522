# frozen_string_literal: true

require 'metrics_server/ruby_server/environment'
require 'metrics_server/target'

RSpec.describe MetricsServer::RubyServer::Environment do
  let(:target) { MetricsServer::Target.named('puma') }

  def environment(env = {})
    described_class.new({ 'RAILS_ENV' => 'test' }.merge(env))
  end

  it 'has no target where the variable is blank' do
    expect(environment.target_name).to eq('')
    expect(environment('METRICS_SERVER_TARGET' => " \n").target_name).to eq('')
    expect(environment('METRICS_SERVER_TARGET' => 'puma').target_name).to eq('puma')
  end

  it 'takes the settings from JSON, and the defaults of the target for what is missing' do
    settings = environment('METRICS_SERVER_SETTINGS' => '{"enabled":true,"port":9083,"address":null}').settings(target)

    expect(settings.to_h).to include(enabled: true, port: 9083, address: 'localhost', log_enabled: true)
  end

  it 'takes the settings from gitlab.yml otherwise' do
    file = File.join(tmp, 'gitlab.yml')
    File.write(file, 'test: { monitoring: { web_exporter: { port: 9084 } } }')

    expect(environment('GITLAB_CONFIG' => file, 'METRICS_SERVER_SETTINGS' => ' ').settings(target).port).to eq(9084)
  end

  ['[]', '{', 'null', '7'].each do |text|
    it "refuses #{text} as settings" do
      expect { environment('METRICS_SERVER_SETTINGS' => text).settings(target) }
        .to raise_error(MetricsServer::SettingsError, "METRICS_SERVER_SETTINGS must be a JSON object, not #{text}")
    end
  end

  it 'wipes only when that is said' do
    said = { 'true' => true, '1' => true, '0' => false, '' => false, 'perhaps' => false }

    expect(said.keys.to_h { |text| [text, environment('WIPE_METRICS_DIR' => text).options(target)[:wipe]] }).to eq(said)
    expect(environment.options(target)[:wipe]).to be(false)
  end

  it 'knows where the metrics and the log are' do
    options = environment('prometheus_multiproc_dir' => '/run/metrics').options(target)

    expect(options).to include(metrics_dir: '/run/metrics', log_file: File.expand_path('log/web_exporter.log'))
  end

  it 'has a parent only when there is one' do
    expect(environment.options(target)[:parent_pid]).to be_nil
    expect(environment('METRICS_SERVER_PARENT_PID' => '42').options(target)[:parent_pid]).to eq(42)
    expect { environment('METRICS_SERVER_PARENT_PID' => 'x').options(target) }
      .to raise_error(MetricsServer::SettingsError, 'METRICS_SERVER_PARENT_PID must be a process id, not x')
  end

  it 'has no process as a parent that cannot be one' do
    expect do
      environment('METRICS_SERVER_PARENT_PID' => '0').options(target)
    end.to raise_error(MetricsServer::SettingsError)
  end
end
