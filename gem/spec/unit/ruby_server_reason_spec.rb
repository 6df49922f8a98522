# frozen_string_literal: true

require 'metrics_server/ruby_server/reason'

RSpec.describe MetricsServer::RubyServer::Reason do
  it 'is what the system says, without what Ruby adds' do
    expect(described_class.of(Errno::EACCES.new('rb_sysopen - /some/file'))).to eq('Permission denied')
  end

  it 'is the first line of any other error' do
    expect(described_class.of(RuntimeError.new("it is - so\n  code"))).to eq('it is - so')
  end

  it 'is found whatever a path is made of' do
    expect { Dir.mkdir("#{tmp}/no/\xff") }.to raise_error(SystemCallError) { |error|
      expect(described_class.of(error)).to eq('No such file or directory')
    }
  end
end
