// Package probe gathers what a page shows, by probes that run side by side:
//
//	mmap        the application's families, from its metric files
//	mmap_stats  facts about those files
//	self        facts about this process
//
// A probe that fails, or is not done when the scrape's time is up, costs the
// page its part and nothing else; gme_probe_success says which one it was.
package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/series"
)

// The known probes.
const (
	Mmap      = "mmap"
	MmapStats = "mmap_stats"
	Self      = "self"
)

// Known lists the known probes.
var Known = []string{Mmap, MmapStats, Self}

// Parse takes a comma-separated list of probes apart. Space around a name,
// and naming a probe twice, do no harm; naming none does.
func Parse(list string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "" || slices.Contains(names, name):
		case !slices.Contains(Known, name):
			return nil, fmt.Errorf("unknown probe %q", name)
		default:
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no probe is named")
	}
	return names, nil
}

// A Set runs probes. It is safe for concurrent use.
type Set struct {
	engine *collect.Engine
	share  *share // of its collections
	survey func(context.Context) (*collect.Snapshot, error)
	probes []probe
	faults *faults
}

type probe struct {
	name string
	run  func(*scrape) (part, error)
}

// A part is what one probe adds to a page.
type part struct {
	snapshot *collect.Snapshot
	families []*dto.MetricFamily
}

// New returns a set of the probes named, which must be known, for the
// directory of engine. What is wrong with files is logged to log: once, not in
// every scrape.
func New(names []string, engine *collect.Engine, log *slog.Logger) *Set {
	s := &Set{engine: engine, share: newShare(engine.Collect), survey: engine.Survey, faults: &faults{log: log}}
	runs := map[string]func(*scrape) (part, error){
		Mmap:      runMmap,
		MmapStats: runMmapStats,
		Self:      newSelf(),
	}
	for _, name := range names {
		s.probes = append(s.probes, probe{name, runs[name]})
	}
	return s
}

// A scrape is one run of a set. Probes share one look at the directory.
type scrape struct {
	dirs     []collect.Directory
	snapshot func() (*collect.Snapshot, error)
}

// An outcome is how one probe's run ended.
type outcome struct {
	part
	err     error
	seconds float64
	done    bool
}

// Scrape runs all probes until they are done or ctx is. The caller releases
// the page.
func (s *Set) Scrape(ctx context.Context) *Page {
	var release func()
	run := &scrape{dirs: s.engine.Dirs, snapshot: sync.OnceValues(func() (snapshot *collect.Snapshot, err error) {
		snapshot, release, err = s.share.Collect(ctx)
		s.faults.report(s.engine, snapshot, err)
		return snapshot, err
	})}
	type result struct {
		index int
		outcome
	}
	results := make(chan result, len(s.probes)) // with room for those that come too late
	for i, p := range s.probes {
		go func() { results <- result{i, s.time(p, run)} }()
	}
	outcomes := make([]outcome, len(s.probes))
	start := time.Now()
	for range s.probes {
		select {
		case r := <-results:
			outcomes[r.index] = r.outcome
		case <-ctx.Done():
			// What is done counts, even if it was done this very moment.
			for range len(results) {
				r := <-results
				outcomes[r.index] = r.outcome
			}
			page := s.page(outcomes, time.Since(start).Seconds())
			if page.complete {
				page.release = release
			}
			return page
		}
	}
	page := s.page(outcomes, 0)
	page.release = release
	return page
}

// time runs a probe and takes its time. A panic is the probe's failure.
func (s *Set) time(p probe, run *scrape) (o outcome) {
	start := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			bug := &collect.PanicError{Cause: cause, Stack: debug.Stack()}
			s.faults.reportProbe(p.name, bug)
			o.err = bug
		}
		o.seconds, o.done = time.Since(start).Seconds(), true
	}()
	o.part, o.err = p.run(run)
	return o
}

// page puts the parts together. Probes that are not done have failed, after
// the given time.
func (s *Set) page(outcomes []outcome, seconds float64) *Page {
	page := &Page{complete: true, succeeded: true}
	var success, duration []sample
	for i, p := range s.probes {
		o := outcomes[i]
		if !o.done {
			o.err, o.seconds = context.DeadlineExceeded, seconds
			page.complete = false
		}
		page.families = append(page.families, o.families...) // a probe that fails may still say something
		if o.err == nil && o.snapshot != nil {
			page.snapshot, page.selected = o.snapshot, o.snapshot.Layout.Families
		}
		page.succeeded = page.succeeded && o.err == nil
		success = append(success, sample{truth(o.err == nil), []string{"probe", p.name}})
		duration = append(duration, sample{o.seconds, []string{"probe", p.name}})
	}
	page.families = append(page.families,
		gauge("gme_probe_success", "Whether the probe delivered its part of this page.", success...),
		gauge("gme_probe_duration_seconds", "How long the probe took for this page.", duration...))
	slices.SortFunc(page.families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return page
}

func truth(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

// A Page is what one scrape found: the application's families and ours.
type Page struct {
	snapshot *collect.Snapshot // nil if there is none
	release  func()            // of the snapshot; nil if there is none, or a late probe may still look at it
	selected []series.Family   // of the snapshot, that are to be written
	families []*dto.MetricFamily

	complete  bool // no probe runs any more
	succeeded bool // and all have delivered their part
}

// Write writes the page, in the format of w.
func (p *Page) Write(w *exposition.Writer) error {
	return w.Page(p.snapshot, p.selected, p.families)
}

// Release gives the page's memory back. It must not be used afterwards.
func (p *Page) Release() {
	// A probe that is late may still look at the snapshot: then it is the
	// garbage collector's.
	if p.release != nil {
		p.release()
	}
	p.snapshot, p.release = nil, nil
}
