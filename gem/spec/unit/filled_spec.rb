# frozen_string_literal: true

require 'pathname'
require 'metrics_server/filled'

RSpec.describe MetricsServer::Filled do
  ['/dir', ' /dir ', Pathname('/dir'), 0, false, "\xFF"].each do |value|
    it("takes #{value.inspect} as it is") { expect(described_class.of(value)).to be(value) }
  end

  [nil, '', ' ', "\n\t ", :''].each do |value|
    it("takes #{value.inspect} for nothing") { expect(described_class.of(value)).to be_nil }
  end
end
