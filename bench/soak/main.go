// Command soak lets the real program serve a large application for a long time,
// while processes of the application come, grow, die and are replaced, and
// series come and go. It writes down how much memory the program has, as CSV,
// and prints a summary for docs/performance.md:
//
//	go run ./bench/soak -out soak.csv
//	go run ./bench/soak -plot soak.csv > docs/soak.svg
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
	"runtime"
	"slices"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	binary    = flag.String("binary", "", "the server; it is built if empty")
	work      = flag.String("work", "", "existing directory to work in; a temporary one if empty")
	out       = flag.String("out", "soak.csv", "where the data go")
	duration  = flag.Duration("time", 30*time.Minute, "of the soak")
	pause     = flag.Duration("scrape", time.Second, "from scrape to scrape")
	every     = flag.Duration("every", 5*time.Second, "from record to record")
	processes = flag.Int("processes", 64, "of the application")
	entries   = flag.Int("entries", 20_000, "of each process")
	churn     = flag.Int("churn", 200, "new series in a second")
	plot      = flag.String("plot", "", "draw these data as SVG on standard output, and do nothing else")
	summary   = flag.String("summary", "", "print the summary of these data, and do nothing else")
)

func main() {
	options.Parse("churn")
	run := soak
	switch {
	case *plot != "" && *summary != "":
		run = func() error { return errors.New("-plot and -summary: do one after the other") }
	case *plot != "":
		run = func() error { return drawFile(*plot) }
	case *summary != "":
		run = func() error { return summarizeFile(*summary) }
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func soak() error {
	if *duration < enough**every || *every < *pause {
		return fmt.Errorf("-time must be %d times -every at least, and that -scrape", enough)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	top, remove, err := cleanup.Dir(*work)
	if err != nil {
		return err
	}
	defer remove()
	dir, stash := filepath.Join(top, "metrics"), filepath.Join(top, "stash")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(stash, 0o700)); err != nil {
		return err
	}
	a, err := newApplication(dir, stash, fleet.Plan{Processes: *processes, Entries: *entries}, *churn)
	if err != nil {
		return err
	}
	if *binary == "" {
		if *binary, err = program.Build(top); err != nil {
			return err
		}
	}
	p, err := program.Start(*binary, dir)
	if err != nil {
		return err
	}
	file, err := os.Create(*out)
	if err != nil {
		return errors.Join(err, p.Stop())
	}
	ctx, cancel := context.WithTimeout(ctx, *duration)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- a.live(ctx)
	}()
	records, err := watch(ctx, p, file)
	cancel()
	if err := errors.Join(err, <-ended, file.Close(), p.Stop()); err != nil {
		return err
	}
	fmt.Printf("%d processes x %d entries, %d replaced in turn; %d series brought by processes of their own, %d a second; %d cores, %s\n\n",
		*processes, *entries, a.replaced, a.brought, *churn, runtime.NumCPU(), runtime.Version())
	return summarize(records)
}

// watch scrapes until ctx ends, and writes down records.
func watch(ctx context.Context, p *program.Program, file *os.File) (records []record, err error) {
	if _, err := fmt.Fprintln(file, header); err != nil {
		return nil, err
	}
	start := time.Now()
	next := start
	tick := time.NewTicker(*pause)
	defer tick.Stop()
	var since watched
	for ctx.Err() == nil {
		due := !time.Now().Before(next)
		coding := "identity"
		if !due && since.scrapes%3 == 2 {
			coding = "gzip"
		}
		page, took, err := p.Scrape(coding)
		if err != nil {
			return records, err
		}
		memory, err := p.Memory()
		if err != nil {
			return records, err
		}
		since.add(took, memory)
		if due {
			next = next.Add(*every)
			r := since.record(time.Since(start), memory, program.Own(page))
			records = append(records, r)
			since = watched{scrapes: since.scrapes}
			if _, err := fmt.Fprintln(file, r); err != nil {
				return records, err
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return records, nil
}

// watched is what was seen since the last record.
type watched struct {
	scrapes  int // ever
	took     []float64
	resident float64 // the most
}

func (w *watched) add(took time.Duration, memory program.Memory) {
	w.scrapes++
	w.took = append(w.took, took.Seconds()*1e3)
	w.resident = max(w.resident, memory.Resident)
}

func (w *watched) record(at time.Duration, memory program.Memory, own map[string]float64) record {
	slices.Sort(w.took)
	return record{
		at.Seconds(), memory.Resident, w.resident, memory.Anonymous, memory.Peak, own["gme_go_memstats_heap_inuse_bytes"] / 1e6,
		own["gme_mmap_files"], own["gme_mmap_series"], own["gme_mmap_entries"], own["gme_mmap_damaged_files"],
		own["gme_go_goroutines"], own["gme_process_open_fds"], float64(w.scrapes), w.took[len(w.took)/2], w.took[len(w.took)-1],
	}
}
