package probe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab-metrics-exporter/internal/probe"
)

// TestFaults: each fault is logged when it begins and when it ends, and not in
// between.
func TestFaults(t *testing.T) {
	const damaged = "WARN Metric file is damaged; file="
	const mended = "INFO Metric file is no longer damaged; file="
	const a, b = "counter_1-0.db", "counter_2-0.db"
	dir := filepath.Join(t.TempDir(), "metrics")
	cut := healthy[:20]
	// In what it says of the entry that does not fit, the sizes change with the
	// file.
	overrun := func(size int) []byte {
		content := make([]byte, size)
		copy(content, image(`["app_total","app_total",[],[]]`))
		content[0], content[1] = byte(size), byte(size>>8)
		copy(content[8:], []byte{0xff, 0xff, 0, 0})
		return content
	}
	steps := []struct {
		what string
		do   func()
		want []string
	}{
		{"no directory", func() {}, []string{"WARN Metrics directory cannot be read;"}},
		{"directory", func() { must(t, os.Mkdir(dir, 0o700)); write(t, dir, a, healthy) }, []string{"INFO Metrics directory can be read again;"}},
		{"healthy files", func() { write(t, dir, b, healthy) }, nil},
		{"one is cut", func() { write(t, dir, b, cut) }, []string{damaged + b + " reason=truncated"}},
		{"both are", func() { write(t, dir, a, cut) }, []string{damaged + a + " reason=truncated"}},
		{"a bad name", func() { write(t, dir, "counter.db", cut) }, []string{damaged + "counter.db reason=name"}},
		{"one is whole", func() { write(t, dir, a, healthy) }, []string{mended + a}},
		{"another fault of the same file", func() { write(t, dir, b, image("[")) }, []string{damaged + b + " reason=key"}},
		{"a file goes with its fault", func() { must(t, os.Remove(filepath.Join(dir, "counter.db"))) }, []string{mended + "counter.db"}},
		{"an entry that does not fit", func() { write(t, dir, a, overrun(100)) }, []string{damaged + a + " reason=entry"}},
		{"its file grows", func() { write(t, dir, a, overrun(200)) }, nil},
		{"and grows", func() { write(t, dir, a, overrun(300)) }, nil},
		{"directory removed", func() { must(t, os.Rename(dir, dir+".old")) }, []string{"WARN Metrics directory cannot be read;"}},
		{"not a directory", func() { must(t, os.WriteFile(dir, nil, 0o600)) }, []string{"WARN Metrics directory cannot be read;"}},
		{"back, as it was", func() {
			must(t, os.Remove(dir))
			must(t, os.Rename(dir+".old", dir))
		}, []string{"INFO Metrics directory can be read again;"}},
		{"all well", func() { write(t, dir, a, healthy); write(t, dir, b, healthy) }, []string{mended + a, mended + b}},
		{"files disagree", func() { write(t, dir, "gauge_max_1-0.db", healthy) },
			[]string{"WARN Metric files disagree about a metric, which cannot be shown as declared; family=app_total"}},
		{"and do no more", func() { must(t, os.Remove(filepath.Join(dir, "gauge_max_1-0.db"))) },
			[]string{"INFO Metric files no longer disagree about a metric; family=app_total"}},
	}
	s, j := newSet(dir)
	for _, step := range steps {
		step.do()
		for i := range 3 {
			scrape(t, s)
			if i > 0 {
				step.want = nil
			}
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(step.want, j.take(), sorted, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, scrape %d: log: -want +got\n%s", step.what, i, diff)
			}
		}
	}
}

// TestManyFaults: so many files are damaged that naming all of them would
// flood the log.
func TestManyFaults(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		write(t, dir, fmt.Sprintf("counter_%d-0.db", i), healthy[:20])
	}
	s, j := newSet(dir)
	scrape(t, s)
	lines := j.take()
	if len(lines) != 21 || lines[20] != "WARN More metric files are damaged; files=80" {
		t.Errorf("%d lines, the last of them %q", len(lines), lines[len(lines)-1])
	}
	scrape(t, s)
	if lines := j.take(); len(lines) != 0 {
		t.Errorf("and once more: %q", lines)
	}
}

// TestManyConflicts: the same for metrics that files disagree about.
func TestManyConflicts(t *testing.T) {
	dir := t.TempDir()
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprintf(`["m%02d","m%02d",[],[]]`, i, i))
	}
	write(t, dir, "counter_1-0.db", image(keys...))
	s, j := newSet(dir)
	for _, step := range []struct {
		do          func()
		first, last string
	}{
		{func() { write(t, dir, "gauge_max_1-0.db", image(keys...)) },
			"WARN Metric files disagree about a metric, which cannot be shown as declared; family=m00",
			"WARN Metric files disagree about more metrics; families=80"},
		{func() { must(t, os.Remove(filepath.Join(dir, "gauge_max_1-0.db"))) },
			"INFO Metric files no longer disagree about a metric; family=m00",
			"INFO Metric files no longer disagree about more metrics; families=80"},
	} {
		scrape(t, s)
		j.take()
		step.do()
		scrape(t, s)
		lines := j.take()
		if len(lines) != 21 || lines[0] != step.first || lines[20] != step.last {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
	}
}

// TestHugeConflict: who names metrics cannot fill the log.
func TestHugeConflict(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("m", 1<<20)
	for _, kind := range []string{"counter", "gauge_max"} {
		write(t, dir, kind+"_1-0.db", image(`["`+name+`","`+name+`",[],[]]`))
	}
	s, j := newSet(dir)
	scrape(t, s)
	if lines := j.take(); len(lines) != 1 || len(lines[0]) > 250 {
		t.Errorf("%d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
	must(t, os.Remove(filepath.Join(dir, "gauge_max_1-0.db")))
	scrape(t, s)
	if lines := j.take(); len(lines) != 1 || len(lines[0]) > 250 {
		t.Errorf("%d lines, the first of %d bytes, when it is over", len(lines), len(lines[0]))
	}
}

// TestHastyClient: clients say how much time there is. That it was not enough is said,
// but who gives none again and again does not fill the log.
func TestHastyClient(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	s, j := newSet(dir)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		s.Scrape(ctx).Release()
		cancel()
		scrape(t, s)
	}
	want := []string{"WARN The scrape's time was up before all metric files were read;", "INFO All metric files are read in time again;"}
	if diff := cmp.Diff(want, j.take()); diff != "" {
		t.Errorf("log: -want +got\n%s", diff)
	}
}

// TestCanceledIsNoFault: a client that leaves says nothing about files.
func TestCanceledIsNoFault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy[:20])
	s, j := newSet(dir)
	scrape(t, s)
	j.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		s.Scrape(ctx).Release()
	}
	scrape(t, s)
	if lines := j.take(); len(lines) != 0 {
		t.Errorf("log: %q", lines)
	}
}

// TestFaultsOfParts: who asks for a part of the page hears of a fault once, as all others.
func TestFaultsOfParts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy[:20])
	s, j := newSet(dir)
	for range 3 {
		p, err := s.ScrapeOnly(t.Context(), probe.Selection{Probes: []string{probe.Mmap}})
		must(t, err)
		p.Release()
	}
	if lines := j.take(); len(lines) != 1 {
		t.Errorf("log: %q", lines)
	}
}
