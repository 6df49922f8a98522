package fleet_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
)

// patience is how long the tests wait for what should happen at once.
const patience = 20 * time.Second

// TestGenerate: the same plan gives the same bytes, and they can be read.
func TestGenerate(t *testing.T) {
	t.Parallel()
	plan := fleet.Plan{Processes: 3, Entries: 2000}
	dir, again := t.TempDir(), t.TempDir()
	for _, dir := range []string{dir, again} {
		if err := fleet.Generate(dir, plan); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(sums(t, dir), sums(t, again)); diff != "" {
		t.Errorf("the second time is not like the first:\n%s", diff)
	}

	entries := checkSound(t, dir)
	if len(entries) != 6*plan.Processes {
		t.Errorf("%d files, want 6 for each process", len(entries))
	}
	total := 0
	for _, n := range entries {
		total += n
	}
	if want := plan.Processes * plan.Entries; total < want*9/10 || total > want*11/10 {
		t.Errorf("%d entries, want about %d", total, want)
	}
}

// TestGrow: entries are added to what is there, and stay readable.
func TestGrow(t *testing.T) {
	t.Parallel()
	plan := fleet.Plan{Processes: 2, Entries: 1000}
	dir := t.TempDir()
	if err := fleet.Generate(dir, plan); err != nil {
		t.Fatal(err)
	}
	before := checkSound(t, dir)
	for round := range 2 {
		if err := fleet.Grow(dir, plan, 100, round+1); err != nil {
			t.Fatal(err)
		}
		after := checkSound(t, dir)
		for process := range plan.Processes {
			name := fmt.Sprintf("histogram_puma_%d-0.db", process)
			if grown := after[name] - before[name]; grown < 100 || grown > 150 {
				t.Errorf("round %d: %s has grown by %d entries, want about 100", round, name, grown)
			}
		}
		before = after
	}
}

// checkSound fails the test if a file of dir is damaged, and returns how many
// entries each has.
func checkSound(t *testing.T, dir string) map[string]int {
	t.Helper()
	snapshot := look(t, dir)
	defer snapshot.Release()
	entries := map[string]int{}
	for _, f := range snapshot.Files {
		if f.Damage != nil || f.BadKeys != 0 || f.Type == discover.Untyped {
			t.Errorf("%s: type %v, %d bad keys, %v", f.Name, f.Type, f.BadKeys, f.Damage)
		}
		entries[f.Name] = f.Entries
	}
	if n := len(snapshot.Layout.Conflicts); n != 0 {
		t.Errorf("%d families that files disagree about", n)
	}
	return entries
}

func look(t *testing.T, dir string) *collect.Snapshot {
	t.Helper()
	snapshot, err := collect.New(dir).Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, name := range namesIn(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = fmt.Sprintf("%d bytes, %x", len(content), sha256.Sum256(content))
	}
	return sums
}

// A demonstration is a running fleet.Run.
type demonstration struct {
	dir   string
	ended chan error
	stop  context.CancelFunc
}

// play starts a demonstration and waits until it is ready.
func play(t *testing.T, processes int) *demonstration {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &demonstration{dir: t.TempDir(), ended: make(chan error, 1), stop: stop}
	ready := make(chan struct{})
	go func() { d.ended <- fleet.Run(ctx, d.dir, processes, func() { close(ready) }) }()
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-d.ended:
		t.Fatalf("it ended before it was ready: %v", err)
	case <-time.After(patience):
		t.Fatal("it does not get ready")
	}
	return d
}

// TestRunIsReady: all files are there when it says so, whatever the number of
// processes, and each of every kind.
func TestRunIsReady(t *testing.T) {
	t.Parallel()
	const processes = 20
	d := play(t, processes)
	var want []string
	for _, kind := range []string{"counter", "gauge_all", "gauge_liveall", "gauge_livesum", "gauge_max", "gauge_min", "histogram", "summary"} {
		for process := range processes {
			want = append(want, fmt.Sprintf("%s_puma_%d-0.db", kind, process))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, namesIn(t, d.dir)); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
}

// TestRun: every type and gauge mode is there, values grow, nothing is
// damaged at any moment, and it ends when it is told to.
func TestRun(t *testing.T) {
	t.Parallel()
	const processes = 3
	d := play(t, processes)
	first := page(t, d.dir)
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		now := page(t, d.dir)
		checkSound(t, d.dir)
		for sample, before := range first {
			if after, there := now[sample]; !there || strings.Contains(sample, "total") && after < before {
				t.Fatalf("%s was %v and is %v (there: %v)", sample, before, after, there)
			}
		}
		if complete(now) && now.sum("demo_http_requests_total") > first.sum("demo_http_requests_total") &&
			now.sum("demo_http_request_duration_seconds_count") > first.sum("demo_http_request_duration_seconds_count") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing moves, or not all is there:\nfirst %v\nnow %v", first, now)
		}
	}

	// The parts of one histogram agree, once nobody writes any more.
	d.stop()
	select {
	case err := <-d.ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	end := page(t, d.dir)
	count := end.sum("demo_http_request_duration_seconds_count")
	if requests := end.sum("demo_http_requests_total"); requests != count {
		t.Errorf("%v requests, but %v durations", requests, count)
	}
	if last := end.sumOf("demo_http_request_duration_seconds_bucket", `le="+Inf"`); last != count {
		t.Errorf("the last buckets add up to %v, the counts to %v", last, count)
	}
	if diff := cmp.Diff(end, page(t, d.dir)); diff != "" {
		t.Errorf("values move although it has ended:\n%s", diff)
	}

	for process := range processes {
		pid := fmt.Sprintf(`pid="puma_%d"`, process)
		for _, family := range []string{"demo_resident_memory_bytes", "demo_threads_busy"} {
			if _, there := end[family+"{"+pid+"}"]; !there {
				t.Errorf("%s has no series of %s: %v", family, pid, slices.Sorted(maps.Keys(end)))
			}
		}
	}
}

// complete reports whether a family of each type and gauge mode is there.
func complete(p samples) bool {
	for _, family := range []string{
		"demo_http_requests_total", "demo_http_request_duration_seconds_bucket", "demo_http_response_bytes_sum",
		"demo_resident_memory_bytes", "demo_threads_busy", "demo_database_connections",
		"demo_queue_latency_peak_seconds", "demo_process_start_time_seconds",
	} {
		if p.count(family) == 0 {
			return false
		}
	}
	return true
}

// samples are the lines of a page, without and with their value.
type samples map[string]float64

func (s samples) count(name string) (n int) {
	for sample := range s {
		if nameOf(sample) == name {
			n++
		}
	}
	return n
}

func (s samples) sum(name string) float64 { return s.sumOf(name, "") }

func (s samples) sumOf(name, label string) (sum float64) {
	for sample, value := range s {
		if nameOf(sample) == name && strings.Contains(sample, label) {
			sum += value
		}
	}
	return sum
}

func nameOf(sample string) string {
	name, _, _ := strings.Cut(sample, "{")
	return name
}

// page returns what a scrape of dir shows.
func page(t *testing.T, dir string) samples {
	t.Helper()
	snapshot := look(t, dir)
	defer snapshot.Release()
	var text strings.Builder
	w := exposition.NewWriter(&text)
	if err := w.Snapshot(snapshot, snapshot.Layout.Families); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	s := samples{}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		var value float64
		if _, err := fmt.Sscan(line[at:], &value); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s[line[:at]] = value
	}
	return s
}

// TestErrors: what cannot be written is said.
func TestErrors(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	if err := fleet.Generate(missing, fleet.Plan{Processes: 1, Entries: 100}); err == nil {
		t.Error("Generate: no error without a directory")
	}
	if err := fleet.Grow(t.TempDir(), fleet.Plan{Processes: 1, Entries: 100}, 10, 1); err == nil {
		t.Error("Grow: no error without files")
	}
	if err := fleet.Run(t.Context(), missing, 1, func() {}); err == nil {
		t.Error("Run: no error without a directory")
	}
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	if got, err := fleet.ParsePlan("64x20000"); err != nil || got != (fleet.Plan{Processes: 64, Entries: 20000}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "8", "8x", "x8", "0x5", "8x0", "-1x5", "8x5x5", "8 x 5", "8x5 "} {
		if got, err := fleet.ParsePlan(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
