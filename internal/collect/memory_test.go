package collect_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// heap returns the heap in use when all garbage is gone.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found in pools and finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestMemoryFollows: the memory in use is that of the series which are there,
// not of those that ever were.
func TestMemoryFollows(t *testing.T) {
	const (
		rounds = 10
		slack  = 1 << 19 // much less than the series of one round take
	)
	fresh := func(round, series int) []byte {
		b := clientmmap.AppendHeader(nil, 0)
		for i := range series {
			b = clientmmap.AppendEntry(b, fmt.Appendf(nil, `["m","m",["l"],["%d in round %d"]]`, i, round), 1)
		}
		return withUsed(b, uint32(len(b)))
	}
	tests := map[string]func(t *testing.T, dir string, round int, look func()){
		"files removed": func(t *testing.T, dir string, round int, look func()) {
			path := filepath.Join(dir, one)
			rewrite(t, path, fresh(round, 20_000))
			look()
			must(t, os.Remove(path))
			look()
			look() // what the last one found to be gone is forgotten now
		},
		"files replaced": func(t *testing.T, dir string, round int, look func()) {
			replace(t, filepath.Join(dir, two), fresh(round, 7_000))
			look()
		},
		"keys spelled anew": func(t *testing.T, dir string, round int, look func()) {
			const series, keys = 10, 20_000
			space := strings.NewReplacer("0", " ", "1", "\t", "2", "\n", "3", "\r")
			b := clientmmap.AppendHeader(nil, 0)
			for i := range keys {
				number := strconv.FormatInt(int64(round*keys+i), 4)
				b = clientmmap.AppendEntry(b, fmt.Appendf(nil, `["m","m",["l"],["%d"]%s]`, i%series, space.Replace(number)), 1)
			}
			replace(t, filepath.Join(dir, two), withUsed(b, uint32(len(b))))
			look()
		},
		"processes replaced": func(t *testing.T, dir string, round int, look func()) {
			path := filepath.Join(dir, fmt.Sprintf("gauge_all_%d-0.db", round))
			rewrite(t, path, fresh(0, 7_000))
			look()
			must(t, os.Remove(path))
			look()
		},
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			dir := inDir(t, map[string][]byte{"counter_stays-0.db": healthy})
			e := collect.New(dir)
			look := func() {
				s, err := e.Collect(t.Context())
				must(t, err)
				s.Release()
			}
			// Series that are gone are forgotten only when they are most of
			// all, so the heap rises and falls.
			var early, late int64
			for round := range rounds {
				do(t, dir, round, look)
				if now := heap(); round < rounds/2 {
					early = max(early, now)
				} else {
					late = max(late, now)
				}
			}
			if late > early+slack {
				t.Errorf("heap in use: at most %d KiB in the first %d rounds, %d KiB afterwards", early>>10, rounds/2, late>>10)
			}
			lookBoth(t, e)
		})
	}
}

// TestMemoryIsGivenBack: when most of a directory is gone, so is the memory that it took,
// all of it: what was learnt, and what it was read and merged with.
func TestMemoryIsGivenBack(t *testing.T) {
	many := func(n int, key string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			b := clientmmap.AppendHeader(nil, 0)
			for i := range n {
				b = clientmmap.AppendEntry(b, []byte(strings.ReplaceAll(key, "#", strconv.Itoa(i))), 1)
			}
			rewrite(t, filepath.Join(dir, one), withUsed(b, uint32(len(b))))
		}
	}
	tests := map[string]func(t *testing.T, dir string){
		"series":    many(100_000, `["m","m",["l"],["#"]]`),
		"entries":   many(1_000_000, `["m","m",[],[]]`), // of one series
		"bad keys":  many(1_000_000, "x"),
		"long keys": many(100, `["m","m",["l"],["`+strings.Repeat("x", 50_000)+`#"]]`),
		"files": func(t *testing.T, dir string) {
			for i := range 7_000 {
				must(t, os.Symlink("nowhere", filepath.Join(dir, fmt.Sprintf("counter_no_%d-0.db", i))))
			}
		},
	}
	for name, fill := range tests {
		t.Run(name, func(t *testing.T) {
			givenBack(t, fill)
		})
	}
}

// givenBack checks that what fill puts into a directory leaves nothing in memory when it
// is gone.
func givenBack(t *testing.T, fill func(t *testing.T, dir string)) {
	t.Helper()
	dir := inDir(t, map[string][]byte{two: healthy})
	e := collect.New(dir)
	look(t, e)
	before := heap()
	fill(t, dir)
	for range 10 { // so that every scanner has met it
		look(t, e)
	}
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, path := range all {
		if filepath.Base(path) != two {
			must(t, os.Remove(path))
		}
	}
	look(t, e)
	look(t, e) // what the last one found to be gone is forgotten now
	if now := heap(); now > before+1<<20 {
		t.Errorf("heap in use: %d KiB before, %d KiB after", before>>10, now>>10)
	}
	look(t, e)
}

// TestHugeKeyIsLetGo: the room that a huge key was read into, and unescaped, goes with it.
// All of them are bad ones: nothing of them is kept.
func TestHugeKeyIsLetGo(t *testing.T) {
	huge := strings.Repeat("x", 4<<20)
	tests := map[string]struct {
		name  string
		image []byte
	}{
		"no JSON":          {one, image(entry{huge, 1})},
		"with an escape":   {one, image(entry{`["m","m",["l"],["\n` + huge + `"],1]`, 1})},
		"without":          {one, image(entry{`["m","m",["l"],["` + huge + `"],1]`, 1})},
		"no query":         {"metric_m___1.bin", storeImage(stampedEntry{huge, 1, 1})},
		"query with a +":   {"metric_m___1.bin", storeImage(stampedEntry{"l=+" + huge + "%zz", 1, 1})},
		"query without it": {"metric_m___1.bin", storeImage(stampedEntry{"l=" + huge + "&m", 1, 1})},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			givenBack(t, func(t *testing.T, dir string) { rewrite(t, filepath.Join(dir, tt.name), tt.image) })
		})
	}
}

// descriptors returns how many descriptors the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc")
	}
	must(t, err)
	return len(entries)
}

// TestNothingLeaks: a thousand scrapes of a directory in which everything is
// wrong leave neither descriptors nor goroutines.
func TestNothingLeaks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := inDir(t, map[string][]byte{
		one: healthy, "counter.db": healthy, "counter_cut-0.db": healthy[:20], "counter_entry-0.db": withUsed(healthy, 20), "counter_key-0.db": image(entry{"[", 1}),
	})
	must(t, os.Mkdir(filepath.Join(dir, "counter_dir-0.db"), 0o700))
	fifo(t, filepath.Join(dir, "counter_pipe-0.db"))
	loop(t, filepath.Join(dir, "counter_loop-0.db"))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "counter_dangling-0.db")))
	e := collect.New(dir)
	missing := collect.New(filepath.Join(dir, "missing"))
	scrapes := func(n int) {
		for i := range n {
			if s, err := e.Collect(newCountdown(i % 50)); err == nil {
				s.Release()
			}
			if _, err := missing.Collect(t.Context()); err == nil {
				t.Error("want an error")
			}
		}
	}
	scrapes(10)
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	scrapes(1000)
	if n := descriptors(t); n != fds {
		t.Errorf("%d descriptors after 10 scrapes, %d after 1,000", fds, n)
	}
	eventually(t, fmt.Sprintf("as few goroutines as after 10 scrapes, %d", goroutines), func() bool { return runtime.NumGoroutine() <= goroutines })
}

// TestWarmScrapeAllocations: what a scrape allocates depends on the number of
// files, not on what is in them.
func TestWarmScrapeAllocations(t *testing.T) {
	measure := func(entries int) (allocs, bytes float64) {
		files := map[string][]byte{}
		for process := range 10 {
			var all []entry
			for i := range entries {
				all = append(all, sample(float64(i), "m", "l", fmt.Sprintf("%d", i)))
			}
			prefix := []string{"counter", "gauge_max", "gauge_all"}[min(process/4, 2)]
			for i := range all { // families of their own: no conflicts
				all[i].key = strings.ReplaceAll(all[i].key, `"m"`, `"`+prefix+`"`)
			}
			files[fmt.Sprintf("%s_%d-0.db", prefix, process)] = image(all...)
		}
		var timed []stampedEntry
		for i := range entries {
			timed = append(timed, stampedEntry{pythonKey("recent", "recent", fmt.Sprintf(`{"l": "%d"}`, i), "Help."), 1, 1})
		}
		files["gauge_mostrecent_1.db"] = pythonImage(stamped, timed...)
		e, w := collect.New(inDir(t, files)), exposition.NewWriter(io.Discard)
		scrape := func() {
			s, err := e.Collect(t.Context())
			must(t, err)
			w.Begin(io.Discard, exposition.Text)
			must(t, w.Snapshot(s, s.Layout.Families))
			must(t, w.Flush())
			s.Release()
		}
		scrape()
		scrape()
		// The least of several measurements: a scanner that meets the largest file for
		// the first time makes room for it, once.
		const runs = 10
		bytes = math.Inf(1)
		for range 5 {
			bytes = min(bytes, float64(allocated(func() {
				for range runs {
					scrape()
				}
			}))/runs)
		}
		return testing.AllocsPerRun(runs, scrape), bytes
	}
	few, fewBytes := measure(100)
	many, manyBytes := measure(5000)
	t.Logf("10 files x 100 entries: %.0f allocations, %.0f bytes; 10 x 5,000: %.0f, %.0f bytes", few, fewBytes, many, manyBytes)
	if many > few+3 || few > 200 {
		t.Errorf("%v allocations with 100 entries in each file, %v with 5,000", few, many)
	}
	if manyBytes > fewBytes+4096 {
		t.Errorf("%v bytes with 100 entries in each file, %v with 5,000", fewBytes, manyBytes)
	}
}
