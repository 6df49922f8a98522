package collect

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/series"
)

// disagreeing returns an engine for a directory whose two files disagree, and the path of
// one of them.
func disagreeing(t *testing.T) (e *Engine, gauge string) {
	t.Helper()
	dir := t.TempDir()
	const name = "gauge_livesum_2-0.db"
	plant(t, dir, "counter_1-0.db", 1)
	plant(t, dir, name, 1)
	return New(dir), filepath.Join(dir, name)
}

// TestGoneBetweenPasses: a file that disagreed with others is forgotten, also if it goes
// after the pass that found that out, however many follow.
func TestGoneBetweenPasses(t *testing.T) {
	for more := range 2 {
		e, gauge := disagreeing(t)
		if err := e.list(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.pass(t.Context()).snapshot.Release()
		if err := os.Remove(gauge); err != nil {
			t.Fatal(err)
		}
		for range 1 + more {
			e.pass(t.Context()).snapshot.Release()
		}
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if families := s.Layout.Families; len(s.Layout.Conflicts) != 0 || len(families) != 1 || families[0].Type != discover.Counter {
			t.Errorf("%d passes more: conflicts %q, families %+v", more, s.Layout.Conflicts, families)
		}
	}
}

// TestIdentifyOld: where births are not told, a file is still told from others.
func TestIdentifyOld(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(77); err != nil {
		t.Fatal(err)
	}
	want, err := identify(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	want.born = 0
	if got, err := identifyOld(int(file.Fd())); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// TestLearnsAnewOnce: a file that is gone is a reason to learn everything anew once.
func TestLearnsAnewOnce(t *testing.T) {
	e, gauge := disagreeing(t)
	collect := func() {
		t.Helper()
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
	}
	collect()
	if err := os.Remove(gauge); err != nil {
		t.Fatal(err)
	}
	collect()
	table := e.table
	collect()
	if e.table != table {
		t.Error("learnt anew though nothing has changed")
	}
}

// TestLearnsAnewOnceForMetadata: metadata that cannot be read are no reason, time and again.
func TestLearnsAnewOnceForMetadata(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "counter_1-0.db", 1)
	for name, content := range map[string]string{"metric_m___1.bin": "", directfilestore.MetadataName: "{"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := New(dir)
	var table *series.Table
	for i := range 3 {
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
		if i > 0 && e.table != table {
			t.Error("learnt anew though nothing has changed")
		}
		table = e.table
	}
}

// TestBornFirst: several series are as old as the oldest.
func TestBornFirst(t *testing.T) {
	s := &Snapshot{births: []int64{9, 5, 3, 7}}
	if at, ok := s.Born(1, 2, 3); !ok || at.UnixNano() != 3 {
		t.Error(at, ok)
	}
}

// TestUnknownBirth: of what files one does not tell its birth, it is not known.
func TestUnknownBirth(t *testing.T) {
	c := &collection{table: series.NewTable(), snapshot: &Snapshot{}}
	c.bear(&file{id: identity{born: 77}}, run{0, 1})
	if at, ok := c.snapshot.Born(0); !ok || at.UnixNano() != 77 {
		t.Error(at, ok)
	}
	c.bear(&file{}, run{0, 1})
	if at, ok := c.snapshot.Born(0); ok {
		t.Error(at)
	}
}

// TestWindowOfShrunkFile: bytes that are not there any more are not what was read before.
func TestWindowOfShrunkFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = f.Truncate(100)
	w := newWindow()
	if _, err := w.open(int(f.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	w.bound(200)
	if err := w.load(50, 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// TestCancelWithinFile: a collection ends also within a file.
func TestCancelWithinFile(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "counter_1-0.db", 50_000)
	e := New(dir)
	ctx := &fewLooks{Context: t.Context(), left: 4}
	if _, err := e.Collect(ctx); err == nil {
		t.Fatal("not cut short")
	}
	if n := e.sources[0].files["counter_1-0.db"].column.n; n == 0 || n == 50_000 {
		t.Errorf("%d entries were read", n)
	}
}

// fewLooks is a context that has ended when it was asked so often.
type fewLooks struct {
	context.Context
	left int
}

func (f *fewLooks) Done() <-chan struct{} { return nil }

func (f *fewLooks) Err() error {
	if f.left--; f.left < 0 {
		return context.Canceled
	}
	return nil
}
