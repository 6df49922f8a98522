# frozen_string_literal: true

require 'pathname'
require 'metrics_server/exporter_settings'
require 'metrics_server/target'

RSpec.describe MetricsServer::ExporterSettings do
  def settings(values = {})
    described_class.new(MetricsServer::Target.named('puma').defaults.merge(values), place: 'monitoring.web_exporter')
  end

  def refuse(message)
    raise_error(MetricsServer::SettingsError, message)
  end

  it 'is read with a dot and with brackets' do
    expect(settings(port: 9083).port).to eq(9083)
    expect(settings(port: 9083)['port']).to eq(9083)
    expect(settings(port: 9083)[:port]).to eq(9083)
    expect(settings['nothing']).to be_nil
  end

  it 'is the same again when made from what it holds' do
    one = settings(tls_enabled: true, tls_cert_path: '/c.pem', tls_key_path: '/k.pem', enabled: true)
    expect(settings(one.to_h).to_h).to eq(one.to_h)
    expect(one.to_h.keys).to eq(described_class::KEYS)
  end

  it 'cannot be changed' do
    expect(settings).to be_frozen
  end

  it 'takes text, as ERB leaves it, for booleans and the port' do
    values = { enabled: 'true', port: '9083', log_enabled: 'off', tls_enabled: 'no' }
    expect(settings(values).to_h).to include(enabled: true, port: 9083, log_enabled: false, tls_enabled: false)
  end

  describe 'a wrong value' do
    %i[enabled log_enabled tls_enabled].each do |key|
      ['maybe', 2, ''].each do |value|
        it "#{value.inspect} of #{key} is refused by its name" do
          expect { settings(key => value) }
            .to refuse("monitoring.web_exporter.#{key} is #{value.inspect}, but must be true or false")
        end
      end
    end

    [0, -1, 65_536, 80.5, '', 'http', '80a', '80 81', true, [80], nil].each do |value|
      it "#{value.inspect} of port is refused by its name" do
        expect { settings(port: value) }
          .to refuse("monitoring.web_exporter.port is #{value.inspect}, but must be a number from 1 to 65535")
      end
    end

    [1, 65_535].each { |port| it("#{port} is a port") { expect(settings(port: port).port).to eq(port) } }

    ['http://localhost', 'localhost:8083', 'a b', '127.0.0.1/8', ['localhost'], { 'a' => 1 }].each do |value|
      it "#{value.inspect} of address is refused by its name" do
        expect { settings(address: value) }
          .to refuse("monitoring.web_exporter.address is #{value.inspect}, but must be a host name or an IP address " \
                     '(* for all interfaces), without the port')
      end
    end
  end

  describe 'TLS' do
    %i[tls_cert_path tls_key_path].each do |key|
      [nil, '', ' '].each do |value|
        it "needs #{key}, which #{value.inspect} is not" do
          paths = { tls_enabled: true, tls_cert_path: '/c.pem', tls_key_path: '/k.pem', key => value }
          expect { settings(paths) }
            .to refuse("monitoring.web_exporter.#{key} is #{value.inspect}, but must be the path of a PEM file, " \
                       'because monitoring.web_exporter.tls_enabled is true')
        end
      end
    end

    it 'asks for no path while it is off' do
      ['', '~nobody of that name/c.pem'].each { |value| expect(settings(tls_cert_path: value).tls_cert_path).to be_nil }
    end

    ["/c.pem\0", '~nobody of that name/c.pem'].each do |value|
      it("refuses #{value.inspect}, which is no path") do
        expect { settings(tls_enabled: true, tls_cert_path: value, tls_key_path: '/k.pem') }
          .to refuse(/tls_cert_path is #{Regexp.escape(value.inspect)}, but that can't be a path/)
      end
    end

    it 'takes a Pathname' do
      expect(settings(tls_cert_path: Pathname.new('/a b/c.pem')).tls_cert_path).to eq('/a b/c.pem')
    end
  end

  # address => [where it is reached, URL]
  {
    'localhost' => ['localhost', 'http://localhost:8083'],
    '127.0.0.1' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    ' 10.0.0.1 ' => ['10.0.0.1', 'http://10.0.0.1:8083'],
    '' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    '*' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    '0.0.0.0' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    '::' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    '[::]' => ['127.0.0.1', 'http://127.0.0.1:8083'],
    '::1' => ['::1', 'http://[::1]:8083'],
    '[::1]' => ['::1', 'http://[::1]:8083'],
    'fe80::1%eth0' => ['fe80::1%eth0', 'http://[fe80::1%eth0]:8083'],
    'web-1.example.com' => ['web-1.example.com', 'http://web-1.example.com:8083']
  }.each do |address, (reachable, url)|
    it "reaches #{address.inspect} at #{url}" do
      expect(settings(address: address).reachable_address).to eq(reachable)
      expect(settings(address: address).url).to eq(url)
    end
  end

  it 'has an https URL with TLS' do
    tls = settings(tls_enabled: true, tls_cert_path: '/c.pem', tls_key_path: '/k.pem')
    expect(tls.url).to eq('https://localhost:8083')
  end

  it 'reads ports in tens' do
    expect(settings(port: '08083').port).to eq(8083)
    expect { settings(port: '0x50') }.to refuse(/port/)
  end
end
