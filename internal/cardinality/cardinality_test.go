package cardinality_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// key returns the key of a series; labels are names and values in turn.
func key(t *testing.T, family, sample string, labels ...string) string {
	t.Helper()
	var names []string
	var values []any
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	k, err := clientmmap.AppendKey(nil, family, sample, names, values)
	if err != nil {
		t.Fatal(err)
	}
	return string(k)
}

// write writes a metric file with these keys.
func write(t *testing.T, dir, name string, keys ...string) {
	t.Helper()
	image := clientmmap.AppendHeader(nil, 0)
	for _, k := range keys {
		image = clientmmap.AppendEntry(image, []byte(k), 1)
	}
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, dir string) *cardinality.Report {
	t.Helper()
	snapshot, err := collect.New(dir).Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Release()
	return cardinality.Of(snapshot)
}

// sound is a directory with a family of each kind, in files of two processes.
func sound(t *testing.T) string {
	dir := t.TempDir()
	a, b := key(t, "m_total", "m_total", "code", "200", "route", "/"), key(t, "m_total", "m_total", "code", "500", "route", "/")
	write(t, dir, "counter_puma_0-0.db", a, b, key(t, "m_total", "m_total", "code", "404", "method", "GET"))
	write(t, dir, "counter_puma_1-0.db", a, b, "broken")
	var buckets []string
	for _, le := range []string{"1", "2", "+Inf"} {
		buckets = append(buckets, key(t, "h", "h_bucket", "route", "/", "le", le))
	}
	write(t, dir, "histogram_puma_0-0.db", append(buckets, key(t, "h", "h_sum", "route", "/"), key(t, "h", "h_count", "route", "/"))...)
	write(t, dir, "gauge_all_puma_0-0.db", key(t, "threads", "threads"))
	write(t, dir, "gauge_all_puma_1-0.db", key(t, "threads", "threads"))
	return dir
}

func TestReport(t *testing.T) {
	want := &cardinality.Report{
		Series: 10, Samples: 12,
		Families: []cardinality.Family{
			{Name: "h", Type: "histogram", Series: 5, Samples: 5, Labels: []string{"le", "route"}},
			{Name: "m_total", Type: "counter", Series: 3, Samples: 5, Labels: []string{"code", "method", "route"}},
			{Name: "threads", Type: "gauge", Series: 2, Samples: 2, Labels: []string{"pid"}},
		},
		Labels: []cardinality.Label{
			{Name: "code", Values: 3, Series: 3, Top: []cardinality.Value{{Value: "200", Series: 1}, {Value: "404", Series: 1}, {Value: "500", Series: 1}}},
			{Name: "le", Values: 3, Series: 3, Top: []cardinality.Value{{Value: "+Inf", Series: 1}, {Value: "1", Series: 1}, {Value: "2", Series: 1}}},
			{Name: "method", Values: 1, Series: 1, Top: []cardinality.Value{{Value: "GET", Series: 1}}},
			{Name: "pid", Values: 2, Series: 2, Top: []cardinality.Value{{Value: "puma_0", Series: 1}, {Value: "puma_1", Series: 1}}},
			{Name: "route", Values: 1, Series: 7, Top: []cardinality.Value{{Value: "/", Series: 7}}},
		},
	}
	if diff := cmp.Diff(want, report(t, sound(t))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestNothing: lists are empty, not null, in JSON too.
func TestNothing(t *testing.T) {
	r := report(t, t.TempDir())
	r.Cut(cardinality.BySeries, 10)
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"series":0,"samples":0,"growth":null,"at_least":false,"families":[],"families_more":0,"labels":[],"labels_more":0}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestCut(t *testing.T) {
	families := []cardinality.Family{
		{Name: "a", Series: 1, Samples: 30}, {Name: "b", Series: 3, Samples: 3}, {Name: "c", Series: 2, Samples: 20}, {Name: "d", Series: 2, Samples: 20},
	}
	labels := []cardinality.Label{
		{Name: "w", Values: 1, Series: 9}, {Name: "x", Values: 5, Series: 5}, {Name: "y", Values: 5, Series: 6}, {Name: "z", Values: 7, Series: 7},
	}
	tests := []struct {
		by               cardinality.Order
		n                int
		families, labels string
		more             int
	}{
		{cardinality.BySeries, 0, "bcda", "zyxw", 0},
		{cardinality.BySeries, 2, "bc", "zy", 2},
		{cardinality.BySamples, 3, "acd", "zyx", 1},
		{cardinality.ByName, 1, "a", "w", 3},
		{cardinality.ByName, 4, "abcd", "wxyz", 0},
		{cardinality.ByName, 5, "abcd", "wxyz", 0},
	}
	for _, tt := range tests {
		r := &cardinality.Report{Families: slices.Clone(families), Labels: slices.Clone(labels)}
		slices.Reverse(r.Families)
		r.Cut(tt.by, tt.n)
		var gotFamilies, gotLabels string
		for _, f := range r.Families {
			gotFamilies += f.Name
		}
		for _, l := range r.Labels {
			gotLabels += l.Name
		}
		if gotFamilies != tt.families || gotLabels != tt.labels || r.FamiliesMore != tt.more || r.LabelsMore != tt.more {
			t.Errorf("by %s, %d: families %s and %d more, labels %s and %d more; want %+v", tt.by, tt.n,
				gotFamilies, r.FamiliesMore, gotLabels, r.LabelsMore, tt)
		}
	}
}

// TestHostile: what is in files cannot make the report large, or unreadable.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("é", 2_000)
	var labels []string
	for i := range 100 {
		labels = append(labels, fmt.Sprintf("l%03d", i), "\"\n\\<script>\u202e"+long)
	}
	var names []string
	for i := range 1000 {
		names = append(names, key(t, fmt.Sprintf("f%d_total", i), fmt.Sprintf("f%d_total", i)))
	}
	name := strings.Repeat("n", 50_000)
	write(t, dir, "counter_1-0.db", append(names, key(t, name, name, labels...))...)
	r := report(t, dir)
	r.Cut(cardinality.BySamples, 20)
	if len(r.Families) != 20 || r.FamiliesMore != 981 || len(r.Labels) != 20 || r.LabelsMore != 80 {
		t.Errorf("%d families, %d more; %d labels, %d more", len(r.Families), r.FamiliesMore, len(r.Labels), r.LabelsMore)
	}
	r = report(t, dir)
	r.Cut(cardinality.ByName, 0)
	f := r.Families[len(r.Families)-1]
	if want := strings.Repeat("n", 99) + "…"; f.Name != want || len(f.Labels) != 12 || f.LabelsMore != 88 {
		t.Errorf("name is %q; %d labels, %d more", f.Name, len(f.Labels), f.LabelsMore)
	}
	value := r.Labels[0].Top[0].Value
	if !strings.HasPrefix(value, "\"\n\\<script>\u202eé") || utf8.RuneCountInString(value) != 100 {
		t.Errorf("value is %q", value)
	}
}

func TestClip(t *testing.T) {
	exact := strings.Repeat("é", 100)
	for text, want := range map[string]string{
		"":                   "",
		"a":                  "a",
		exact:                exact,
		exact + "x":          strings.Repeat("é", 99) + "…",
		"a\xffb":             "a\uFFFDb",
		exact[:198] + "\xff": strings.Repeat("é", 99) + "\uFFFD",
	} {
		if got := cardinality.Clip(text); got != want {
			t.Errorf("Clip(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestLimits: more labels and values than are counted are not counted, and the
// report says so.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	var keys []string
	for i := range 10 {
		keys = append(keys, key(t, "m", "m", fmt.Sprintf("a%d", i%3), fmt.Sprint(i)))
	}
	write(t, dir, "counter_1-0.db", keys...)
	for _, tt := range []struct {
		values, labels, shapes int
		full                   bool
		total, names, ofFamily int // that are counted
	}{{10, 3, 3, false, 10, 3, 3}, {9, 3, 3, true, 9, 3, 3}, {1, 3, 3, true, 1, 3, 3}, {10, 2, 3, true, -1, 2, 2}, {10, 3, 2, true, 10, 3, 2}} {
		snapshot, err := collect.New(dir).Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := cardinality.OfWithin(snapshot, tt.values, tt.labels, tt.shapes)
		total, in := 0, 0
		for _, l := range r.Labels {
			total, in = total+l.Values, in+l.Series
		}
		if r.AtLeast != tt.full || len(r.Labels) != tt.names || tt.total >= 0 && (total != tt.total || in != 10) || r.Series != 10 || len(r.Families[0].Labels) != tt.ofFamily {
			t.Errorf("%+v: at least %v, %d labels with %d values in %d of %d series", tt, r.AtLeast, len(r.Labels), total, in, r.Series)
		}
	}
}

// TestGone: an engine that knew labels of files that are gone does not tell of them.
func TestGone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", key(t, "m", "m", "stays", "1"))
	write(t, dir, "counter_2-0.db", key(t, "m", "m", "goes", "1"))
	engine := collect.New(dir)
	for _, want := range []int{2, 1} {
		snapshot, err := engine.Survey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := cardinality.Of(snapshot).Labels; len(got) != want {
			t.Errorf("%d labels, want %d: %+v", len(got), want, got)
		}
		snapshot.Release()
		_ = os.Remove(filepath.Join(dir, "counter_2-0.db"))
	}
}
