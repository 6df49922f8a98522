# frozen_string_literal: true

require 'fileutils'
require 'metrics_server/ruby_server/process_stats'

RSpec.describe MetricsServer::RubyServer::ProcessStats do
  def proc_file(name, text)
    path = File.join(tmp, name)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
  end

  subject(:stats) { described_class.new(tmp).to_h }

  it 'reads memory in bytes' do
    proc_file('self/status', "Name:\truby\nVmPeak:\t  900 kB\nVmRSS:\t  300 kB\n")
    proc_file('self/smaps_rollup', "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 300 kB\nPss:  200 kB\n" \
                                   "Private_Clean:  10 kB\nPrivate_Dirty:  90 kB\n")
    expect(stats).to include(process_resident_memory_bytes: 307_200, process_proportional_memory_bytes: 204_800,
                             process_unique_memory_bytes: 102_400)
  end

  it 'finds the start behind a name with blanks and brackets' do
    proc_file('stat', "cpu  1 2\nbtime 1700000000\n")
    ticks = 50 * Etc.sysconf(Etc::SC_CLK_TCK)
    proc_file('self/stat', "42 (a) b (c)) S #{(['0'] * 18).join(' ')} #{ticks} 0 0\n")

    expect(stats[:process_start_time_seconds]).to eq(1_700_000_050)
  end

  it 'leaves out what the system does not tell' do
    expect(described_class.new(File.join(tmp, 'none')).to_h.keys)
      .to contain_exactly(:process_cpu_seconds_total, :process_max_fds)
  end

  it 'tells about this process' do
    before = described_class.new.to_h
    File.open(File::NULL) { expect(described_class.new.to_h[:file_descriptors]).to eq(before[:file_descriptors] + 1) }

    expect(before[:process_resident_memory_bytes]).to be > 1_000_000
    expect(before[:process_start_time_seconds]).to be_between(Time.now.to_f - 86_400, Time.now.to_f + 5)
  end
end
