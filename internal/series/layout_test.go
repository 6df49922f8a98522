package series_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/series"
)

func TestLayout(t *testing.T) {
	const counter, histogram, summary = "counter_1-0.db", "histogram_1-0.db", "summary_1-0.db"
	bucket := func(le string, labels ...string) entry {
		return entry{histogram, key("h", "h_bucket", append(labels, "le", le)...)}
	}
	tests := []struct {
		name      string
		entries   []entry
		want      []string
		conflicts int
	}{
		{name: "nothing"},
		{
			name: "families by name",
			entries: []entry{
				{counter, key("m_x", "m_x")}, {counter, key("mx", "mx")}, {"gauge_max_1-0.db", key("m", "m")},
				{counter, key("M", "M")}, {counter, key("m:x", "m:x")}, {counter, key("m1", "m1")}, {"foo_1-0.db", key("a", "a")},
			},
			want: []string{
				"# M counter", "M", "# a untyped", "a", "# m gauge", "m", "# m1 counter", "m1",
				"# m:x counter", "m:x", "# m_x counter", "m_x", "# mx counter", "mx",
			},
		},
		{
			name: "label sets by text, the empty one first",
			entries: []entry{
				{counter, key("m", "m", "b", "1")}, {counter, key("m", "m", "a", "2")}, {counter, key("m", "m", "a", "10")},
				{counter, key("m", "m")}, {counter, key("m", "m", "a", "1", "b", "1")}, {counter, key("m", "m", "a", "1")},
			},
			want: []string{"# m counter", `m`, `m{a="1"}`, `m{a="1",b="1"}`, `m{a="10"}`, `m{a="2"}`, `m{b="1"}`},
		},
		{
			name: "buckets ascending, then sum, then count",
			entries: []entry{
				{histogram, key("h", "h_count")}, {histogram, key("h", "h_sum")},
				bucket("+Inf"), bucket("10"), bucket("2.5"), bucket("1.0e-05"), bucket("-Inf"), bucket("0.005"), bucket("-1"), bucket("1e+16"), bucket("-0.5"),
			},
			want: []string{
				"# h histogram", `h_bucket{le="-Inf"}`, `h_bucket{le="-1"}`, `h_bucket{le="-0.5"}`, `h_bucket{le="1.0e-05"}`, `h_bucket{le="0.005"}`,
				`h_bucket{le="2.5"}`, `h_bucket{le="10"}`, `h_bucket{le="1e+16"}`, `h_bucket{le="+Inf"}`, "h_sum", "h_count",
			},
		},
		{
			name:    "bounds that are one number, by text",
			entries: []entry{bucket("1.0"), bucket("1"), bucket("01"), bucket("0.5")},
			want:    []string{"# h histogram", `h_bucket{le="0.5"}`, `h_bucket{le="01"}`, `h_bucket{le="1"}`, `h_bucket{le="1.0"}`},
		},
		{
			name: "label sets of a histogram together",
			entries: []entry{
				bucket("+Inf", "a", "2"), {histogram, key("h", "h_sum", "a", "1")}, bucket("+Inf", "a", "1"), {histogram, key("h", "h_count")},
				{histogram, key("h", "h_sum", "a", "2")}, {histogram, key("h", "h_count", "a", "1")}, bucket("1", "a", "1"), bucket("1", "z", "1"),
				bucket("1"),
			},
			want: []string{
				"# h histogram", `h_bucket{le="1"}`, `h_count`,
				`h_bucket{a="1",le="1"}`, `h_bucket{a="1",le="+Inf"}`, `h_sum{a="1"}`, `h_count{a="1"}`,
				`h_bucket{a="2",le="+Inf"}`, `h_sum{a="2"}`, `h_bucket{z="1",le="1"}`,
			},
		},
		{
			name: "a label after le in the alphabet",
			entries: []entry{
				{histogram, key("h", "h_bucket", "le", "10", "pid", "1", "z", "1")}, {histogram, key("h", "h_bucket", "le", "2", "pid", "2", "z", "1")},
				{histogram, key("h", "h_bucket", "le", "2", "pid", "1", "z", "1")},
			},
			want: []string{
				"# h histogram", `h_bucket{z="1",pid="1",le="2"}`, `h_bucket{z="1",pid="1",le="10"}`, `h_bucket{z="1",pid="2",le="2"}`,
			},
		},
		{
			name: "quantiles ascending, then sum, then count",
			entries: []entry{
				{summary, key("s", "s_count")}, {summary, key("s", "s_sum")}, {summary, key("s", "s", "quantile", "0.99")}, {summary, key("s", "s", "quantile", "0.5")},
			},
			want: []string{"# s summary", `s{quantile="0.5"}`, `s{quantile="0.99"}`, "s_sum", "s_count"},
		},
		{
			name:    "processes by text",
			entries: []entry{{"gauge_all_puma_1-0.db", key("g", "g")}, {"gauge_all_10-0.db", key("g", "g")}, {"gauge_liveall_9-0.db", key("g", "g")}, {"gauge_all_puma_0-0.db", key("g", "g")}},
			want:    []string{"# g gauge", `g{pid="10"}`, `g{pid="9"}`, `g{pid="puma_0"}`, `g{pid="puma_1"}`},
		},
		{
			name: "label sets before processes",
			entries: []entry{
				{"gauge_all_2-0.db", key("g", "g", "z", "1")}, {"gauge_all_1-0.db", key("g", "g", "z", "2")}, {"gauge_all_1-0.db", key("g", "g", "z", "1")},
				{"gauge_all_1-0.db", key("g", "g")},
			},
			want: []string{"# g gauge", `g{pid="1"}`, `g{z="1",pid="1"}`, `g{z="1",pid="2"}`, `g{z="2",pid="1"}`},
		},
		{
			name:    "family names escaped and out of our way",
			entries: []entry{{counter, key("a.b", "a.b")}, {counter, key("gme_x", "gme_x")}, {histogram, key("gme_h", "gme_h_sum")}},
			want:    []string{"# a_b counter", "a_b", "# exported_gme_h histogram", "exported_gme_h_sum", "# exported_gme_x counter", "exported_gme_x"},
		},
		{
			name:    "no family declared",
			entries: []entry{{counter, key("", "m")}, {histogram, key("", "h_sum")}},
			want:    []string{"# h_sum untyped", "h_sum", "# m counter", "m"},
			// A histogram called h_sum has no sample of that name.
			conflicts: 1,
		},
		{
			name:      "two types",
			entries:   []entry{{counter, key("m", "m", "a", "1")}, {"gauge_max_1-0.db", key("m", "m", "a", "2")}},
			want:      []string{"# m untyped", `m{a="1"}`, `m{a="2"}`},
			conflicts: 1,
		},
		{
			name:      "two types of one series",
			entries:   []entry{{counter, key("m", "m")}, {"gauge_max_1-0.db", key("m", "m")}},
			want:      []string{"# m untyped", "m"},
			conflicts: 1,
		},
		{
			name:    "two families of one series: the first by name",
			entries: []entry{{counter, key("z", "m")}, {counter, key("b", "m")}, {counter, key("n", "m")}},
			want:    []string{"# m untyped", "m"},
			// b declares a sample that it cannot have.
			conflicts: 1,
		},
		{
			name:      "a bucket without a bound",
			entries:   []entry{bucket("1"), {histogram, key("h", "h_bucket")}, {histogram, key("h", "h_sum")}},
			want:      []string{"# h_bucket untyped", `h_bucket{le="1"}`, "h_bucket", "# h_sum untyped", "h_sum"},
			conflicts: 1,
		},
		{
			name:      "a bucket whose bound is no number",
			entries:   []entry{bucket("5/2"), bucket("1"), bucket("NaN"), bucket("1e999"), bucket("0x1p2"), bucket("1_0")},
			want:      []string{"# h_bucket untyped", `h_bucket{le="1"}`, `h_bucket{le="0x1p2"}`, `h_bucket{le="1_0"}`, `h_bucket{le="1e999"}`, `h_bucket{le="5/2"}`, `h_bucket{le="NaN"}`},
			conflicts: 1,
		},
		{
			name:    "a counter that is called like a histogram's sum",
			entries: []entry{bucket("1"), {histogram, key("h", "h_sum")}, {counter, key("h_sum", "h_sum", "a", "1")}},
			want:    []string{"# h_bucket untyped", `h_bucket{le="1"}`, "# h_sum counter", `h_sum`, `h_sum{a="1"}`},
			// Only the histogram is not shown as declared.
			conflicts: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := series.NewTable()
			intern(t, table, tt.entries...)
			layout := table.Layout()
			if diff := cmp.Diff(tt.want, page(layout)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(layout.Conflicts) != tt.conflicts {
				t.Errorf("conflicts %q, want %d", layout.Conflicts, tt.conflicts)
			}
		})
	}
}

// Which bounds a histogram and a summary can have: numbers, as the readers of
// the text format know them.
func TestLayoutBounds(t *testing.T) {
	tests := []struct {
		bound  string
		number bool
	}{
		{"1", true}, {"-1", true}, {"+1", true}, {"0.5", true}, {"1e3", true}, {"1.0E-05", true}, {".5", true}, {"5.", true}, {"01", true},
		{"+Inf", true}, {"-Inf", true}, {"Inf", true}, {"inf", true}, {"infinity", true}, {"1e308", true}, {"1e-999", true},
		{"", false}, {"NaN", false}, {"nan", false}, {"5/2", false}, {"x", false}, {" 1", false}, {"1 ", false}, {"1,5", false}, {"--1", false},
		{"1e999", false}, {"-1e999", false}, {"0x1p2", false}, {"0X1P2", false}, {"0x10", false}, {"1_0", false}, {"1p2", false}, {"\u0661", false},
	}
	for _, tt := range tests {
		table := series.NewTable()
		intern(t, table,
			entry{"histogram_1-0.db", key("h", "h_bucket", "le", tt.bound)},
			entry{"summary_1-0.db", key("s", "s", "quantile", tt.bound)},
		)
		want := "h histogram, s summary"
		if !tt.number {
			want = "h_bucket untyped, s untyped"
		}
		var got []string
		for _, f := range table.Layout().Families {
			got = append(got, f.Name+" "+f.Type.String())
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%q: got %s, want %s", tt.bound, got, want)
		}
	}
}

// A series that turns out to belong to another family moves there, past what
// stands between.
func TestLayoutMoves(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("h_sum", "h_sum")}, entry{"counter_1-0.db", key("h_a", "h_a")})
	want := []string{"# h_a counter", "h_a", "# h_sum untyped", "h_sum"}
	if diff := cmp.Diff(want, page(table.Layout())); diff != "" {
		t.Errorf("before: -want +got:\n%s", diff)
	}
	intern(t, table, entry{"histogram_1-0.db", key("h", "h_sum")})
	want = []string{"# h histogram", "h_sum", "# h_a counter", "h_a"}
	if diff := cmp.Diff(want, page(table.Layout())); diff != "" {
		t.Errorf("after: -want +got:\n%s", diff)
	}
}

// A table that has not changed hands out the layout that it has.
func TestLayoutIsKept(t *testing.T) {
	table := series.NewTable()
	entries := []entry{{"counter_1-0.db", key("m", "m")}, {"gauge_all_1-0.db", key("g", "g")}}
	intern(t, table, entries...)
	first := table.Layout()
	release(table, intern(t, table, entries...)...)
	if table.Layout() != first {
		t.Error("a new layout though no series came or went")
	}
}

// stems are family names that get in each other's way: one's sample is
// called like another family.
var stems = []string{"h", "h_sum", "h_bucket", "h_count", "h_count_sum", "a", "gme_h", "h.sum"}

// drawEntry draws an entry. If apart is true then no two entries of different
// files' kinds or families are ever the same series.
func drawEntry(t *rapid.T, apart bool) entry {
	file := rapid.SampledFrom([]string{
		"counter_1-0.db", "histogram_1-0.db", "summary_1-0.db", "foo_1-0.db",
		"gauge_min_1-0.db", "gauge_max_1-0.db", "gauge_livesum_1-0.db", "gauge_all_1-0.db", "gauge_all_2-0.db", "gauge_liveall_1-0.db",
	}).Draw(t, "file")
	stem := rapid.SampledFrom(stems).Draw(t, "family")
	sample := stem + rapid.SampledFrom([]string{"", "_sum", "_count", "_bucket", "_bucket", "_x"}).Draw(t, "suffix")
	var labels []string
	add := func(name string, values ...string) {
		if i := rapid.IntRange(0, len(values)).Draw(t, name); i > 0 {
			labels = append(labels, name, values[i-1])
		}
	}
	add("a", "1", "2")
	add("le", "1", "10", "2", "+Inf", "1.0", "x")
	add("quantile", "0.5", "x")
	add("pid", "1")
	if apart {
		labels = append(labels, "of", file+" "+stem)
	}
	return entry{file, key(stem, sample, labels...)}
}

// Whatever came and went before, and however often the layout was asked for
// on the way, it is that of a new table which knows only what is there, and
// learns it in another order.
func TestLayoutIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := series.NewTable()
		var there []entry
		var ids []series.ID
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if len(there) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				i := rapid.IntRange(0, len(there)-1).Draw(t, "which")
				release(table, ids[i:i+1]...)
				there, ids = slices.Delete(there, i, i+1), slices.Delete(ids, i, i+1)
			} else {
				e := drawEntry(t, true)
				there, ids = append(there, e), append(ids, intern(t, table, e)...)
			}
			if rapid.Bool().Draw(t, "look") {
				sameAsFresh(t, table, there)
			}
		}
		sameAsFresh(t, table, there)
	})
}

// The same where files disagree about series, as long as nothing goes: a
// table remembers what it once heard of a series.
func TestLayoutIncrementalMixed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := series.NewTable()
		var there []entry
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			there = append(there, drawEntry(t, false))
			intern(t, table, there[len(there)-1])
			if rapid.Bool().Draw(t, "look") {
				sameAsFresh(t, table, there)
			}
		}
		sameAsFresh(t, table, there)
	})
}

func sameAsFresh(t *rapid.T, table *series.Table, there []entry) {
	t.Helper()
	fresh := series.NewTable()
	intern(t, fresh, rapid.Permutation(there).Draw(t, "order")...)
	got, want := table.Layout(), fresh.Layout()
	if diff := cmp.Diff(page(want), page(got)); diff != "" {
		t.Fatalf("-fresh +grown:\n%s", diff)
	}
	if !slices.Equal(got.Conflicts, want.Conflicts) || got.Len() != want.Len() || got.Len() != table.Live() {
		t.Fatalf("grown: conflicts %q, %d of %d series; fresh: conflicts %q, %d series",
			got.Conflicts, got.Len(), table.Live(), want.Conflicts, want.Len())
	}
}

// What holds of every layout: each series once, families in order and not
// empty, buckets ascending.
func TestLayoutIsAPage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := series.NewTable()
		want := map[series.ID]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "entries") {
			want[intern(t, table, drawEntry(t, false))[0]] = true
		}
		got := map[series.ID]bool{}
		texts := map[string]bool{}
		before := ""
		layout := table.Layout()
		for _, f := range layout.Families {
			if f.Name <= before || len(f.Series) == 0 {
				t.Fatalf("family %q with %d series after %q", f.Name, len(f.Series), before)
			}
			before = f.Name
			for _, id := range f.Series {
				text := string(layout.AppendText(nil, id))
				if texts[text] || got[id] {
					t.Fatalf("%d is %s, which was there already", id, text)
				}
				texts[text], got[id] = true, true
			}
		}
		if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestSelectBothNames: a family is to be had by the name on the page, by that in the
// files, and by both.
func TestSelectBothNames(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("a.b", "a.b_sum")})
	for _, names := range [][]string{{"a.b"}, {"a_b"}, {"a.b", "a_b"}, {"a.b_sum"}, {"a_b_sum"}} {
		families, found := table.Layout().Select(names)
		if len(families) != 1 || !slices.Equal(found, names) {
			t.Errorf("%q: %d families, found %q", names, len(families), found)
		}
	}
}

// TestQuantilesAscend: also if a summary has a label le, which says nothing there.
func TestQuantilesAscend(t *testing.T) {
	table := series.NewTable()
	for _, le := range []string{"5", " "} {
		for _, quantile := range []string{"10", "2", "+1", "-0", "0", "-1"} {
			intern(t, table, entry{"summary_1-0.db", key("s", "s", "le", le, "quantile", quantile)})
		}
	}
	want := []string{"# s summary"}
	for _, quantile := range []string{"-1", "-0", "0", "+1", "2", "10"} {
		for _, le := range []string{" ", "5"} {
			want = append(want, fmt.Sprintf(`s{quantile="%s",le="%s"}`, quantile, le))
		}
	}
	if diff := cmp.Diff(want, page(table.Layout())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCounts: what counts is told by what follows the family's name.
func TestCounts(t *testing.T) {
	table := series.NewTable()
	intern(t, table,
		entry{"summary_1-0.db", key("word_count", "word_count", "quantile", "0.5")},
		entry{"summary_1-0.db", key("word_count", "word_count_sum")},
		entry{"summary_1-0.db", key("word_count", "word_count_count")},
		entry{"histogram_1-0.db", key("h", "h_bucket", "le", "1")})
	layout := table.Layout()
	got := map[string]bool{}
	for _, f := range layout.Families {
		for _, id := range f.Series {
			got[layout.Name(id)] = layout.Counts(f.Name, id)
		}
	}
	want := map[string]bool{"word_count": false, "word_count_sum": false, "word_count_count": true, "h_bucket": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBucketsAscend: also if a histogram has a label quantile, and stands as something else
// because files disagree.
func TestBucketsAscend(t *testing.T) {
	table := series.NewTable()
	for _, le := range []string{"+Inf", "2", "10"} {
		for _, quantile := range []string{"v", "0.5"} {
			intern(t, table, entry{"histogram_1-0.db", key("h", "h_bucket", "le", le, "quantile", quantile)})
		}
	}
	intern(t, table, entry{"gauge_max_1-0.db", key("h", "h", "a", "1")})
	want := []string{
		"# h untyped", `h{a="1"}`,
		"# h_bucket untyped",
		`h_bucket{quantile="0.5",le="2"}`, `h_bucket{quantile="v",le="2"}`,
		`h_bucket{quantile="0.5",le="10"}`, `h_bucket{quantile="v",le="10"}`,
		`h_bucket{quantile="0.5",le="+Inf"}`, `h_bucket{quantile="v",le="+Inf"}`,
	}
	if diff := cmp.Diff(want, page(table.Layout())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNoLongerSummary: what stops being a summary is no longer ordered as one.
func TestNoLongerSummary(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"summary_1-0.db", key("s", "s", "le", "2", "quantile", "0.5")},
		entry{"summary_1-0.db", key("s", "s", "le", "1", "quantile", "0.9")})
	early, late := `s{quantile="0.5",le="2"}`, `s{quantile="0.9",le="1"}`
	if diff := cmp.Diff([]string{"# s summary", early, late}, page(table.Layout())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	intern(t, table, entry{"gauge_max_1-0.db", key("s", "s", "a", "1")})
	if diff := cmp.Diff([]string{"# s untyped", late, early, `s{a="1"}`}, page(table.Layout())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A family that is asked for is there as a whole, also if a sample of it is, too.
func TestSelectFamilyAndSample(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("h", "h_sum")}, entry{"histogram_1-0.db", key("h", "h_count")})
	families, _ := table.Layout().Select([]string{"h", "h_sum"})
	if len(families) != 1 || len(families[0].Series) != 2 {
		t.Errorf("%+v", families)
	}
}

// A bucket without a bound makes no histogram, wherever it comes.
func TestBucketWithoutBound(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("h", "h_bucket")}, entry{"histogram_1-0.db", key("h", "h_bucket", "le", "1")})
	if diff := cmp.Diff([]string{"# h_bucket untyped", `h_bucket{le="1"}`, "h_bucket"}, page(table.Layout())); diff != "" {
		t.Error(diff)
	}
}
