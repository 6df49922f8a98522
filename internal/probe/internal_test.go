package probe

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/series"
)

// These tests are white-box: they put probes of their own into a set.

const patience = 30 * time.Second

func setOf(probes ...probe) *Set {
	return &Set{engine: collect.New(""), probes: probes, faults: &faults{log: slog.New(slog.DiscardHandler)}}
}

// outcomes returns which probes of a page were successful.
func outcomes(p *Page) map[string]bool {
	got := map[string]bool{}
	for _, f := range p.families {
		if f.GetName() == "gme_probe_success" {
			for _, m := range f.Metric {
				got[m.Label[0].GetValue()] = m.GetGauge().GetValue() == 1
			}
		}
	}
	return got
}

func brings(name string) func(*scrape) (part, error) {
	return func(*scrape) (part, error) {
		return part{families: []*dto.MetricFamily{gauge(name, "Help.", sample{value: 1})}}, nil
	}
}

// TestProbesRunSideBySide: each waits until all others run.
func TestProbesRunSideBySide(t *testing.T) {
	const n = 5
	var all sync.WaitGroup
	all.Add(n)
	var probes []probe
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		probes = append(probes, probe{name, func(*scrape) (part, error) {
			all.Done()
			all.Wait()
			return part{}, nil
		}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := outcomes(setOf(probes...).Scrape(ctx))
	for _, p := range probes {
		if !got[p.name] {
			t.Errorf("%s did not succeed", p.name)
		}
	}
}

// TestSlowProbe: a probe that heeds nothing costs its own part, and the page
// comes at the deadline.
func TestSlowProbe(t *testing.T) {
	release := make(chan struct{})
	ended := make(chan struct{})
	s := setOf(
		probe{"slow", func(*scrape) (part, error) {
			defer close(ended)
			<-release
			return brings("gme_slow")(nil)
		}},
		probe{"quick", brings("gme_quick")},
	)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	p := s.Scrape(ctx)
	if took := time.Since(start); took > patience {
		t.Errorf("the page took %v", took)
	}
	if ctx.Err() == nil {
		t.Error("the page came before the deadline")
	}
	if got := outcomes(p); got["slow"] || !got["quick"] {
		t.Errorf("gme_probe_success: %v", got)
	}
	for _, f := range p.families {
		if f.GetName() == "gme_slow" {
			t.Error("it has what came too late")
		}
	}
	// What comes too late goes nowhere, and holds up nobody.
	close(release)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the slow probe does not end")
	}
	p.Release()
}

// TestProbePanics: a panic is that probe's failure, nobody else's, and logged once.
func TestProbePanics(t *testing.T) {
	s := setOf(
		probe{"bad", func(*scrape) (part, error) { panic("out of order") }},
		probe{"good", brings("gme_good")},
	)
	var log bytes.Buffer
	s.faults.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		p := s.Scrape(t.Context())
		if got := outcomes(p); got["bad"] || !got["good"] {
			t.Errorf("gme_probe_success: %v", got)
		}
		p.Release()
	}
	if said := log.String(); strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "out of order") || !strings.Contains(said, "TestProbePanics") {
		t.Error(said)
	}
}

// TestCollectionPanics: it is logged, once, with the place, and when it is over.
func TestCollectionPanics(t *testing.T) {
	var log bytes.Buffer
	f := &faults{log: slog.New(slog.NewTextHandler(&log, nil))}
	bug := &collect.PanicError{Cause: "out of order", Stack: []byte("the_place()")}
	whole := &collect.Snapshot{Layout: &series.Layout{}}
	for _, step := range []struct {
		err  error
		want string
	}{{nil, ""}, {bug, "level=ERROR"}, {bug, ""}, {nil, "level=INFO"}, {nil, ""}} {
		log.Reset()
		f.report(collect.New(""), whole, step.err)
		if said := log.String(); !strings.Contains(said, step.want) || step.want == "" && said != "" ||
			step.want == "level=ERROR" && !(strings.Contains(said, "out of order") && strings.Contains(said, "the_place()")) {
			t.Errorf("%v: %q", step.err, said)
		}
	}
}

// TestLateProbeKeepsSnapshot: a page is released while a probe still looks at
// the snapshot that both share; nobody may write into that.
func TestLateProbeKeepsSnapshot(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	looked := make(chan struct{})
	release := make(chan struct{})
	late := make(chan *collect.Snapshot, 1)
	s := setOf(
		probe{"first", func(s *scrape) (part, error) {
			p, err := runMmap(s)
			close(looked)
			return p, err
		}},
		probe{"late", func(s *scrape) (part, error) {
			snapshot, err := s.snapshot()
			<-release
			late <- snapshot
			return part{}, err
		}},
	)
	s.engine = collect.New(dir)
	s.share = newShare(s.engine.Collect)
	go func() { // the page is made of what is there by then
		<-looked
		for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	p := s.Scrape(ctx)
	if p.complete {
		t.Error("the page waited")
	}
	if err := p.Write(exposition.NewWriter(new(nothing))); err != nil {
		t.Error(err)
	}
	p.Release()
	close(release)
	if snapshot := <-late; snapshot.Layout == nil {
		t.Error("the snapshot was given back while a probe looked at it")
	}
}

type nothing struct{}

func (*nothing) Write(p []byte) (int, error) { return len(p), nil }

// TestLateProbesEnd: a probe that is late has taken until then, and leaves nothing when it
// ends.
func TestLateProbesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		s := setOf(probe{"slow", func(*scrape) (part, error) {
			time.Sleep(time.Minute)
			return part{}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		p := s.Scrape(ctx)
		for _, f := range p.families {
			if seconds := f.Metric[0].GetGauge().GetValue(); f.GetName() == "gme_probe_duration_seconds" && seconds != 2 {
				t.Errorf("it took %g s", seconds)
			}
		}
		p.Release()
		time.Sleep(2 * time.Minute)
	})
}

// TestSnapshotsAreReleased: that of a page with it, and one of which nobody gets a page at
// once.
func TestSnapshotsAreReleased(t *testing.T) {
	s := New([]string{Mmap}, collect.New(t.TempDir()), slog.New(slog.DiscardHandler))
	var seen *collect.Snapshot
	inner := s.share.collect
	s.share.collect = func(ctx context.Context) (snapshot *collect.Snapshot, err error) {
		seen, err = inner(ctx)
		return seen, err
	}
	p := s.Scrape(t.Context())
	p.Release()
	if seen.Layout != nil || p.Snapshot() != nil {
		t.Error("the page's is kept")
	}
	if _, err := s.ScrapeOnly(t.Context(), Selection{Names: []string{"nonsense"}}); err == nil || seen.Layout != nil {
		t.Errorf("kept though there is no page: %v", err)
	}
}

// TestLeaveTooLate: a result that is there is not thrown away.
func TestLeaveTooLate(t *testing.T) {
	s := newShare(collect.New(t.TempDir()).Collect)
	b := s.join()
	<-b.done
	if s.leave(b) {
		t.Error("it is nobody's")
	}
}

// TestSurveyOfWhatHangs: its time is up when it is up, whatever the file system does.
func TestSurveyOfWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := setOf()
		s.survey = func(context.Context) (*collect.Snapshot, error) {
			time.Sleep(time.Minute)
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Survey(ctx); err != ctx.Err() || err == nil || time.Since(start) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(2 * time.Minute)
	})
}
