package collect_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/frame"
)

// Layouts of Python's files, before 0.18 and since.
var (
	plain   = frame.Layout{Bare: true}
	stamped = frame.Layout{Bare: true, Stamped: true}
)

// A stampedEntry is one of a file that may have timestamps.
type stampedEntry struct {
	key          string
	value, stamp float64
}

// pythonKey is the key of a series as Python has it; labels is an object.
func pythonKey(family, sample, labels, help string) string {
	return fmt.Sprintf(`[%q, %q, %s, %q]`, family, sample, labels, help)
}

func pythonImage(l frame.Layout, entries ...stampedEntry) []byte {
	b := frame.AppendHeader(nil, 0)
	for _, e := range entries {
		b = l.AppendEntry(b, []byte(e.key), e.value, e.stamp)
	}
	frame.AppendHeader(b[:0], int64(len(b)))
	return b
}

// histogram returns entries of one with a label l, whose buckets have these own
// counts.
func histogram(l string, sum float64, counts map[string]float64) (entries []stampedEntry) {
	entries = append(entries, stampedEntry{pythonKey("h", "h_sum", `{"l": "`+l+`"}`, "Help."), sum, 0})
	for _, le := range []string{"+Inf", "10.0", "0.5", "1.0"} { // not as the library has them
		if count, ok := counts[le]; ok {
			entries = append(entries, stampedEntry{pythonKey("h", "h_bucket", `{"l": "`+l+`", "le": "`+le+`"}`, "Help."), count, 0})
		}
	}
	return entries
}

func helped(lines ...string) string {
	return strings.ReplaceAll(page(lines...), "Multiprocess metric", "Help.")
}

// Whatever processes know of a histogram, its buckets are added up over all of
// them, and its count is what is in the last.
func TestOwnCounts(t *testing.T) {
	for _, l := range []frame.Layout{plain, stamped} {
		e := collect.New(inDir(t, map[string][]byte{
			"histogram_1.db": pythonImage(l, histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})...),
			"histogram_2.db": pythonImage(l, append(histogram("a", 2.5, map[string]float64{"0.5": 20, "+Inf": 30}),
				histogram("b", 1, map[string]float64{"0.5": 1, "10.0": 0})...)...),
		}))
		want := helped("# h histogram",
			`h_bucket{l="a",le="0.5"} 20`, `h_bucket{l="a",le="1.0"} 22`, `h_bucket{l="a",le="+Inf"} 55`, `h_sum{l="a"} 3.5`, `h_count{l="a"} 55`,
			`h_bucket{l="b",le="0.5"} 1`, `h_bucket{l="b",le="10.0"} 1`, `h_bucket{l="b",le="+Inf"} 1`, `h_sum{l="b"} 1`, `h_count{l="b"} 1`)
		wantPage(t, lookBoth(t, e), want)
		wantPage(t, lookBoth(t, e), want)
	}
}

// A bucket without a number is part of no total, but those after it are.
func TestOwnCountsOddBucket(t *testing.T) {
	dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain,
		stampedEntry{pythonKey("h", "h_bucket", `{"l": "a", "le": "odd"}`, "Help."), 7, 0},
		stampedEntry{pythonKey("h", "h_bucket", `{"l": "a", "le": "1.0"}`, "Help."), 2, 0},
		stampedEntry{pythonKey("h", "h_bucket", `{"l": "a", "le": "5.0"}`, "Help."), 1, 0})})
	e := collect.New(dir)
	lookBoth(t, e)
	replace(t, filepath.Join(dir, "histogram_1.db"), pythonImage(plain, histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})...))
	wantPage(t, lookBoth(t, e), helped("# h histogram",
		`h_bucket{l="a",le="1.0"} 2`, `h_bucket{l="a",le="+Inf"} 5`, `h_sum{l="a"} 1`, `h_count{l="a"} 5`))
}

// A total count that is named, which no library does, is still that of whole histograms;
// whoever is met first.
func TestOwnCountsNamedTotal(t *testing.T) {
	total := stampedEntry{pythonKey("h", "h_count", "{}", "Help."), 9, 0}
	bucket := stampedEntry{pythonKey("h", "h_bucket", `{"le": "1.0"}`, "Help."), 2, 0}
	want := helped("# h histogram", `h_bucket{le="1.0"} 2`, `h_bucket{le="+Inf"} 2`, "h_count 2")
	for _, entries := range [][]stampedEntry{{total, bucket}, {bucket, total}} {
		dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain, entries[0])})
		e := collect.New(dir)
		lookBoth(t, e)
		rewrite(t, filepath.Join(dir, "histogram_1.db"), pythonImage(plain, entries...))
		wantPage(t, lookBoth(t, e), want)
	}
}

// A total count that only is named has its own value, and no buckets, whatever implied
// it before.
func TestOwnCountsNoLongerImplied(t *testing.T) {
	total := stampedEntry{pythonKey("h", "h_count", `{"l": "a"}`, "Help."), 9, 0}
	buckets := histogram("a", 1, map[string]float64{"1.0": 2})
	named := pythonImage(stamped, total)
	for _, before := range [][]stampedEntry{buckets, append(slices.Clone(buckets), total), {total}} {
		dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(stamped, before...)})
		e := collect.New(dir)
		lookBoth(t, e)
		replace(t, filepath.Join(dir, "histogram_1.db"), named)
		wantPage(t, lookBoth(t, e), helped("# h histogram", `h_count{l="a"} 9`))
		rewrite(t, filepath.Join(dir, "histogram_2.db"), pythonImage(stamped, buckets...))
		wantPage(t, lookBoth(t, e), helped("# h histogram",
			`h_bucket{l="a",le="1.0"} 2`, `h_bucket{l="a",le="+Inf"} 2`, `h_sum{l="a"} 1`, `h_count{l="a"} 2`))
		must(t, os.Remove(filepath.Join(dir, "histogram_2.db")))
		wantPage(t, lookBoth(t, e), helped("# h histogram", `h_count{l="a"} 9`))
	}
}

// A histogram's first bucket says nothing of series without one.
func TestOwnCountsAndNoBound(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"histogram_1.db": pythonImage(plain, stampedEntry{pythonKey("h", "h_bucket", `{"le": "1.0"}`, "Help."), 2, 0}),
	})
	e := collect.New(dir)
	look(t, e)
	rewrite(t, filepath.Join(dir, "gauge_max_1-0.db"), image(sample(1, "m"), sample(2, "m", "le", "-1"), sample(3, "m", "le", "1")))
	got := lookBoth(t, e).Page
	if want := "m{le=\"-1\"} 2\nm{le=\"1\"} 3\nm 1\n"; !strings.Contains(got, want) {
		t.Errorf("%s is not in\n%s", want, got)
	}
}

// A process that goes takes its buckets with it, and the count with the last.
func TestOwnCountsGo(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"histogram_1.db": pythonImage(stamped, histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})...),
		"histogram_2.db": pythonImage(stamped, histogram("b", 2, map[string]float64{"0.5": 20, "+Inf": 30})...),
	})
	e := collect.New(dir)
	lookBoth(t, e)
	must(t, os.Remove(filepath.Join(dir, "histogram_2.db")))
	wantPage(t, lookBoth(t, e), helped("# h histogram",
		`h_bucket{l="a",le="1.0"} 2`, `h_bucket{l="a",le="+Inf"} 5`, `h_sum{l="a"} 1`, `h_count{l="a"} 5`))
	must(t, os.Remove(filepath.Join(dir, "histogram_1.db")))
	if got := lookBoth(t, e); got.Page != "" || got.Series != 0 {
		t.Errorf("%+v", got)
	}
}

// Files of the two kinds of buckets cannot be added up: those that need adding up are
// absent, and counted, until the others are gone. Who is met first does not matter.
func TestOwnCountsAmongOthers(t *testing.T) {
	const ruby, python = "histogram_1-0.db", "histogram_2.db"
	cumulative := image(entry{key("h", "h_bucket", "l", "a", "le", "1.0"), 100}, entry{key("h", "h_bucket", "l", "a", "le", "+Inf"), 100},
		entry{key("h", "h_count", "l", "a"), 100}, entry{key("h", "h_sum", "l", "a"), 100})
	own := pythonImage(stamped, append(histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3}), histogram("b", 1, map[string]float64{"+Inf": 1})...)...)
	ofRuby := []string{"# h histogram", `h_bucket{l="a",le="1.0"} 100`, `h_bucket{l="a",le="+Inf"} 100`, `h_sum{l="a"} 100`, `h_count{l="a"} 100`}
	ofPython := []string{"# h histogram", `h_bucket{l="a",le="1.0"} 2`, `h_bucket{l="a",le="+Inf"} 5`, `h_sum{l="a"} 1`, `h_count{l="a"} 5`,
		`h_bucket{l="b",le="+Inf"} 1`, `h_sum{l="b"} 1`, `h_count{l="b"} 1`}
	write := map[string][]byte{ruby: cumulative, python: own}
	for _, first := range []string{ruby, python} {
		t.Run(first, func(t *testing.T) {
			dir := inDir(t, map[string][]byte{first: write[first]})
			e := collect.New(dir)
			lookBoth(t, e)
			for name, content := range write {
				rewrite(t, filepath.Join(dir, name), content)
			}
			got := lookBoth(t, e)
			wantPage(t, got, helped(ofRuby...))
			if !slices.Equal(got.Conflicts, []string{"h"}) || got.Series != 4 {
				t.Errorf("conflicts %q, %d series", got.Conflicts, got.Series)
			}
			must(t, os.Remove(filepath.Join(dir, ruby)))
			wantPage(t, lookBoth(t, e), helped(ofPython...))
			rewrite(t, filepath.Join(dir, ruby), cumulative)
			must(t, os.Remove(filepath.Join(dir, python)))
			wantPage(t, lookBoth(t, e), page(ofRuby...))
		})
	}
}

// A counter that has the name of a histogram's count takes that away, and no more.
func TestOwnCountOfAnother(t *testing.T) {
	e := collect.New(inDir(t, map[string][]byte{
		"histogram_2.db": pythonImage(stamped, histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})...),
		"counter_2.db":   pythonImage(stamped, stampedEntry{key: pythonKey("h_count", "h_count", `{"l": "a"}`, "Help."), value: 7}),
	}))
	got := lookBoth(t, e)
	want := page("# h_bucket untyped", `h_bucket{l="a",le="1.0"} 2`, `h_bucket{l="a",le="+Inf"} 5`,
		"# h_count counter", `h_count{l="a"} 7`, "# h_sum untyped", `h_sum{l="a"} 1`)
	wantPage(t, got, strings.Replace(want, "h_count Multiprocess metric", "h_count Help.", 1))
	if !slices.Equal(got.Conflicts, []string{"h"}) {
		t.Errorf("conflicts %q", got.Conflicts)
	}
}

// The most recent value has the greatest timestamp above zero; without one there
// is no sample.
func TestMostRecent(t *testing.T) {
	g := func(value, stamp float64) []byte {
		return pythonImage(stamped, stampedEntry{pythonKey("g", "g", "{}", "Help."), value, stamp},
			stampedEntry{pythonKey("g", "g", `{"l": "never"}`, "Help."), 5, 0},
			stampedEntry{pythonKey("n", "n", `{}`, "Help."), 5, 0})
	}
	dir := inDir(t, map[string][]byte{
		"gauge_mostrecent_1.db": g(1, 10), "gauge_mostrecent_2.db": g(2, 20), "gauge_mostrecent_3.db": g(3, 20), "gauge_livemostrecent_4.db": g(4, 5),
	})
	e := collect.New(dir)
	wantPage(t, lookBoth(t, e), helped("# g gauge", "g 2"))
	replace(t, dir+"/gauge_livemostrecent_4.db", g(4, 1e9))
	got := lookBoth(t, e)
	wantPage(t, got, helped("# g gauge", "g 4"))
	if got.Series != 1 {
		t.Errorf("%d series, want 1", got.Series)
	}
	// Before 0.18 there were no timestamps, and no such mode. If there is such a file
	// after all, nobody can tell which value is the most recent.
	rewrite(t, dir+"/gauge_mostrecent_5.db", pythonImage(plain, stampedEntry{key: pythonKey("o", "o", "{}", "Help."), value: 5}))
	wantPage(t, lookBoth(t, e), helped("# g gauge", "g 4", "# o gauge", `o{pid="5"} 5`))
}

// Of several help texts of a family the first in byte order is shown, whoever
// says it; whoever says none does not count.
func TestHelp(t *testing.T) {
	c := func(help string) []byte {
		return pythonImage(stamped, stampedEntry{key: pythonKey("c", "c_total", "{}", help), value: 1})
	}
	old := pythonImage(plain, stampedEntry{key: `["c", "c_total", {}]`, value: 1})
	dir := inDir(t, map[string][]byte{"counter_1.db": c("b \\ \n\""), "counter_2.db": c("c"), "counter_3.db": old})
	e := collect.New(dir)
	wantPage(t, lookBoth(t, e), "# HELP c_total b \\\\ \\n\"\n# TYPE c_total counter\nc_total 3\n")
	must(t, os.Remove(filepath.Join(dir, "counter_1.db")))
	must(t, os.Remove(filepath.Join(dir, "counter_2.db")))
	wantPage(t, lookBoth(t, e), page("# c_total counter", "c_total 1"))
	rewrite(t, dir+"/counter_4.db", c(""))
	wantPage(t, lookBoth(t, e), "# HELP c_total \n# TYPE c_total counter\nc_total 2\n")
}

// A directory may have files of both libraries, and of all ages.
func TestMixedFormats(t *testing.T) {
	e := collect.New(inDir(t, map[string][]byte{
		"counter_1-0.db": image(sample(1, "c_total")),
		"counter_2.db":   pythonImage(plain, stampedEntry{key: `["c_total", "c_total", [], []]`, value: 10}),
		"counter_3.db":   pythonImage(plain, stampedEntry{key: `["c", "c_total", {}]`, value: 100}),
		"counter_4.db":   pythonImage(stamped, stampedEntry{key: pythonKey("c", "c_total", "{}", "Help."), value: 1000}),
		"gauge_sum_1.db": pythonImage(stamped, stampedEntry{key: pythonKey("g", "g", "{}", "Help."), value: 1}),
		// The mode sum is Python's alone: the gem takes it for all.
		"gauge_sum_2-0.db": image(sample(2, "g")),
		"gauge_all_a_b.db": pythonImage(stamped, stampedEntry{key: pythonKey("p", "p", `{"pid": "x"}`, "Help."), value: 1}),
	}))
	wantPage(t, lookBoth(t, e), helped("# c_total counter", "c_total 1111", "# g gauge", "g 1", `g{pid="2"} 2`, "# p gauge", `p{exported_pid="x",pid="a_b"} 1`))
}

// A histogram gives way to a rival only as long as its own part of it is there.
func TestOwnCountsWithoutRival(t *testing.T) {
	own := func(l string) []byte {
		return pythonImage(plain, stampedEntry{key: `["h", "h_bucket", {"l": "` + l + `", "le": "1.0"}]`, value: 2})
	}
	dir := inDir(t, map[string][]byte{
		"histogram_1-0.db": image(entry{key("h", "h_bucket", "l", "a", "le", "1.0"), 100}),
		"histogram_2.db":   own("a"), "histogram_3.db": own("b"),
	})
	e := collect.New(dir)
	ruby := []string{"# h histogram", `h_bucket{l="a",le="1.0"} 100`}
	wantPage(t, lookBoth(t, e), page(ruby...))
	must(t, os.Remove(filepath.Join(dir, "histogram_2.db")))
	wantPage(t, lookBoth(t, e), page(append(ruby, `h_bucket{l="b",le="1.0"} 2`, `h_bucket{l="b",le="+Inf"} 2`, `h_count{l="b"} 2`)...))
}

// A bucket that declares another family implies nothing there.
func TestOwnCountsOfAnotherFamily(t *testing.T) {
	dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain,
		stampedEntry{key: `["x", "h_bucket", {"le": "1.0"}]`, value: 2}, stampedEntry{key: `["x", "h_bucket", {"le": "5.0"}]`, value: 3})})
	wantPage(t, look(t, collect.New(dir)), page("# h_bucket untyped", `h_bucket{le="1.0"} 2`, `h_bucket{le="5.0"} 3`))
}

// A bucket without a number is no part of the total, wherever it comes.
func TestOwnCountsOddBucketAnywhere(t *testing.T) {
	odd := stampedEntry{key: `["h", "h_bucket", {"le": "odd"}]`, value: 7}
	low, high := stampedEntry{key: `["h", "h_bucket", {"le": "1.0"}]`, value: 2}, stampedEntry{key: `["h", "h_bucket", {"le": "5.0"}]`, value: 1}
	want := page("# h_bucket untyped", `h_bucket{le="1.0"} 2`, `h_bucket{le="5.0"} 3`, `h_bucket{le="+Inf"} 3`, `h_bucket{le="odd"} 7`, "# h_count untyped", "h_count 3")
	for _, entries := range [][]stampedEntry{{odd, low, high}, {low, odd, high}, {low, high, odd}} {
		wantPage(t, look(t, collect.New(inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain, entries...)}))), want)
	}
}

// A sum with a bound, or a bucket without one, implies nothing.
func TestOwnCountsSumWithBound(t *testing.T) {
	dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain, stampedEntry{key: `["h", "h_sum", {"le": "1.0"}]`, value: 2},
		stampedEntry{key: `["i", "i_bucket", {}]`, value: 3})})
	wantPage(t, look(t, collect.New(dir)), page("# h_sum untyped", `h_sum{le="1.0"} 2`, "# i_bucket untyped", "i_bucket 3"))
}

// What labels say does not depend on who had them first.
func TestOwnCountsWithQuantile(t *testing.T) {
	dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(plain, stampedEntry{key: `["h", "h_bucket", {"quantile": "0.5", "le": "1.0"}]`, value: 2})})
	e := collect.New(dir)
	want := []string{"# h histogram", `h_bucket{quantile="0.5",le="1.0"} 2`, `h_bucket{quantile="0.5",le="+Inf"} 2`, `h_count{quantile="0.5"} 2`}
	wantPage(t, look(t, e), page(want...))
	rewrite(t, filepath.Join(dir, "summary_1-0.db"), image(entry{key("s", "s", "quantile", "0.5"), 1}))
	wantPage(t, look(t, e), page(append(want, "# s summary", `s{quantile="0.5"} 1`)...))
	rewrite(t, filepath.Join(dir, "summary_1-0.db"), image(entry{key("s", "s", "quantile", "0.5", "le", "+Inf"), 2}))
	wantPage(t, look(t, e), page(append(want, "# s summary", `s{quantile="0.5",le="+Inf"} 2`)...))
}

// Each of several processes implies what it does.
func TestOwnCountsOfTwo(t *testing.T) {
	content := pythonImage(stamped, histogram("a", 1, map[string]float64{"1.0": 2})...)
	dir := inDir(t, map[string][]byte{"histogram_1.db": content, "histogram_2.db": content})
	e := collect.New(dir)
	want := func(n int) string {
		return helped("# h histogram", fmt.Sprintf(`h_bucket{l="a",le="1.0"} %d`, 2*n), fmt.Sprintf(`h_bucket{l="a",le="+Inf"} %d`, 2*n),
			fmt.Sprintf(`h_sum{l="a"} %d`, n), fmt.Sprintf(`h_count{l="a"} %d`, 2*n))
	}
	wantPage(t, lookBoth(t, e), want(2))
	must(t, os.Remove(filepath.Join(dir, "histogram_2.db")))
	wantPage(t, lookBoth(t, e), want(1))
}

// What has to give way has no say in what the family is.
func TestOwnCountsHidden(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"histogram_1-0.db": image(entry{key("h", "h_bucket", "l", "a", "le", "1.0"), 100}),
		"histogram_2.db": pythonImage(plain, stampedEntry{key: `["h", "h_bucket", {"l": "a", "le": "1.0"}]`, value: 2},
			stampedEntry{key: `["h", "h_bucket", {"l": "b", "le": "odd"}]`, value: 3}),
	})
	wantPage(t, look(t, collect.New(dir)), page("# h histogram", `h_bucket{l="a",le="1.0"} 100`))
}

// A help text goes with the samples that have it.
func TestHelpGoes(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"summary_1.db": pythonImage(stamped, stampedEntry{key: pythonKey("c", "c_sum", "{}", "A"), value: 1}),
		"summary_2.db": pythonImage(stamped, stampedEntry{key: pythonKey("c", "c_count", "{}", "B"), value: 2}),
	})
	e := collect.New(dir)
	wantHelp(t, lookBoth(t, e), "A")
	must(t, os.Remove(filepath.Join(dir, "summary_1.db")))
	wantHelp(t, lookBoth(t, e), "B")
}

// What layout a file has may be said only behind a long key.
func TestLongFirstKey(t *testing.T) {
	for _, n := range []int{5000, 200_000} {
		long := strings.Repeat("x", n)
		dir := inDir(t, map[string][]byte{"counter_1.db": pythonImage(plain,
			stampedEntry{key: pythonKey("c", "c_total", `{"l": "`+long+`"}`, "Help."), value: 1}, stampedEntry{key: pythonKey("c", "c_total", "{}", "Help."), value: 2})})
		wantPage(t, lookBoth(t, collect.New(dir)), helped("# c_total counter", "c_total 2", `c_total{l="`+long+`"} 1`))
	}
}
