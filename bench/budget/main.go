// Command budget says where the time of a scrape goes, next to what the same
// machine needs at least in the same run: reading the used bytes of all files once,
// touching each value once, writing the page once. It prints tables of medians for
// docs/performance.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/bench/internal/reading"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
	"gitlab-metrics-exporter/internal/format/frame"
)

var (
	plans  = flag.String("plans", "8x2000,64x20000,256x20000,1667x100", "directories: processes x entries of each")
	rounds = flag.Int("rounds", 21, "measurements of each")
	brief  = flag.Bool("brief", false, "show only how times grow with directories")
)

func main() {
	options.Parse()
	debug.SetGCPercent(20) // as the server does
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	work, remove, err := cleanup.Dir("")
	if err != nil {
		return err
	}
	defer remove()
	binary, err := program.Build(work)
	if err != nil {
		return err
	}
	fmt.Printf("%d cores, %s; medians of %d, ms\n\n", runtime.NumCPU(), runtime.Version(), *rounds)
	var growth []string
	for text := range strings.SplitSeq(*plans, ",") {
		line, err := budget(text, work, binary)
		if err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		growth = append(growth, line)
	}
	fmt.Println("| directory | files | entries | series | warm, ms | ns an entry | us a file | cold, ms | ns an entry |\n|---|---|---|---|---|---|---|---|---|")
	fmt.Println(strings.Join(growth, "\n"))
	return nil
}

// A part is something that is timed.
type part struct {
	name string
	run  func() error
}

// The parts that others are compared with, or that growth is shown of.
const (
	bare = "reading the used bytes, all cores"
	warm = "a scrape, both"
	cold = "cold: a new engine's first scrape, both"
)

// budget measures the parts of a scrape of one directory, made in work, prints them unless
// only growth is of interest, and returns a line about that.
func budget(text, work, binary string) (growth string, err error) {
	plan, err := fleet.ParsePlan(text)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(work, "metrics")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := fleet.Generate(dir, plan); err != nil {
		return "", err
	}
	w, err := newWork(dir)
	if err != nil {
		return "", err
	}
	if w.server, err = program.Start(binary, dir); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.server.Stop()) }()
	parts := []part{
		{"reading the used bytes, one core", func() error { return reading.Each(w.files, 1, reading.Nothing) }},
		{bare, func() error { return reading.Each(w.files, runtime.NumCPU(), reading.Nothing) }},
		{"the same, and touching each value", func() error { return reading.Each(w.files, runtime.NumCPU(), w.touch) }},
		{"copying the page", w.copyPage},
		{"a scrape: collecting", w.collect},
		{"a scrape: the page, as text", func() error { return w.page(exposition.Text) }},
		{"the page, as OpenMetrics", func() error { return w.page(exposition.OpenMetrics) }},
		{"the page, as protobuf", func() error { return w.page(exposition.Protobuf) }},
		{warm, func() error { return errors.Join(w.collect(), w.page(exposition.Text)) }},
		{"a scrape over HTTP", func() error { return w.scrape("identity") }},
		{"a scrape over HTTP, gzip", func() error { return w.scrape("gzip") }},
		{cold, w.cold},
	}
	times, err := measure(parts)
	if err != nil {
		return "", err
	}
	if !*brief {
		fmt.Printf("| %s: %d files, %.1f MB used, %d entries, page of %.1f MB | ms | times reading |\n|---|---|---|\n",
			text, len(w.files), float64(w.used)/1e6, w.entries, float64(len(w.text))/1e6)
		for _, p := range parts {
			fmt.Printf("| %s | %.2f | %.2f |\n", p.name, times[p.name], times[p.name]/times[bare])
		}
		if err := w.growing(dir, plan, times[bare]); err != nil {
			return "", err
		}
		fmt.Println()
	}
	entries, files := float64(w.entries), float64(len(w.files))
	return fmt.Sprintf("| %s | %d | %d | %d | %.1f | %.0f | %.1f | %.1f | %.0f |", text, len(w.files), w.entries, w.last.Layout.Len(),
		times[warm], times[warm]*1e6/entries, times[warm]*1e3/files, times[cold], times[cold]*1e6/entries), nil
}

// measure returns the median time of each part, by name, in ms.
func measure(parts []part) (map[string]float64, error) {
	times := map[string][]float64{}
	for range *rounds {
		for _, i := range rand.Perm(len(parts)) {
			start := time.Now()
			if err := parts[i].run(); err != nil {
				return nil, err
			}
			times[parts[i].name] = append(times[parts[i].name], time.Since(start).Seconds()*1e3)
		}
	}
	medians := map[string]float64{}
	for name, ms := range times {
		medians[name] = median(ms)
	}
	return medians, nil
}

// growing measures scrapes between which each process gets 1 % more entries, all of
// them of new series.
func (w *work) growing(dir string, plan fleet.Plan, readingMs float64) error {
	var times []float64
	for round := range 5 {
		if err := fleet.Grow(dir, plan, max(1, plan.Entries/100), round+1); err != nil {
			return err
		}
		start := time.Now()
		if err := errors.Join(w.collect(), w.page(exposition.Text)); err != nil {
			return err
		}
		times = append(times, time.Since(start).Seconds()*1e3)
	}
	ms := median(times)
	fmt.Printf("| a scrape, both, with 1 %% new entries | %.2f | %.2f |\n", ms, ms/readingMs)
	return nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// work is a directory, and all that is done with it.
type work struct {
	files   []reading.File
	values  []values // by file
	used    int64
	entries int
	server  *program.Program
	dir     string
	engine  *collect.Engine
	last    *collect.Snapshot
	writer  *exposition.Writer
	text    []byte
	copied  []byte
	sum     atomic.Uint64 // so that nothing is left out
}

// values says where those of a file are.
type values struct {
	at   []int64
	next int // to be touched
}

func newWork(dir string) (*work, error) {
	w := &work{dir: dir, engine: collect.New(dir), writer: exposition.NewWriter(io.Discard)}
	snapshot, err := w.engine.Collect(context.Background())
	if err != nil {
		return nil, err
	}
	w.last, w.files = snapshot, reading.Files(dir, snapshot)
	for _, f := range w.files {
		var v values
		err := collect.Walk(f.Path, 0, func(e collect.Entry) error {
			v.at = append(v.at, e.Offset)
			return nil
		})
		if err != nil {
			return nil, err
		}
		w.values = append(w.values, v)
		w.used += f.Used
		w.entries += len(v.at)
	}
	var page bytes.Buffer
	w.writer.Begin(&page, exposition.Text)
	if err := w.writer.Page(snapshot, snapshot.Layout.Families, nil); err != nil {
		return nil, err
	}
	w.text, w.copied = page.Bytes(), make([]byte, page.Len())
	return w, nil
}

// touch adds up the values in a piece of a file.
func (w *work) touch(file int, at int64, piece []byte) {
	v, sum := &w.values[file], 0.0
	if at == 0 {
		v.next = 0
	}
	for ; v.next < len(v.at) && v.at[v.next]+8 <= at+int64(len(piece)); v.next++ {
		if value := v.at[v.next]; value >= at { // the few that lie across two pieces are left out
			sum += frame.Float(piece[value-at:])
		}
	}
	w.sum.Add(math.Float64bits(sum))
}

func (w *work) copyPage() error {
	copy(w.copied, w.text)
	return nil
}

func (w *work) collect() error {
	w.last.Release()
	snapshot, err := w.engine.Collect(context.Background())
	w.last = snapshot
	return err
}

func (w *work) page(format exposition.Format) error {
	w.writer.Begin(io.Discard, format)
	return w.writer.Page(w.last, w.last.Layout.Families, nil)
}

func (w *work) scrape(coding string) error {
	_, _, err := w.server.Scrape(coding)
	return err
}

func (w *work) cold() error {
	snapshot, err := collect.New(w.dir).Collect(context.Background())
	if err != nil {
		return err
	}
	w.writer.Begin(io.Discard, exposition.Text)
	return w.writer.Page(snapshot, snapshot.Layout.Families, nil)
}
