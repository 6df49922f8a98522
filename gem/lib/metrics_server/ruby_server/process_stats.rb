# frozen_string_literal: true

require 'etc'

module MetricsServer
  class RubyServer
    # What the system tells about this process, by the names of the metrics. What
    # it does not tell is left out: not every kernel has all of /proc.
    class ProcessStats
      UNIQUE = %w[Private_Clean Private_Dirty Private_Hugetlb].freeze

      def initialize(proc_dir = '/proc')
        @proc_dir = proc_dir
      end

      def to_h
        memory.merge(
          file_descriptors: file_descriptors,
          process_cpu_seconds_total: Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID),
          process_max_fds: Process.getrlimit(Process::RLIMIT_NOFILE).first,
          process_start_time_seconds: start_time
        ).compact
      end

      private

      def memory
        rollup = kilobytes('self/smaps_rollup')
        unique = rollup.values_at(*UNIQUE).compact
        { process_resident_memory_bytes: kilobytes('self/status')['VmRSS'],
          process_proportional_memory_bytes: rollup['Pss'],
          process_unique_memory_bytes: unique.empty? ? nil : unique.sum }
      end

      # The fields of a file that are given in kB, in bytes.
      def kilobytes(file)
        read(file).scan(/^(\w+):\s+(\d+) kB$/).to_h.transform_values { |number| number.to_i * 1024 }
      end

      # Without the one that reads the directory.
      def file_descriptors
        Dir.children(File.join(@proc_dir, 'self/fd')).size - 1
      rescue SystemCallError
        nil
      end

      # Since the epoch. The kernel counts ticks since the machine started: field
      # 22 of the process, the 20th after its name, which may hold blanks.
      def start_time
        machine = read('stat')[/^btime (\d+)/, 1]
        ticks = read('self/stat').rpartition(')').last.split[19]
        machine.to_i + (ticks.to_f / Etc.sysconf(Etc::SC_CLK_TCK)) if machine && ticks
      end

      def read(file)
        File.read(File.join(@proc_dir, file))
      rescue SystemCallError
        ''
      end
    end
  end
end
