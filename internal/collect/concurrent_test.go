package collect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// TestWritersAndReaders scrapes one engine from several goroutines while
// writers add, change, replace and remove. Every snapshot must make sense in
// itself, and follow the one before.
func TestWritersAndReaders(t *testing.T) {
	const (
		growing = 3   // files that only grow, in which values only rise
		room    = 200 // entries in each of them at most
		swapped = 2   // files that are replaced all the time; all values of one are equal
		group   = 30  // entries in each of those
		readers = 4
		scrapes = 25
	)
	dir := t.TempDir()
	swap := func(path string, file int, value float64) {
		var entries []entry
		for i := range group {
			entries = append(entries, sample(value, "swapped", "file", strconv.Itoa(file), "i", strconv.Itoa(i)))
		}
		replace(t, path, image(entries...))
	}
	var writers sync.WaitGroup
	stop := make(chan struct{})
	start := func(round func(n int)) {
		writers.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
					round(n)
				}
			}
		})
	}
	for file := range growing {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("counter_grows_%d-0.db", file)))
		must(t, err)
		defer f.Close()
		w := clientmmap.NewWriter(f)
		var places []int64
		start(func(n int) {
			if len(places) < room {
				k := key("grows", "grows", "file", strconv.Itoa(file), "i", strconv.Itoa(len(places)))
				at, err := w.Add([]byte(k), float64(n))
				if err != nil {
					t.Error(err)
				}
				places = append(places, at)
			}
			if err := w.Set(places[n%len(places)], float64(n)); err != nil {
				t.Error(err)
			}
		})
	}
	for file := range swapped {
		path := filepath.Join(dir, fmt.Sprintf("counter_swapped_%d-0.db", file))
		swap(path, file, 0.5)
		start(func(n int) { swap(path, file, float64(n)) })
	}
	// This one comes and goes, and is of two kinds in turn, one of which is
	// at odds with a file that stays.
	rewrite(t, filepath.Join(dir, "counter_stays-0.db"), image(sample(1, "odds", "n", "0")))
	start(func(n int) {
		path := filepath.Join(dir, "gauge_max_visitor-0.db")
		rewrite(t, path, image(sample(2, "odds", "n", strconv.Itoa(n%3)), sample(3, "visitor", "n", strconv.Itoa(n%500))))
		must(t, os.Remove(path))
	})

	e := collect.New(dir)
	var wait sync.WaitGroup
	for range readers {
		wait.Go(func() {
			last := map[string]float64{}
			for range scrapes {
				s, err := e.Collect(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				now := map[string]float64{}
				for _, family := range s.Layout.Families {
					for _, id := range family.Series {
						now[string(s.Layout.AppendText(nil, id))] = s.Value(id)
					}
				}
				for _, f := range s.Files {
					if f.Damage != nil && !strings.Contains(f.Name, "visitor") {
						t.Errorf("%s: %v", f.Name, f.Damage)
					}
				}
				s.Release()
				for file := range growing {
					there := true
					for i := range room {
						name := fmt.Sprintf(`grows{file="%d",i="%d"}`, file, i)
						value, ok := now[name]
						if ok && !there || ok && value == 0 || value < last[name] {
							t.Errorf("%s %v (there: %t); it was %v, and its predecessor is there: %t", name, value, ok, last[name], there)
							return
						}
						there = ok
					}
				}
				for file := range swapped {
					first := now[fmt.Sprintf(`swapped{file="%d",i="0"}`, file)]
					for i := range group {
						name := fmt.Sprintf(`swapped{file="%d",i="%d"}`, file, i)
						if now[name] != first || now[name] < last[name] || first == 0 {
							t.Errorf("%s %v; it was %v, and the first of its file is %v", name, now[name], last[name], first)
							return
						}
					}
				}
				if v := now[`odds{n="0"}`]; v != 1 && v != 3 {
					t.Errorf("odds %v, want 1 or 3", v)
				}
				last = now
			}
		})
	}
	wait.Wait()
	close(stop)
	writers.Wait()
	if !t.Failed() {
		lookBoth(t, e)
	}
}

// TestSnapshotIsIndependent holds a snapshot while everything changes.
func TestSnapshotIsIndependent(t *testing.T) {
	dir := t.TempDir()
	fill := func(round int) {
		var entries []entry
		for i := range 300 {
			entries = append(entries, sample(float64(round), "m", "l", fmt.Sprint(i*round)))
		}
		rewrite(t, filepath.Join(dir, one), image(entries...))
		replace(t, filepath.Join(dir, fmt.Sprintf("gauge_all_%d-0.db", round%7)), image(entries[:round%300]...))
	}
	fill(1)
	e := collect.New(dir)
	look(t, e) // so that a snapshot is there to be used again
	var held []*collect.Snapshot
	var pages []string
	for round := range 60 {
		fill(round + 2)
		s, err := e.Collect(t.Context())
		must(t, err)
		if round%10 == 0 {
			held, pages = append(held, s), append(pages, text(t, s))
		} else {
			s.Release()
		}
	}
	for i, s := range held {
		if text(t, s) != pages[i] {
			t.Errorf("snapshot %d has changed", i)
		}
		s.Release()
	}
	lookBoth(t, e)
}

// A countdown is a context that ends when it has been asked so many times
// whether it has: it ends a collection at any point one likes.
type countdown struct {
	context.Context
	left atomic.Int64
}

func newCountdown(n int) *countdown {
	c := &countdown{Context: context.Background()}
	c.left.Store(int64(n))
	return c
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelAnywhere cancels collections at each point where they look. What
// the engine has learnt until then must not lead it astray.
func TestCancelAnywhere(t *testing.T) {
	t.Parallel()
	var large []entry // several windows
	for i := range 700 {
		large = append(large, sample(float64(i), "large", "l", fmt.Sprintf("%01000d", i)))
	}
	dir := inDir(t, map[string][]byte{
		"counter_0-0.db": image(sample(1, "a"), sample(2, "odds")), "counter_1-0.db": image(large...), "counter_2-0.db": image(large[:10]...),
		"counter_3-0.db": image(sample(1, "a"), entry{"[", 1}), "gauge_max_0-0.db": image(sample(5, "odds")), "histogram_0-0.db": header(0xffff, 50),
	})
	want := look(t, collect.New(dir))
	for n, done := 0, false; !done; n++ {
		e := collect.New(dir)
		if n%3 == 1 { // one that knows another state of the directory
			path := filepath.Join(dir, "gauge_min_9-0.db")
			rewrite(t, path, image(sample(1, "odds"), sample(2, "a")))
			look(t, e)
			must(t, os.Remove(path))
		}
		s, err := e.Collect(newCountdown(n))
		if done = err == nil; done {
			s.Release()
		} else if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended at look %d: %v", n, err)
		}
		if got := look(t, e); got.Page != want.Page {
			t.Fatalf("after a collection that ended at look %d: page\n%.2000s", n, got.Page)
		}
		if n > 1000 {
			t.Fatal("no collection comes to its end")
		}
	}
}

// A gate is a context that stops the collection which asks it, until it is
// opened.
type gate struct {
	context.Context
	once   sync.Once
	asked  chan struct{}
	opened chan struct{}
}

func newGate() *gate {
	return &gate{Context: context.Background(), asked: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) Err() error {
	g.once.Do(func() { close(g.asked) })
	<-g.opened
	return nil
}

// TestCancelWhileBusy: who waits for another's collection can give up.
func TestCancelWhileBusy(t *testing.T) {
	e := collect.New(inDir(t, map[string][]byte{one: healthy}))
	g := newGate()
	first := make(chan error, 1)
	go func() {
		s, err := e.Collect(g)
		if err == nil {
			s.Release()
		}
		first <- err
	}()
	<-g.asked
	within(t, patience, "giving up", func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := e.Collect(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another collects: %v, want the deadline's error", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if _, err := e.Collect(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before: %v", err)
		}
	})
	close(g.opened)
	if err := <-first; err != nil {
		t.Errorf("the one that was waited for: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // whether or not the engine is free
		if _, err := e.Collect(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before, engine free: %v", err)
		}
	}
	wantPage(t, lookBoth(t, e), page("# healthy counter", "healthy 42"))
}

// What was being read when a collection was cut short is not mixed up later.
func TestCutShortAmongMostRecent(t *testing.T) {
	g := func(l string, value, stamp float64) []byte {
		return pythonImage(stamped, stampedEntry{pythonKey("g", "g", `{"l": "`+l+`"}`, "Help."), value, stamp}, stampedEntry{pythonKey("g", "g", `{"l": "x"}`, "Help."), value, stamp})
	}
	files := map[string][]byte{}
	for i := range 8 {
		files[fmt.Sprintf("gauge_mostrecent_%d.db", i)] = g(fmt.Sprint(i), float64(i), float64(1+i*5%8))
	}
	dir := inDir(t, files)
	for n := range 60 {
		e := collect.New(dir)
		look(t, e)
		if s, err := e.Collect(newCountdown(n)); err == nil {
			s.Release()
		}
		lookBoth(t, e)
	}
}

// TestFileThatGrows: what a writer does to a file while it is looked at is no damage, and
// what was there before is on the page.
func TestFileThatGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counter_1-0.db")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	var wait sync.WaitGroup
	var done atomic.Int64
	wait.Go(func() {
		at := int64(len(image()))
		for i := range int64(20_000) {
			entry := image(sample(1, "grows", "i", i))[len(image()):]
			if _, err := file.WriteAt(entry, at); err != nil {
				t.Error(err)
			}
			at += int64(len(entry))
			if _, err := file.WriteAt(clientmmap.AppendHeader(nil, at), 0); err != nil {
				t.Error(err)
			}
			done.Store(i + 1)
		}
	})
	defer wait.Wait()
	e := collect.New(filepath.Dir(path))
	for before := int64(0); before < 20_000 && !t.Failed(); {
		before = done.Load()
		s, err := e.Collect(t.Context())
		must(t, err)
		if f := s.Files[0]; f.Damage != nil || int64(f.Entries) < before {
			t.Errorf("%d entries of at least %d: %v", f.Entries, before, f.Damage)
		}
		s.Release()
	}
}
