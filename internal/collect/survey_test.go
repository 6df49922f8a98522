package collect_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
)

// entries returns how many entries a survey finds, by series.
func entries(t *testing.T, e *collect.Engine) map[string]int {
	t.Helper()
	s, err := e.Survey(t.Context())
	must(t, err)
	defer s.Release()
	got := map[string]int{}
	for _, family := range s.Layout.Families {
		for _, id := range family.Series {
			got[string(s.Layout.AppendText(nil, id))] = s.Entries(id)
		}
	}
	return got
}

// TestSurvey: it counts the entries of now, also when no series comes or goes,
// and does not change what others see.
func TestSurvey(t *testing.T) {
	a, b := sample(1, "a_total"), sample(2, "b_total", "x", "1")
	dir := inDir(t, map[string][]byte{
		"counter_1-0.db":   image(a, b),
		"counter_2-0.db":   image(b),
		"gauge_all_1-0.db": image(sample(3, "g")),
		"gauge_all_2-0.db": image(sample(3, "g")),
	})
	e := collect.New(dir)
	want := map[string]int{"a_total": 1, `b_total{x="1"}`: 2, `g{pid="1"}`: 1, `g{pid="2"}`: 1}
	for range 2 {
		if diff := cmp.Diff(want, entries(t, e)); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
	rewrite(t, filepath.Join(dir, "counter_3-0.db"), image(a, b, entry{"broken", 1}))
	want["a_total"], want[`b_total{x="1"}`] = 2, 3
	if diff := cmp.Diff(want, entries(t, e)); diff != "" {
		t.Errorf("one more file: -want +got\n%s", diff)
	}
	s, err := e.Collect(t.Context())
	must(t, err)
	if n := s.Entries(s.Layout.Families[0].Series[0]); n != 0 {
		t.Errorf("a snapshot of no survey, in the memory of one, knows of %d entries", n)
	}
	s.Release()
	if _, err := collect.New("").Survey(t.Context()); err != collect.ErrNoDirectory {
		t.Errorf("no directory: %v", err)
	}
}

// Buckets and counts have the entries that name them, which may be none.
func TestSurveyOwnCounts(t *testing.T) {
	e := collect.New(inDir(t, map[string][]byte{
		"histogram_1.db": pythonImage(stamped, histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})...),
		"histogram_2.db": pythonImage(stamped, append(histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3}), histogram("b", 1, map[string]float64{"1.0": 2})...)...),
		"histogram_3.db": pythonImage(stamped, stampedEntry{pythonKey("h", "h_count", `{"l": "b"}`, "Help."), 9, 0},
			stampedEntry{pythonKey("h", "h_count", `{"l": "c"}`, "Help."), 9, 0}),
	}))
	s, err := e.Survey(t.Context())
	must(t, err)
	defer s.Release()
	got := map[string]int{}
	for _, id := range s.Layout.Families[0].Series {
		got[string(s.Layout.AppendText(nil, id))] = s.Entries(id)
	}
	want := map[string]int{
		`h_bucket{l="a",le="1.0"}`: 2, `h_bucket{l="a",le="+Inf"}`: 2, `h_sum{l="a"}`: 2, `h_count{l="a"}`: 0,
		`h_bucket{l="b",le="1.0"}`: 1, `h_bucket{l="b",le="+Inf"}`: 0, `h_sum{l="b"}`: 1, `h_count{l="b"}`: 1,
		`h_count{l="c"}`: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A count that was implied, and only is named now, has the entry that names it.
func TestSurveyNoLongerImplied(t *testing.T) {
	total := stampedEntry{pythonKey("h", "h_count", `{"l": "a"}`, "Help."), 9, 0}
	dir := inDir(t, map[string][]byte{"histogram_1.db": pythonImage(stamped, total),
		"histogram_2.db": pythonImage(stamped, histogram("a", 1, map[string]float64{"1.0": 2})...)})
	e := collect.New(dir)
	look(t, e)
	must(t, os.Remove(filepath.Join(dir, "histogram_2.db")))
	if got := entries(t, e); len(got) != 1 || got[`h_count{l="a"}`] != 1 {
		t.Errorf("%v", got)
	}
}
