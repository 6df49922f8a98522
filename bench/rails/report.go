package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab-metrics-exporter/bench/internal/program"
)

// A record is what was seen of one application under one condition.
type record struct {
	latencies []float64 // ms, of all requests of all rounds
	errors    []error
	scrapes   int
	bytes     int64     // of the last scrape
	times     []float64 // ms: of each round, the median of its scrapes
	cpu       []float64 // ms of a processor for a scrape, of each round
	share     []float64 // of a core, of each round
}

// measure is a turn: requests to the application and, if scrape is true,
// scrapes of its server at the same time.
func (r *record) measure(ctx context.Context, app *application, d time.Duration, scrape bool) error {
	before, err := cpuSeconds(app.server)
	if err != nil {
		return err
	}
	start := time.Now()
	var scraping sync.WaitGroup
	var all []scraped
	if scrape {
		scraping.Go(func() { all = scrapes(ctx, app.metricsURL(), d) })
	}
	outcomes := requests(ctx, app.urls(), *rate, d)
	scraping.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	elapsed := time.Since(start).Seconds()
	after, err := cpuSeconds(app.server)
	if err != nil {
		return fmt.Errorf("the server in %s has ended: %w\n%s", app.name, err, app.lastOutput())
	}
	r.addOutcomes(outcomes)
	r.share = append(r.share, (after-before)/elapsed)
	if scrape {
		r.addScrapes(all)
		r.cpu = append(r.cpu, (after-before)*1e3/float64(len(all)))
	}
	return nil
}

func (r *record) addOutcomes(outcomes []outcome) {
	for _, o := range outcomes {
		r.latencies = append(r.latencies, o.latency.Seconds()*1e3)
		r.fail(o.err)
	}
}

func (r *record) addScrapes(all []scraped) {
	var times []float64
	for _, s := range all {
		times = append(times, s.seconds*1e3)
		r.bytes = s.bytes
		r.fail(s.err)
	}
	r.scrapes += len(all)
	r.times = append(r.times, median(times))
}

// fail notes an error, if there is one, and says so at once.
func (r *record) fail(err error) {
	if err != nil {
		log.Printf("FAILED: %v", err)
		r.errors = append(r.errors, err)
	}
}

// percentile returns the smallest of the values that is not below p percent of
// them; NaN if there are none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func median(values []float64) float64 { return percentile(values, 50) }

// pooled is what was seen of both applications together.
func pooled(a, b *record) *record {
	return &record{
		latencies: slices.Concat(a.latencies, b.latencies),
		errors:    slices.Concat(a.errors, b.errors),
	}
}

// report returns the figures as Markdown. memory: of the server in Go, and of
// the one in Ruby.
func (b *bench) report(about string, memory []program.Memory) string {
	var text strings.Builder
	fmt.Fprintf(&text, "## Beside a Rails application: %d processes x %d entries, pages of %.1f MB (Go) and %.1f MB (Ruby)\n\n",
		*processes, *entries, float64(b.pageGo)/1e6, float64(b.pageRuby)/1e6)
	b.serverTable(&text, memory)
	b.latencyTable(&text)
	fmt.Fprintf(&text, "%s.\n%s, %d cores.\n", about, cpu(), runtime.NumCPU())
	fmt.Fprintf(&text, "Puma with two workers and a server; %d times three turns of %d s; %g requests a second, one in four for a\n"+
		"page that takes long; one scrape a second, %s.\n", *rounds, *seconds, *rate, compression())
	if *command != "" {
		fmt.Fprintf(&text, "\n    %s\n", *command)
	}
	return text.String()
}

func compression() string {
	if *zipped {
		return "compressed"
	}
	return "not compressed"
}

// serverTable is about the servers: time, work and memory.
func (b *bench) serverTable(text *strings.Builder, memory []program.Memory) {
	fmt.Fprintln(text, "| server | Ruby | Go | Ruby / Go |")
	fmt.Fprintln(text, "|---|---|---|---|")
	row := func(title, format string, ruby, goes float64) {
		fmt.Fprintf(text, "| %s | "+format+" | "+format+" | %.1f |\n", title, ruby, goes, ruby/goes)
	}
	row("a scrape, ms", "%.1f", median(b.asRub.times), median(b.asGo.times))
	row("processor time for a scrape, ms", "%.1f", median(b.asRub.cpu), median(b.asGo.cpu))
	row("share of one core while scraped once a second, %", "%.1f", 100*median(b.asRub.share), 100*median(b.asGo.share))
	row("sent for a scrape, MB", "%.2f", float64(b.asRub.bytes)/1e6, float64(b.asGo.bytes)/1e6)
	goes, ruby := memory[0], memory[1]
	row("resident at the end, MB", "%.1f", ruby.Resident, goes.Resident)
	row("of that anonymous, MB", "%.1f", ruby.Anonymous, goes.Anonymous)
	row("resident at the peak, MB", "%.1f", ruby.Peak, goes.Peak)
	fmt.Fprintf(text, "\nTimes are medians over rounds, of %d scrapes (Ruby) and %d (Go): one that takes longer than a second delays the\n"+
		"next. Processor time is all that the server used while it was scraped; while it was not, it used %.1f %% (Ruby) and %.1f %% (Go) of a core.\n\n",
		b.asRub.scrapes, b.asGo.scrapes, 100*median(b.idleRuby.share), 100*median(b.idleGo.share))
}

// latencyTable is about the application, under each condition.
func (b *bench) latencyTable(text *strings.Builder) {
	fmt.Fprintln(text, "| the application, while | p50, ms | p99, ms | longest, ms | requests | errors |")
	fmt.Fprintln(text, "|---|---|---|---|---|---|")
	for _, condition := range []struct {
		title string
		*record
	}{
		{"nobody is scraped", pooled(&b.idleGo, &b.idleRuby)},
		{"its server in Go is scraped", &b.asGo},
		{"its server in Ruby is scraped", &b.asRub},
	} {
		l := condition.latencies
		fmt.Fprintf(text, "| %s | %.1f | %.1f | %.1f | %d | %d |\n", condition.title,
			median(l), percentile(l, 99), percentile(l, 100), len(l), len(condition.errors))
	}
	fmt.Fprint(text, "\nLatencies of all rounds are pooled; each counts from the moment when the request was due. Errors are those of scrapes too.\n\n")
}

func cpu() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); found != nil {
		return string(found[1])
	}
	return runtime.GOARCH
}
