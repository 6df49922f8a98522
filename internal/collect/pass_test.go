package collect

import (
	"os"
	"path/filepath"
	"testing"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// TestGoneBetweenPasses: a file that disagreed with others is forgotten, also if it goes
// after the pass that found that out.
func TestGoneBetweenPasses(t *testing.T) {
	dir := t.TempDir()
	image := clientmmap.AppendEntry(clientmmap.AppendHeader(nil, 0), []byte(`["m","m",[],[]]`), 1)
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	gauge := filepath.Join(dir, "gauge_livesum_2-0.db")
	for _, path := range []string{filepath.Join(dir, "counter_1-0.db"), gauge} {
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := New(dir)
	if err := e.list(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.pass(t.Context()).snapshot.Release()
	if err := os.Remove(gauge); err != nil {
		t.Fatal(err)
	}
	e.pass(t.Context()).snapshot.Release()
	s, err := e.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if families := s.Layout.Families; len(s.Layout.Conflicts) != 0 || len(families) != 1 || families[0].Type != discover.Counter {
		t.Errorf("conflicts %q, families %+v", s.Layout.Conflicts, families)
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
