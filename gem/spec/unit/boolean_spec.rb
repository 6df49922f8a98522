# frozen_string_literal: true

require 'metrics_server/boolean'

RSpec.describe MetricsServer::Boolean do
  [true, 'true', 'TRUE', ' true ', 't', 'yes', 'Y', 'on', '1', 1, :true].each do |value| # rubocop:disable Lint/BooleanSymbol
    it("reads #{value.inspect} as yes") { expect(described_class.parse(value)).to be(true) }
  end

  [false, 'false', 'False', 'f', 'no', 'N', 'off', '0', 0].each do |value|
    it("reads #{value.inspect} as no") { expect(described_class.parse(value)).to be(false) }
  end

  [nil, '', ' ', 'maybe', '2', 1.5, 'truefalse', "true\nfalse", [true], {}].each do |value|
    it("reads #{value.inspect} as neither") { expect(described_class.parse(value)).to be_nil }
  end
end
