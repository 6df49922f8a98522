# frozen_string_literal: true

# Of what Bundler does not know it lets nobody load anything, but what comes with Ruby.
RSpec.describe 'The gemspec' do
  subject(:specification) { Gem::Specification.load(File.expand_path('../../gitlab-metrics-server.gemspec', __dir__)) }

  it 'names what comes with older versions of Ruby only' do
    expect(specification.runtime_dependencies.map(&:name)).to include('logger', 'webrick')
  end
end
