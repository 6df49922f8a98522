# frozen_string_literal: true

require_relative '../support/example_application'

# The example application for real, with either server.
[true, false].each do |golang|
  RSpec.describe "A Rails application with the #{golang ? 'Go' : 'Ruby'} server" do
    let(:application) { ExampleApplication.new(tmp, golang: golang) }
    let(:web_name) { golang ? 'gitlab-metrics-exporter' : 'web_exporter' }
    let(:sidekiq_name) { golang ? 'gitlab-metrics-exporter' : 'sidekiq_exporter' }

    before { application.start_redis }
    after { application.stop }

    # Requests one after the other, while the block runs. Returns their status
    # codes, or errors.
    def requesting_all_the_while
      codes = []
      done = false
      client = Thread.new { codes << code_of_request until done }
      yield
      done = true
      client.join
      codes
    end

    def code_of_request
      Http.get(application.port, '/products/1').code
    rescue StandardError => e
      e
    end

    it 'serves exact numbers of requests and jobs, also while every thread of Puma is busy' do
      application.start_puma
      application.start_sidekiq
      expect(Processes.name(application.wait_for_web_exporter)).to eq(web_name)
      expect(Processes.name(application.wait_for_sidekiq_exporter)).to eq(sidekiq_name)

      before = application.total(application.web_exporter_port, 'shop_requests_total')
      callers = Array.new(4) { Thread.new { 50.times { Http.get(application.port, '/products/2') } } }
      25.times { expect(Http.post(application.port, '/orders').code).to eq('202') }
      callers.each(&:join)
      expect(application.total(application.web_exporter_port, 'shop_requests_total') - before).to eq(225)

      wait_until('all jobs are done') do
        application.total(application.sidekiq_exporter_port, 'shop_jobs_total') >= 25
      end
      expect(application.metrics(application.sidekiq_exporter_port))
        .to match(/^shop_jobs_total\{.*result="done".*\} 25(\.0)?$/)

      # Two workers of five threads each: the application itself could not answer. One
      # worker may take more of the requests than it has threads, so there are ever more.
      busy = []
      wait_until('all threads are busy') do
        busy << Thread.new { Http.get(application.port, '/slow?seconds=3') }
        application.total(application.web_exporter_port, 'shop_requests_in_flight') == 10
      end
      expect(busy.count(&:alive?)).to be >= 10
      busy.each(&:join)
      expect(application.total(application.web_exporter_port, 'shop_requests_total') - before).to eq(225 + busy.size)
    end

    it 'names processes the same in every run' do
      application.start_puma
      application.wait_for_web_exporter
      30.times { Http.get(application.port, '/') }
      pids = application.metrics(application.web_exporter_port).scan(/shop_ruby_heap_live_slots\{.*pid="(.*?)".*\}/)
      expect(pids.flatten).to include('puma_0').or include('puma_1')
      expect(pids.flatten - %w[puma_master puma_0 puma_1]).to eq([])
    end

    it 'has its server back within seconds after a SIGKILL, and fails no request meanwhile' do
      application.start_puma
      sidekiq_process = application.start_sidekiq
      web = application.wait_for_web_exporter
      sidekiq = application.wait_for_sidekiq_exporter
      codes = requesting_all_the_while do
        application.signal(:KILL, web)
        application.signal(:KILL, sidekiq)
        application.wait_for_web_exporter(other_than: web, within: 10)
        application.wait_for_sidekiq_exporter(other_than: sidekiq)
      end
      expect(codes.tally.keys).to eq(['200'])
      expect(Processes.zombies_of(application.puma) + Processes.zombies_of(sidekiq_process)).to eq([])
    end

    it 'replaces a server that hangs' do
      application.start_puma
      web = application.wait_for_web_exporter
      application.signal(:STOP, web)
      application.wait_for_web_exporter(other_than: web, within: 60)
      expect(Processes.read(web, 'cmdline')).to eq('')
      expect(application.log('puma')).to include('does not answer')
    end

    it 'leaves nothing behind when Puma is told to end' do
      application.start_puma
      application.wait_for_web_exporter
      application.signal(:TERM, application.puma)
      application.reap(application.puma)
      application.wait_for_nothing
    end

    it 'leaves nothing behind when Puma is killed' do
      application.start_puma
      application.wait_for_web_exporter
      application.signal(:KILL, application.puma)
      application.reap(application.puma)
      application.wait_for_nothing
    end

    it 'has one server after a restart of Puma' do
      application.start_puma
      web = application.wait_for_web_exporter
      application.signal(:USR2, application.puma)
      successor = application.wait_for_web_exporter(other_than: web, within: ExampleApplication::BOOT)
      expect(application.processes.select { |pid| Processes.name(pid) == web_name }).to eq([successor])
      wait_until('Puma answers again', within: ExampleApplication::BOOT) { Http.ok?(application.port) }
      application.signal(:TERM, application.puma)
      application.reap(application.puma)
      application.wait_for_nothing
    end

    context 'when workers load the application' do
      let(:application) { ExampleApplication.new(tmp, golang: golang, PRELOAD: '0') }

      it 'keeps its server, and loses no count, through a phased restart of Puma' do
        application.start_puma
        web = application.wait_for_web_exporter
        before = application.total(application.web_exporter_port, 'shop_requests_total')
        10.times { Http.get(application.port, '/') }
        application.signal(:USR1, application.puma)
        wait_until('both workers are new', within: ExampleApplication::BOOT) do
          application.log('puma').scan(/Worker \d \(PID: \d+\) booted.* phase: 1/).size == 2
        end
        10.times { Http.get(application.port, '/') }
        expect(application.wait_for_web_exporter).to eq(web)
        expect(application.total(application.web_exporter_port, 'shop_requests_total') - before).to eq(20)
        application.signal(:TERM, application.puma)
        application.reap(application.puma)
        application.wait_for_nothing
      end
    end

    it 'serves while Sidekiq is quiet, and leaves nothing behind when it is told to end' do
      sidekiq = application.start_sidekiq
      exporter = application.wait_for_sidekiq_exporter
      application.signal(:TSTP, sidekiq)
      wait_until('Sidekiq is quiet') { application.log('sidekiq0').match?(/no longer accepting|Terminating quiet/i) }
      expect(application.wait_for_sidekiq_exporter).to eq(exporter)
      application.signal(:TERM, sidekiq)
      application.reap(sidekiq)
      application.wait_for_nothing
    end

    it 'leaves nothing behind when Sidekiq is killed' do
      sidekiq = application.start_sidekiq
      application.wait_for_sidekiq_exporter
      application.signal(:KILL, sidekiq)
      application.reap(sidekiq)
      application.wait_for_nothing
    end
  end
end
