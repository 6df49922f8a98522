package collect_test

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
)

// one value of the series m, in a file of its own.
func single(value float64) []byte { return image(sample(value, "m")) }

// TestMerge merges files whose names say how.
func TestMerge(t *testing.T) {
	nan, inf, zero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	counters := func(values ...float64) map[string][]byte {
		files := map[string][]byte{}
		for i, value := range values {
			files[fmt.Sprintf("counter_%d-0.db", i)] = single(value)
		}
		return files
	}
	gauges := func(mode string, values ...float64) map[string][]byte {
		files := map[string][]byte{}
		for i, value := range values {
			files[fmt.Sprintf("gauge_%s_%d-0.db", mode, i)] = single(value)
		}
		return files
	}
	tests := []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"sum", counters(1, 2, 3.5), []string{"# m counter", "m 6.5"}},
		// Float addition is not associative: only the order makes the result.
		{"sum 1e16 1 -1e16", counters(1e16, 1, -1e16), []string{"# m counter", "m 0"}},
		{"sum 1e16 -1e16 1", counters(1e16, -1e16, 1), []string{"# m counter", "m 1"}},
		{"sum 1 1e16 -1e16", counters(1, 1e16, -1e16), []string{"# m counter", "m 0"}},
		{"sum of tenths", counters(.1, .1, .1, .1, .1, .1, .1, .1, .1, .1), []string{"# m counter", "m 0.9999999999999999"}},
		{"sum in byte order, not by number", map[string][]byte{
			"counter_1-0.db": single(1e16), "counter_10-0.db": single(1), "counter_2-0.db": single(-1e16),
		}, []string{"# m counter", "m 0"}},
		{"sum of minus zeros", counters(zero, zero), []string{"# m counter", "m -0"}},
		{"sum of zeros", counters(zero, 0), []string{"# m counter", "m 0"}},
		{"one minus zero", counters(zero), []string{"# m counter", "m -0"}},
		{"sum with NaN", counters(1, nan, 2), []string{"# m counter", "m NaN"}},
		{"sum of infinities", counters(inf, 1), []string{"# m counter", "m +Inf"}},
		{"sum of opposite infinities", counters(inf, math.Inf(-1)), []string{"# m counter", "m NaN"}},
		{"sum overflows", counters(math.MaxFloat64, math.MaxFloat64), []string{"# m counter", "m +Inf"}},
		{"smallest number", counters(math.SmallestNonzeroFloat64), []string{"# m counter", "m 5e-324"}},
		{"twice in one file", map[string][]byte{one: image(sample(1, "m"), sample(2, "m"))}, []string{"# m counter", "m 3"}},

		{"histogram", map[string][]byte{
			"histogram_1-0.db": image(entry{key("h", "h_sum"), 1.5}, entry{key("h", "h_count"), 2}, entry{key("h", "h_bucket", "le", "+Inf"), 2},
				entry{key("h", "h_bucket", "le", "10"), 2}, entry{key("h", "h_bucket", "le", "2.5"), 1}),
			"histogram_2-0.db": image(entry{key("h", "h_bucket", "le", "2.5"), 3}),
		}, []string{"# h histogram", `h_bucket{le="2.5"} 4`, `h_bucket{le="10"} 2`, `h_bucket{le="+Inf"} 2`, "h_sum 1.5", "h_count 2"}},
		{"summary", map[string][]byte{
			"summary_1-0.db": image(entry{key("s", "s_sum"), 1.5}, entry{key("s", "s_count"), 2}),
			"summary_2-0.db": image(entry{key("s", "s_sum"), 1}, entry{key("s", "s_count"), 1}),
		}, []string{"# s summary", "s_sum 2.5", "s_count 3"}},
		{"unknown type", map[string][]byte{"foo_1-0.db": single(1), "foo_2-0.db": single(2)}, []string{"# m untyped", "m 3"}},

		{"livesum", gauges("livesum", 1e16, 1, -1e16), []string{"# m gauge", "m 0"}},
		{"min", gauges("min", 2, -1, 3), []string{"# m gauge", "m -1"}},
		{"max", gauges("max", 2, -1, 3), []string{"# m gauge", "m 3"}},
		{"max of negatives", gauges("max", -2, -1, -3), []string{"# m gauge", "m -1"}},
		{"min of infinities", gauges("min", inf, math.Inf(-1)), []string{"# m gauge", "m -Inf"}},
		{"min, NaN first", gauges("min", nan, 1, 2), []string{"# m gauge", "m 1"}},
		{"min, NaN last", gauges("min", 1, 2, nan), []string{"# m gauge", "m 1"}},
		{"max, NaN first", gauges("max", nan, 1, 2), []string{"# m gauge", "m 2"}},
		{"max, NaN between", gauges("max", 1, nan, 2), []string{"# m gauge", "m 2"}},
		{"min, nothing but NaN", gauges("min", nan, nan), []string{"# m gauge", "m NaN"}},
		{"max, nothing but NaN", gauges("max", nan), []string{"# m gauge", "m NaN"}},

		{"all", gauges("all", 1, 2), []string{"# m gauge", `m{pid="0"} 1`, `m{pid="1"} 2`}},
		{"liveall", gauges("liveall", 1, 2), []string{"# m gauge", `m{pid="0"} 1`, `m{pid="1"} 2`}},
		{"unknown mode", gauges("mostrecent", 1, 2), []string{"# m gauge", `m{pid="0"} 1`, `m{pid="1"} 2`}},
		{"mode in capitals", gauges("MAX", 1, 2), []string{"# m gauge", `m{pid="0"} 1`, `m{pid="1"} 2`}},
		{"all, several files of a process", map[string][]byte{
			"gauge_all_7-0.db": single(1), "gauge_all_7-1.db": single(2), "gauge_all_7-10.db": single(3), "gauge_all_7-2.db": single(4),
		}, []string{"# m gauge", `m{pid="7"} 4`}},
		{"all and liveall of a process", map[string][]byte{
			"gauge_all_7-0.db": single(10), "gauge_liveall_7-0.db": single(20),
		}, []string{"# m gauge", `m{pid="7"} 20`}},
		{"all, the last is NaN", map[string][]byte{
			"gauge_all_7-0.db": single(1), "gauge_all_7-1.db": single(nan),
		}, []string{"# m gauge", `m{pid="7"} NaN`}},
		{"all, twice in one file", map[string][]byte{"gauge_all_7-0.db": image(sample(1, "m"), sample(2, "m"))}, []string{"# m gauge", `m{pid="7"} 2`}},
		{"all without process", map[string][]byte{"gauge_all.db": single(1)}, []string{"# m gauge", `m{pid=""} 1`}},
		{"pid is the last label", map[string][]byte{
			"gauge_all_puma_0-0.db": image(sample(1, "m", "a", "x", "z", "y")),
		}, []string{"# m gauge", `m{a="x",z="y",pid="puma_0"} 1`}},
		{"pid that needs escapes", map[string][]byte{
			"gauge_all_a\"b-0.db": single(1), "gauge_all_c\\d-0.db": single(2), "gauge_all_e\nf-0.db": single(3), "gauge_all_ü 漢-0.db": single(4),
		}, []string{"# m gauge", `m{pid="a\"b"} 1`, `m{pid="c\\d"} 2`, `m{pid="e\nf"} 3`, `m{pid="ü 漢"} 4`}},
		{"a label pid of their own", map[string][]byte{
			"gauge_all_1-0.db": image(sample(1, "m", "pid", "mine")),
			one:                image(sample(2, "c", "pid", "mine")),
		}, []string{"# c counter", `c{pid="mine"} 2`, "# m gauge", `m{exported_pid="mine",pid="1"} 1`}},
		{"with and without process", map[string][]byte{
			"counter_1-0.db": single(10), "gauge_all_1-0.db": single(3),
		}, []string{"# m untyped", "m 10", `m{pid="1"} 3`}},

		// Two keys that read the same are one series.
		{"nil and empty", map[string][]byte{one: image(sample(1, "m", "l", nil), sample(2, "m", "l", ""))}, []string{"# m counter", `m{l=""} 3`}},
		{"number and string", map[string][]byte{
			one: image(sample(1, "m", "l", 1)), two: image(sample(2, "m", "l", "1")),
		}, []string{"# m counter", `m{l="1"} 3`}},
		{"all, nil and empty", map[string][]byte{
			"gauge_all_1-0.db": image(sample(5, "m", "l", nil), sample(2, "m", "l", "")),
		}, []string{"# m gauge", `m{l="",pid="1"} 2`}},
		{"spaces in the key", map[string][]byte{
			one: image(sample(1, "m", "l", "a"), entry{`[ "m" , "m",["l"] , [ "a"] ]`, 2}),
		}, []string{"# m counter", `m{l="a"} 3`}},

		{"names that are not ours", map[string][]byte{
			one: single(1), ".counter_2-0.db": single(2), "counter_3-0.DB": single(4), "counter_4-0.db~": single(8), "counter_5-0": single(16), "notes.txt": single(32),
		}, []string{"# m counter", "m 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := collect.New(inDir(t, tt.files))
			for range 3 {
				wantPage(t, lookBoth(t, e), page(tt.want...))
			}
		})
	}
}

// TestMergeIsReproducible: with any number of files read at once, and however
// they overtake each other, each scrape has the same bits.
func TestMergeIsReproducible(t *testing.T) {
	files := map[string][]byte{}
	for i := range 24 {
		var entries []entry
		for j := range 20 {
			v := 0.1*float64(i) + 1e15*float64(i%3-1)*float64(j%2) + 1/float64(j+1)
			entries = append(entries, sample(v, "c", "l", fmt.Sprint(j)))
		}
		// Files of very different sizes overtake each other.
		for j := range i % 4 * 40 {
			entries = append(entries, sample(float64(j), "filler", "l", fmt.Sprintf("%d of %d", j, i)))
		}
		entries = append(entries, sample(float64(i), "mixed"))
		files[fmt.Sprintf("counter_%d-0.db", i)] = image(entries...)
		files[fmt.Sprintf("gauge_all_1-%d.db", i)] = single(float64(i))
		files[fmt.Sprintf("gauge_max_%d-0.db", i)] = image(sample(float64(i)/3, "mixed"))
		files[fmt.Sprintf("gauge_min_%d-0.db", i)] = image(sample(float64(i)/3, "least"), sample(math.NaN(), "none"))
	}
	dir := inDir(t, files)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := look(t, collect.New(dir))
	for _, line := range []string{"least 0\n", "none NaN\n", `m{pid="1"} 9` + "\n", "# TYPE mixed untyped\nmixed 368\n"} {
		if !strings.Contains(want.Page, line) {
			t.Fatalf("the page has no %q", line)
		}
	}
	for _, n := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(n)
		warm := collect.New(dir)
		for i := range 50 {
			e := warm
			if i%5 == 0 {
				e = collect.New(dir) // what is learnt in parallel, too
			}
			if got := look(t, e); got.Page != want.Page {
				t.Fatalf("GOMAXPROCS %d, repetition %d: another page", n, i)
			}
		}
	}
}

// TestEngineDir: an engine may be asked what it reads.
func TestEngineDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	if got := collect.New(dir).Dirs; len(got) != 1 || got[0].Path != dir {
		t.Errorf("got %q, want %q", got, dir)
	}
}

// Each value has its own timestamp, also where files disagree about something else.
func TestMostRecentAmongMixed(t *testing.T) {
	g := func(value, a, b float64) []byte {
		return pythonImage(stamped, stampedEntry{pythonKey("g", "g", `{"l": "a"}`, "Help."), value, a}, stampedEntry{pythonKey("g", "g", `{"l": "b"}`, "Help."), value, b})
	}
	e := collect.New(inDir(t, map[string][]byte{
		one: image(sample(1, "m")), "gauge_livesum_1-0.db": image(sample(2, "m")),
		"gauge_mostrecent_1.db": g(1, 5, 20), "gauge_mostrecent_2.db": g(2, 10, 10),
	}))
	if got, want := lookBoth(t, e).Page, "g{l=\"a\"} 2\ng{l=\"b\"} 1\n"; !strings.Contains(got, want) {
		t.Errorf("%s is not in\n%s", want, got)
	}
}

// Values behind the first window, and the first block, have their own timestamps, too.
func TestMostRecentInLargeFile(t *testing.T) {
	content := func(odd int) []byte {
		var entries []stampedEntry
		for i := range 2000 {
			entries = append(entries, stampedEntry{pythonKey("g", "g", fmt.Sprintf(`{"l": "%0100d"}`, i), "Help."), float64(odd), 1 + float64((i*7%11+odd)%2)})
		}
		return pythonImage(stamped, entries...)
	}
	dir := inDir(t, map[string][]byte{"gauge_mostrecent_1.db": content(1), "gauge_mostrecent_2.db": content(2)})
	e := collect.New(dir)
	lookBoth(t, e)
	lookBoth(t, e)
}
