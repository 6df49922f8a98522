package collect

import (
	"path/filepath"
	"runtime"
	"testing"
)

// TestReading: a collection that does not end says where it is; one that has ended,
// nothing.
func TestReading(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "counter_1-0.db", 1)
	e := New(dir)
	s, err := e.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	if at := e.Reading(); at != "" {
		t.Errorf("it still reads %s", at)
	}
	path := "a file that hangs"
	e.reset()
	e.scanners[len(e.scanners)-1].reading.Store(&path)
	if at := e.Reading(); at != path {
		t.Errorf("it reads %q, want that of the last scanner", at)
	}
	e.reading[0].Store(&dir)
	if at := e.Reading(); at != dir {
		t.Errorf("it reads %q, want the directory", at)
	}
}

// TestReadingMeanwhile: a collection is asked where it is while it forgets files and
// learns others. The race detector has to look.
func TestReadingMeanwhile(t *testing.T) {
	dir := t.TempDir()
	e := New(dir)
	asked, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if at := e.Reading(); at != "" && at != dir && filepath.Dir(at) != dir {
				t.Errorf("it reads %q", at)
			}
		}
	}()
	for round := range 100 {
		plant(t, dir, "counter_1-0.db", 1+round%2)
		if round%10 == 0 {
			e.reset()
		}
		s, err := e.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
	}
	close(stop)
	<-asked
}

// TestResetAllocatesLittle: directories are that are learnt anew by every scrape, because
// files disagree and some of them go. The windows need not be made anew for it; the
// table is most of the rest.
func TestResetAllocatesLittle(t *testing.T) {
	e := New(t.TempDir())
	var before, after runtime.MemStats
	const resets = 10
	runtime.ReadMemStats(&before)
	for range resets {
		e.reset()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / resets; each >= 4*windowSize {
		t.Errorf("a reset allocates %d bytes", each)
	}
}
