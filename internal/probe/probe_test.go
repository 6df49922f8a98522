package probe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/probe"
)

func TestParse(t *testing.T) {
	tests := []struct {
		list string
		want []string // nil if the list is refused
	}{
		{"mmap", []string{probe.Mmap}},
		{"mmap,mmap_stats,self", probe.Known},
		{"self,mmap", []string{probe.Self, probe.Mmap}},
		{" mmap , self ", []string{probe.Mmap, probe.Self}},
		{"\tmmap\n", []string{probe.Mmap}},
		{"mmap,mmap,self,mmap", []string{probe.Mmap, probe.Self}},
		{",mmap,,self,", []string{probe.Mmap, probe.Self}},
		{"", nil},
		{" ", nil},
		{",,", nil},
		{"Mmap", nil},
		{"mmap_stat", nil},
		{"mmap self", nil},
		{"mmap;self", nil},
		{"mmap,x", nil},
	}
	for _, tt := range tests {
		got, err := probe.Parse(tt.list)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%q: got %q, %v; want %q", tt.list, got, err, tt.want)
		}
	}
	if _, err := probe.Parse("mmap, sidekiq"); err == nil || !strings.Contains(err.Error(), `"sidekiq"`) {
		t.Errorf("the error does not name the probe: %v", err)
	}
}

// TestPage: what each probe brings, and that it brings no more.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	brings := map[string]string{probe.Mmap: "app_total", probe.MmapStats: "gme_mmap_files", probe.Self: "gme_process_start_time_seconds"}
	for _, names := range [][]string{{probe.Mmap}, {probe.MmapStats}, {probe.Self}, {probe.Mmap, probe.Self}, probe.Known} {
		t.Run(strings.Join(names, ","), func(t *testing.T) {
			s := probe.New(names, collect.New(dir), slog.New(&journal{}))
			for range 2 {
				text, families := scrape(t, s)
				for name, family := range brings {
					if _, there := families[family]; there != slices.Contains(names, name) {
						t.Errorf("%s is there: %t", family, there)
					}
				}
				want := map[string]float64{}
				for _, name := range names {
					want[name] = 1
				}
				if diff := cmp.Diff(want, success(t, families)); diff != "" {
					t.Errorf("gme_probe_success: -want +got\n%s", diff)
				}
				if n := len(families["gme_probe_duration_seconds"].GetMetric()); n != len(names) {
					t.Errorf("%d durations", n)
				}
				checkOrder(t, text)
			}
		})
	}
}

// checkOrder checks that the application's families come first, then ours,
// both by name, and none twice.
func checkOrder(t *testing.T, text string) {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	ours := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, "gme_") })
	for _, part := range [][]string{names[:ours], names[ours:]} {
		if !slices.IsSorted(part) || len(slices.Compact(slices.Clone(part))) != len(part) {
			t.Errorf("order of families: %q", part)
		}
	}
	for _, name := range names[ours:] {
		if !strings.HasPrefix(name, "gme_") {
			t.Errorf("%s is not ours", name)
		}
	}
}

// TestDirectoryFails: the probes of the directory fail, the other delivers.
func TestDirectoryFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	loop := filepath.Join(t.TempDir(), "loop")
	must(t, os.Symlink("loop", loop))
	for name, dir := range map[string]string{"missing": missing, "a file": file, "a loop": loop, "none configured": ""} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSet(dir)
			_, families := scrape(t, s)
			want := map[string]float64{probe.Mmap: 0, probe.MmapStats: 0, probe.Self: 1}
			if diff := cmp.Diff(want, success(t, families)); diff != "" {
				t.Errorf("gme_probe_success: -want +got\n%s", diff)
			}
			for name := range families {
				if strings.HasPrefix(name, "gme_mmap_") {
					t.Errorf("%s is there", name)
				}
			}
			if families["gme_process_start_time_seconds"] == nil || families["gme_build_info"] == nil {
				t.Error("nothing of self")
			}
		})
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

func (g *gate) Err() error {
	g.once.Do(func() { close(g.asked) })
	<-g.opened
	return nil
}

// TestDeadline: who reads the directory is busy, so the page comes at the
// deadline and without it.
func TestDeadline(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	e := collect.New(dir)
	s := probe.New(probe.Known, e, slog.New(&journal{}))
	g := &gate{Context: context.Background(), asked: make(chan struct{}), opened: make(chan struct{})}
	var other sync.WaitGroup
	other.Go(func() {
		if snapshot, err := e.Collect(g); err == nil {
			snapshot.Release()
		}
	})
	<-g.asked

	const limit = 2 * time.Second // enough for self, on a busy machine
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	p := s.Scrape(ctx)
	if took := time.Since(start); took < limit/2 || took > patience {
		t.Errorf("the page took %v, the deadline was %v", took, limit)
	}
	_, families := render(t, p)
	p.Release()
	want := map[string]float64{probe.Mmap: 0, probe.MmapStats: 0, probe.Self: 1}
	if diff := cmp.Diff(want, success(t, families)); diff != "" {
		t.Errorf("gme_probe_success: -want +got\n%s", diff)
	}
	if families["app_total"] != nil || families["gme_mmap_files"] != nil || families["gme_build_info"] == nil {
		t.Error("want what self brings, and no more")
	}
	for _, m := range families["gme_probe_duration_seconds"].GetMetric() {
		if seconds := m.GetGauge().GetValue(); m.GetLabel()[0].GetValue() != probe.Self && seconds < limit.Seconds()/2 {
			t.Errorf("%s took %v s", m.GetLabel()[0].GetValue(), seconds)
		}
	}

	close(g.opened)
	other.Wait()
	if _, families := scrape(t, s); success(t, families)[probe.Mmap] != 1 || families["app_total"] == nil {
		t.Error("the directory is not there once it can be read")
	}
}

// TestCanceled: a page comes even then, at once, and is a whole one.
func TestCanceled(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	s, _ := newSet(dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		p := s.Scrape(ctx)
		_, families := render(t, p)
		p.Release()
		if got := success(t, families); got[probe.Mmap] != 0 || len(got) != 3 {
			t.Errorf("gme_probe_success: %v", got)
		}
	}
	if _, families := scrape(t, s); success(t, families)[probe.Mmap] != 1 {
		t.Error("it does not recover")
	}
}

// TestConcurrentScrapes: every page is whole, while they share snapshots.
func TestConcurrentScrapes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	write(t, dir, "counter_2-0.db", healthy[:20])
	s, j := newSet(dir)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 25 {
				p := s.Scrape(t.Context())
				text, _ := render(t, p)
				p.Release()
				if !strings.Contains(text, "\napp_total 1\n") || !strings.Contains(text, "\ngme_mmap_files{metric_type=\"counter\",mode=\"\"} 2\n") {
					t.Errorf("scrape %d:\n%s", i, text)
					return
				}
			}
		})
	}
	wait.Wait()
	if lines := j.take(); len(lines) != 1 {
		t.Errorf("want one line in the log, got %q", lines)
	}
}

// TestStats: the facts about a directory, to the byte.
func TestStats(t *testing.T) {
	const a, b, c = `["m","m",["l"],["a"]]`, `["m","m",["l"],["b"]]`, `["m","m",["l"],["c"]]` // 40 bytes each, as entries
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", append(image(a, b), make([]byte, 4096-88)...))
	write(t, dir, "counter_2-0.db", image(a))
	write(t, dir, "counter_3-0.db", nil)                                 // new: no damage
	write(t, dir, "counter_4-0.db", image(a, b)[:60])                    // truncated
	write(t, dir, "counter_5-0.db", image(a, "[", `["m"]`, b))           // two bad keys
	write(t, dir, "gauge_all_1-0.db", image(`["g","g",[],[]]`))          // 32 bytes
	write(t, dir, "gauge_all_2-0.db", image(`["g","g",[],[]]`))          //
	write(t, dir, "gauge_odd_2-0.db", image(`["o","o",[],[]]`))          // a mode that nobody knows
	write(t, dir, "gauge_max_1-0.db", image(`["x","x",[],[]]`)[:39+1-8]) // truncated in its first entry
	write(t, dir, "foo_1-0.db", image(`["f","f",[],[]]`))
	write(t, dir, "histogram_1-0.db", append(image(), 1, 2, 3))                                   // three bytes behind used
	write(t, dir, "summary_1-0.db", append([]byte{24, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...)) // a hole
	write(t, dir, "counter.db", healthy)
	write(t, dir, "exemplar_1-0.db", healthy)
	write(t, dir, "gauge_min_1-0.db", image(c)) // in conflict with the counter, but for the mode
	write(t, dir, "readme.txt", healthy)
	must(t, os.Mkdir(filepath.Join(dir, "counter_6-0.db"), 0o700))
	must(t, os.Symlink("counter_7-0.db", filepath.Join(dir, "counter_7-0.db")))

	s := probe.New([]string{probe.MmapStats}, collect.New(dir), slog.New(&journal{}))
	for range 2 {
		text, _ := scrape(t, s)
		var got []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "gme_mmap_") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		want := []string{
			`gme_mmap_conflicting_families 1`,
			`gme_mmap_damaged_files{reason="entry"} 1`,
			`gme_mmap_damaged_files{reason="key"} 1`,
			`gme_mmap_damaged_files{reason="name"} 2`,
			`gme_mmap_damaged_files{reason="not_regular"} 1`,
			`gme_mmap_damaged_files{reason="truncated"} 2`,
			`gme_mmap_damaged_files{reason="unreadable"} 1`,
			`gme_mmap_dead_files 0`,
			`gme_mmap_entries{metric_type="counter",mode=""} 6`,
			`gme_mmap_entries{metric_type="gauge",mode="all"} 2`,
			`gme_mmap_entries{metric_type="gauge",mode="max"} 0`,
			`gme_mmap_entries{metric_type="gauge",mode="min"} 1`,
			`gme_mmap_entries{metric_type="gauge",mode="other"} 1`,
			`gme_mmap_entries{metric_type="histogram",mode=""} 0`,
			`gme_mmap_entries{metric_type="summary",mode=""} 0`,
			`gme_mmap_entries{metric_type="untyped",mode=""} 1`,
			`gme_mmap_families_without_metadata 0`,
			`gme_mmap_file_size_bytes{metric_type="counter",mode=""} 4332`, // 4096 + 48 + 0 + 60 + 128
			`gme_mmap_file_size_bytes{metric_type="gauge",mode="all"} 80`,
			`gme_mmap_file_size_bytes{metric_type="gauge",mode="max"} 32`,
			`gme_mmap_file_size_bytes{metric_type="gauge",mode="min"} 48`,
			`gme_mmap_file_size_bytes{metric_type="gauge",mode="other"} 40`,
			`gme_mmap_file_size_bytes{metric_type="histogram",mode=""} 11`,
			`gme_mmap_file_size_bytes{metric_type="summary",mode=""} 24`,
			`gme_mmap_file_size_bytes{metric_type="untyped",mode=""} 40`,
			`gme_mmap_files{metric_type="counter",mode=""} 7`,
			`gme_mmap_files{metric_type="gauge",mode="all"} 2`,
			`gme_mmap_files{metric_type="gauge",mode="max"} 1`,
			`gme_mmap_files{metric_type="gauge",mode="min"} 1`,
			`gme_mmap_files{metric_type="gauge",mode="other"} 1`,
			`gme_mmap_files{metric_type="histogram",mode=""} 1`,
			`gme_mmap_files{metric_type="summary",mode=""} 1`,
			`gme_mmap_files{metric_type="untyped",mode=""} 1`,
			`gme_mmap_series 7`, // m a, m b, m c, g 1, g 2, o, f
			`gme_mmap_skipped_entries 2`,
			`gme_mmap_unreadable_metadata 0`,
			`gme_mmap_used_bytes{metric_type="counter",mode=""} 324`, // 88 + 48 + 0 + 60 + 128: no more than a file has
			`gme_mmap_used_bytes{metric_type="gauge",mode="all"} 80`,
			`gme_mmap_used_bytes{metric_type="gauge",mode="max"} 32`,
			`gme_mmap_used_bytes{metric_type="gauge",mode="min"} 48`,
			`gme_mmap_used_bytes{metric_type="gauge",mode="other"} 40`,
			`gme_mmap_used_bytes{metric_type="histogram",mode=""} 8`,
			`gme_mmap_used_bytes{metric_type="summary",mode=""} 24`,
			`gme_mmap_used_bytes{metric_type="untyped",mode=""} 40`,
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

// TestEmptyDirectory: nothing is wrong with it. Before an application's first
// metric it is what there is.
func TestEmptyDirectory(t *testing.T) {
	s, j := newSet(t.TempDir())
	_, families := scrape(t, s)
	if diff := cmp.Diff(map[string]float64{probe.Mmap: 1, probe.MmapStats: 1, probe.Self: 1}, success(t, families)); diff != "" {
		t.Errorf("gme_probe_success: -want +got\n%s", diff)
	}
	if n := families["gme_mmap_series"].GetMetric()[0].GetGauge().GetValue(); n != 0 {
		t.Errorf("%v series", n)
	}
	if lines := j.take(); len(lines) != 0 {
		t.Errorf("log: %q", lines)
	}
}

// TestEveryReason: each is there, with 0 if need be, so that alerts on it work.
func TestEveryReason(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	s, _ := newSet(dir)
	_, families := scrape(t, s)
	got := map[string]float64{}
	for _, m := range families["gme_mmap_damaged_files"].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	want := map[string]float64{}
	for _, reason := range format.Reasons {
		want[string(reason)] = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLint runs the linter of Prometheus over what is ours. There is nothing
// that it may find.
func TestLint(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", healthy)
	s, _ := newSet(dir)
	text, _ := scrape(t, s)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	must(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "gme_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestSelectedTypes: a family has the type that it has on the whole page.
func TestSelectedTypes(t *testing.T) {
	s, _ := newSet(t.TempDir())
	typesOf := func(names ...string) (types []string) {
		t.Helper()
		p, err := s.ScrapeOnly(t.Context(), probe.Selection{Names: names})
		must(t, err)
		defer p.Release()
		var b bytes.Buffer
		w := exposition.NewWriter(nil)
		w.Begin(&b, exposition.OpenMetrics)
		must(t, p.Write(w))
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "# TYPE ") {
				types = append(types, line)
			}
		}
		return types
	}
	_, families := scrape(t, s)
	whole := typesOf()
	for name := range families {
		if types := typesOf(name); len(types) != 1 || !slices.Contains(whole, types[0]) {
			t.Errorf("%s: %q, which is not on the whole page", name, types)
		}
	}
}

// failing is a client that went away after a few bytes.
type failing struct{ left int }

var errGone = errors.New("gone")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errGone
	}
	return len(p), nil
}

// TestWriteError: a page that cannot be written says so, wherever it stops.
func TestWriteError(t *testing.T) {
	dir := t.TempDir()
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf(`["app_total","app_total",["number"],["%030d"]]`, i))
	}
	write(t, dir, "counter_1-0.db", image(keys...))
	s, _ := newSet(dir)
	text, _ := scrape(t, s)
	for left := 0; left < len(text)-1; left += 10_000 {
		p := s.Scrape(t.Context())
		if err := p.Write(exposition.NewWriter(&failing{left})); !errors.Is(err, errGone) {
			t.Errorf("client that takes %d bytes: %v", left, err)
		}
		p.Release()
	}
}

// TestSourceUpOddPaths: two directories stay two, though neither path is UTF-8.
func TestSourceUpOddPaths(t *testing.T) {
	in := t.TempDir()
	config := collect.Config{Dirs: []collect.Directory{{Path: in + "/\xfe"}, {Path: in + "/\xff"}}}
	for _, dir := range config.Dirs {
		must(t, os.Mkdir(dir.Path, 0o700))
	}
	text, _ := scrape(t, probe.New(probe.Known, config.Engine(), slog.New(&journal{})))
	for _, name := range []string{`\\xfe`, `\\xff`} {
		if line := "gme_source_up{dir=\"" + in + "/" + name + "\"} 1\n"; !strings.Contains(text, line) {
			t.Errorf("the page lacks %s", line)
		}
	}
}

// TestSourceUp: each directory says whether it can be read; as long as one can,
// the probes succeed.
func TestSourceUp(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	write(t, dir, "counter_1-0.db", healthy)
	j := &journal{}
	s := probe.New(probe.Known, collect.Config{Dirs: []collect.Directory{{Path: dir}, {Path: other}}}.Engine(), slog.New(j))
	check := func(first, second, ok float64, logged ...string) {
		t.Helper()
		text, families := scrape(t, s)
		for path, want := range map[string]float64{dir: first, other: second} {
			if line := fmt.Sprintf("\ngme_source_up{dir=%q} %v\n", path, want); !strings.Contains(text, line) {
				t.Errorf("the page lacks %q:\n%s", line, text)
			}
		}
		if got := success(t, families); got[probe.Mmap] != ok || got[probe.MmapStats] != ok {
			t.Errorf("success: %v", got)
		}
		sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff(logged, j.take(), sorted, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("log: -want +got\n%s", diff)
		}
	}
	const down, up = "WARN Metrics directory cannot be read;", "INFO Metrics directory can be read again;"
	check(1, 0, 1, down)
	check(1, 0, 1)
	must(t, os.Mkdir(other, 0o700))
	check(1, 1, 1, up)
	must(t, os.Rename(dir, dir+".away"))
	check(0, 1, 1, down)
	must(t, os.Remove(other))
	check(0, 0, 0, down)
	must(t, os.Rename(dir+".away", dir))
	check(1, 0, 1, up)
}

// TestUnreadableMetadata: they are counted by directory, and named once.
func TestUnreadableMetadata(t *testing.T) {
	dirs := []collect.Directory{{Path: t.TempDir()}, {Path: t.TempDir()}, {Path: t.TempDir()}}
	j := &journal{}
	s := probe.New(probe.Known, collect.Config{Dirs: dirs}.Engine(), slog.New(j))
	check := func(want int, logged ...string) {
		t.Helper()
		text, _ := scrape(t, s)
		if line := fmt.Sprintf("\ngme_mmap_unreadable_metadata %d\n", want); !strings.Contains(text, line) {
			t.Errorf("the page lacks %q:\n%s", line, text)
		}
		if diff := cmp.Diff(logged, j.take(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("log: -want +got\n%s", diff)
		}
	}
	const down, up = "WARN Metadata of metrics cannot be read;", "INFO Metadata of metrics can be read again;"
	write(t, dirs[0].Path, "metric_threads___1.bin", nil)
	write(t, dirs[2].Path, "metric_threads___1.bin", nil)
	check(0)
	write(t, dirs[0].Path, "metrics.metadata.json", []byte(`{`))
	must(t, os.Mkdir(filepath.Join(dirs[2].Path, "metrics.metadata.json"), 0o700))
	check(2, down, down)
	check(2)
	must(t, os.Remove(filepath.Join(dirs[0].Path, "metrics.metadata.json")))
	check(1, up)
}
