package probe_test

import (
	"testing"

	"gitlab-metrics-exporter/internal/probe"
)

// TestSurvey: it finds what scrapes find, and what is wrong is logged once,
// whoever sees it first.
func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	write(t, dir, "nonsense.db", healthy)
	s, j := newSet(dir)
	snapshot, err := s.Survey(t.Context())
	must(t, err)
	series := snapshot.Layout.Len()
	if n := snapshot.Entries(snapshot.Layout.Families[0].Series[0]); n != 1 {
		t.Errorf("%d entries", n)
	}
	snapshot.Release()
	if lines := j.take(); len(lines) != 1 {
		t.Errorf("log: %q", lines)
	}
	p := s.Scrape(t.Context())
	if !p.Succeeded() || p.Series() != series || p.Snapshot() == nil || p.Snapshot().Layout.Len() != series {
		t.Errorf("page: succeeded %v, %d series, want %d", p.Succeeded(), p.Series(), series)
	}
	p.Release()
	if lines := j.take(); len(lines) != 0 {
		t.Errorf("log, again: %q", lines)
	}
	p, err = s.ScrapeOnly(t.Context(), probe.Selection{Probes: []string{probe.Self}})
	must(t, err)
	if !p.Succeeded() || p.Series() != 0 || p.Snapshot() != nil {
		t.Error("a page without the application has some of it")
	}
	p.Release()
}
