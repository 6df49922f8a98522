package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// plant writes a file with so many entries, of the value 1, that all have other names.
func plant(t *testing.T, dir, name string, entries int) {
	t.Helper()
	keys := make([]string, entries)
	for i := range keys {
		keys[i] = fmt.Sprintf(`["m%d","m%[1]d",[],[]]`, i)
	}
	plantKeys(t, dir, name, keys...)
}

// plantKeys writes a file with these keys, each with the value 1.
func plantKeys(t *testing.T, dir, name string, keys ...string) {
	t.Helper()
	image := clientmmap.AppendHeader(nil, 0)
	for _, key := range keys {
		image = clientmmap.AppendEntry(image, []byte(key), 1)
	}
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// batches are the batches that a single scanner makes of a directory.
func batches(t *testing.T, e *Engine) (sizes []int) {
	t.Helper()
	if err := e.list(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := e.begin()
	defer c.snapshot.Release()
	s := e.scanners[0]
	s.collection = c
	for {
		from, to := s.take()
		if from == to {
			return sizes
		}
		for from < to {
			end := s.scanAndMerge(t.Context(), from, to)
			sizes = append(sizes, end-from)
			from = end
		}
	}
}

// TestBatches: small files are scanned several at a time, also those that are new, which
// are taken for as large as the one before. If they are not, less is kept at a time.
func TestBatches(t *testing.T) {
	tests := []struct {
		name      string
		entries   map[string][]int // by kind, of processes
		cold, hot []int
	}{
		{"one kind", map[string][]int{"counter": slices.Repeat([]int{10}, 20)}, []int{1, 16, 3}, []int{16, 4}},
		{"empty ones", map[string][]int{"counter": slices.Repeat([]int{0}, 20)}, []int{1, 16, 3}, []int{1, 16, 3}},
		{"two kinds", map[string][]int{"gauge_max": {10, 10, 10}, "gauge_min": {10, 10, 10}}, []int{1, 2, 1, 2}, []int{6}},
		{"large ones", map[string][]int{"counter": {5000, 5000, 5000}}, []int{1, 1, 1}, []int{1, 1, 1}},
		{"a small one before large ones", map[string][]int{"counter": {10, 5000, 5000, 5000, 10, 10}}, []int{1, 1, 1, 1, 2}, []int{1, 1, 1, 1, 2}},
		{"a large one before small ones", map[string][]int{"counter": {5000, 10, 10, 10}}, []int{1, 1, 2}, []int{1, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for kind, processes := range tt.entries {
				for i, entries := range processes {
					plant(t, dir, fmt.Sprintf("%s_%02d-0.db", kind, i), entries)
				}
			}
			e := New(dir)
			if got := batches(t, e); !slices.Equal(got, tt.cold) {
				t.Errorf("batches of new files: %d, want %d", got, tt.cold)
			}
			if got := batches(t, e); !slices.Equal(got, tt.hot) {
				t.Errorf("batches of known files: %d, want %d", got, tt.hot)
			}
		})
	}
}

// TestBatchesAreBounded: what scanners keep does not add up where large files come behind
// small ones, now more of these, now fewer.
func TestBatchesAreBounded(t *testing.T) {
	const large = 3 * batchEntries
	dir := t.TempDir()
	for i := range batchFiles {
		for j := range i {
			plant(t, dir, fmt.Sprintf("counter_%02d_%02d-0.db", i, j), 1)
		}
		plant(t, dir, fmt.Sprintf("counter_%02d_large-0.db", i), large)
	}
	e := New(dir)
	for range 10 { // so that each scanner has met many
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if value := s.Value(s.Layout.Families[len(s.Layout.Families)-1].Series[0]); value != batchFiles {
			t.Errorf("value %g, want %d", value, batchFiles)
		}
		s.Release()
	}
	for _, s := range e.scanners {
		kept := 0
		for _, found := range s.found {
			kept += cap(found.values)
		}
		if kept > 2*large { // growing, it may have become larger than need be
			t.Errorf("a scanner keeps room for %d values", kept)
		}
	}
}
