// Command rails compares the metrics server in Ruby with gitlab-metrics-exporter
// where both are at home: beside a Rails application, which shares its cores with
// them.
//
// The application of examples/rails is booted twice, each a Puma of two workers
// with a metrics directory of its own, in which the same generated fleet is then
// laid: one with the server in Go, one with the server in Ruby. In each round
// there are three turns, in an order that changes: nobody is scraped, the server
// in Go is, the server in Ruby is, once a second. In all of them the application
// (that one of the two; each for half of the turn when nobody is scraped) gets
// requests at a constant rate, whether it has answered the earlier ones or not.
// A latency counts from the moment when the request was due, so that waiting is
// part of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	root      = flag.String("root", ".", "directory with bin, gem and examples, or copies of them, to work in")
	command   = flag.String("command", "", "how this was started, to be printed")
	processes = flag.Int("processes", 16, "processes of the fleet in each metrics directory")
	entries   = flag.Int("entries", 20_000, "entries of each process")
	rate      = flag.Float64("rate", 40, "requests a second to the application, one in four for a page that takes long")
	seconds   = flag.Int("seconds", 30, "length of a turn")
	rounds    = flag.Int("rounds", 6, "rounds of three turns")
	zipped    = flag.Bool("gzip", true, "ask for compressed pages, as Prometheus does")
)

func main() {
	log.SetFlags(0)
	options.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // whatever failed because of it
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	if *rate <= 0 || *seconds < 2 || *rounds < 1 || *processes < 1 || *entries < 1 {
		return errors.New("-seconds must be 2 or more, the other numbers positive")
	}
	if *root, err = filepath.Abs(*root); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(*root, "bench-rails-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	// First, and by itself: it also makes the Gemfile.lock that both read.
	about, err := versions(ctx)
	if err != nil {
		return err
	}
	apps, err := boot(ctx, dir)
	defer stopAll(apps)
	if err != nil {
		return err
	}
	series, err := fill(ctx, dir, apps)
	if err != nil {
		return err
	}
	b := &bench{goes: apps[0], ruby: apps[1]}
	if err := b.warmUp(ctx, series); err != nil {
		return err
	}
	for round := range *rounds {
		if err := b.round(ctx, round); err != nil {
			return err
		}
		log.Printf("round %d of %d is done", round+1, *rounds)
	}
	memory, err := memories(apps)
	if err != nil {
		return err
	}
	fmt.Print(b.report(about, memory))
	return b.failure()
}

// A bench has the two applications, and what was recorded of each condition.
type bench struct {
	goes, ruby       *application
	asGo, asRub      record
	idleGo, idleRuby record // the servers, while nobody is scraped
	pageGo, pageRuby int    // bytes, not compressed
}

// orders are those in which the turns of a round can come: n for nobody, g for
// Go, r for Ruby.
var orders = []string{"ngr", "rgn", "grn", "nrg", "rng", "gnr"}

func (b *bench) round(ctx context.Context, round int) error {
	turn := time.Duration(*seconds) * time.Second
	for _, condition := range orders[round%len(orders)] {
		var err error
		switch condition {
		case 'n':
			err = b.nobody(ctx, turn, round%2 == 0)
		case 'g':
			err = b.asGo.measure(ctx, b.goes, turn, true)
		case 'r':
			err = b.asRub.measure(ctx, b.ruby, turn, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nobody is the turn without a scrape: half of it for each application.
func (b *bench) nobody(ctx context.Context, turn time.Duration, goFirst bool) error {
	forGo := func() error { return b.idleGo.measure(ctx, b.goes, turn/2, false) }
	forRuby := func() error { return b.idleRuby.measure(ctx, b.ruby, turn/2, false) }
	if goFirst {
		return then(forGo, forRuby)
	}
	return then(forRuby, forGo)
}

// then calls both, the second one if the first succeeds.
func then(first, second func() error) error {
	if err := first(); err != nil {
		return err
	}
	return second()
}

// warmUp lets both applications and both servers work, and compares the pages.
func (b *bench) warmUp(ctx context.Context, series map[string]int) error {
	for _, app := range []*application{b.goes, b.ruby} {
		for _, outcome := range requests(ctx, app.urls(), *rate, 5*time.Second) {
			if outcome.err != nil {
				return fmt.Errorf("warming up, %s: %w\n%s", app.name, outcome.err, app.lastOutput())
			}
		}
		for range 2 {
			if s := scrape(ctx, app.metricsURL()); s.err != nil {
				return fmt.Errorf("warming up, %s: %w\n%s", app.name, s.err, app.lastOutput())
			}
		}
	}
	for _, server := range []struct {
		app  *application
		size *int
	}{{b.goes, &b.pageGo}, {b.ruby, &b.pageRuby}} {
		page, err := wholePage(ctx, server.app.metricsURL())
		if err != nil {
			return err
		}
		if err := sameSeries(series, seriesOf(page)); err != nil {
			return fmt.Errorf("the page of the server in %s: %w", server.app.name, err)
		}
		*server.size = len(page)
	}
	return nil
}

// failure returns an error if any request or any scrape was answered wrongly.
func (b *bench) failure() error {
	var errs []error
	for _, r := range []*record{&b.idleGo, &b.idleRuby, &b.asGo, &b.asRub} {
		errs = append(errs, r.errors...)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("THE FIGURES DO NOT COUNT: %d requests or scrapes failed, the first with: %w", len(errs), errs[0])
}

// fill lays the same fleet into the directories of both applications, and
// returns how many series of each name that makes.
func fill(ctx context.Context, dir string, apps []*application) (series map[string]int, err error) {
	plan := fleet.Plan{Processes: *processes, Entries: *entries}
	for _, app := range apps {
		stage := filepath.Join(dir, "stage")
		if err := os.Mkdir(stage, 0o700); err != nil {
			return nil, err
		}
		if err := fleet.Generate(stage, plan); err != nil {
			return nil, err
		}
		if series == nil {
			if series, err = render(ctx, stage); err != nil {
				return nil, err
			}
		}
		if err := move(stage, app.dir); err != nil {
			return nil, err
		}
	}
	return series, nil
}
