package collect

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

// TestPanic: a bug that a file brings out fails collections as long as the file is there,
// and neither ends the program, nor leaves a scanner waiting, nor anything behind that
// later collections see.
func TestPanic(t *testing.T) {
	parse := parsers[discover.ClientMmap]
	t.Cleanup(func() { parsers[discover.ClientMmap] = parse })
	parsers[discover.ClientMmap] = func(raw []byte, key *format.Key) error {
		if bytes.Contains(raw, []byte("unlucky")) {
			panic("unlucky")
		}
		return parse(raw, key)
	}
	const files = 40
	dir := t.TempDir()
	put := func(file int, name string) {
		keys := make([]string, 300)
		for i := range keys {
			keys[i] = fmt.Sprintf(`["a_total","a_total",["i"],["%d"]]`, i*file)
		}
		keys[150] = fmt.Sprintf(`[%q,%[1]q,[],[]]`, name)
		plantKeys(t, dir, fmt.Sprintf("counter_%02d-0.db", file), keys...)
	}
	for file := range files {
		put(file, "b_total")
	}
	values := func(e *Engine) map[string]float64 {
		t.Helper()
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		got := map[string]float64{}
		for _, f := range s.Layout.Families {
			for _, id := range f.Series {
				got[string(s.Layout.AppendText(nil, id))] = s.Value(id)
			}
		}
		return got
	}
	e := New(dir)
	want := fmt.Sprint(values(e))
	for _, file := range []int{0, 17, files - 1} {
		put(file, "unlucky_total")
		for range 3 {
			bug := (*PanicError)(nil)
			if _, err := e.Collect(t.Context()); !errors.As(err, &bug) || bug.Cause != "unlucky" || !bytes.Contains(bug.Stack, []byte("TestPanic")) {
				t.Fatalf("file %d: %v", file, err)
			}
		}
		put(file, "b_total")
		if got := fmt.Sprint(values(e)); got != want {
			t.Errorf("after the panic of file %d there is\n%s\nwant\n%s", file, got, want)
		}
	}
}
