package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/frame"
)

// wantOf checks the values on the page of a directory.
func wantOf(t *testing.T, dir string, want map[string]float64) {
	t.Helper()
	text, stderr := render(t, dir)
	got, err := parseOurs(t, text).values()
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(want, got); err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
}

// One bad key costs nothing but itself, in a file without timestamps too.
func TestPythonBadKeyOldLayout(t *testing.T) {
	one, two, three := pythonEntry{`["a", "a_total", {"b": "1"}, "A."]`, 1}, pythonEntry{`["a", "a_total", {"b": "2"}, "A."]`, 2}, pythonEntry{`["a", "a_total", {"b": "3"}, "A."]`, 3}
	bad := pythonEntry{`["a", "a_total", {"b`, 9}
	for name, entries := range map[string][]pythonEntry{"first": {bad, two, three}, "second": {one, bad, three}, "third": {one, two, bad}} {
		t.Run(name, func(t *testing.T) {
			want := map[string]float64{`a_total b="1"`: 1, `a_total b="2"`: 2, `a_total b="3"`: 3}
			delete(want, map[string]string{"first": `a_total b="1"`, "second": `a_total b="2"`, "third": `a_total b="3"`}[name])
			wantOf(t, pythonDir(t, map[string][]byte{"counter_1.db": pythonImage(pythonOld, entries...)}), want)
		})
	}
}

// A first key that is garbage does not hide what the others are.
func TestPythonBadFirstKey(t *testing.T) {
	for name, l := range map[string]frame.Layout{"old": pythonOld, "new": pythonNew} {
		t.Run(name, func(t *testing.T) {
			b := pythonImage(l, pythonEntry{`garbage that is no key`, 9}, pythonEntry{`["a", "a_total", {"b": "2"}, "A."]`, 2}, pythonEntry{`["a", "a_total", {"b": "3"}, "A."]`, 3})
			wantOf(t, pythonDir(t, map[string][]byte{"counter_1.db": b}), map[string]float64{`a_total b="2"`: 2, `a_total b="3"`: 3})
		})
	}
}

// A first key may be longer than what is read at once.
func TestPythonLongFirstKey(t *testing.T) {
	for name, l := range map[string]frame.Layout{"old": pythonOld, "new": pythonNew} {
		t.Run(name, func(t *testing.T) {
			b := pythonImage(l, pythonEntry{`["a", "a_total", {}, "` + strings.Repeat("x", 200_000) + `"]`, 9}, pythonEntry{`["b", "b_total", {}, "B."]`, 2})
			wantOf(t, pythonDir(t, map[string][]byte{"counter_1.db": b}), map[string]float64{`a_total`: 9, `b_total`: 2})
		})
	}
}

// A file that is copied into place may be there in part at the first scrape; what
// it was taken for then does not stay.
func TestPythonGrowingCopy(t *testing.T) {
	entries := []pythonEntry{{`["a", "a_total", {"b": "1"}, "A."]`, 1}, {`["a", "a_total", {"b": "2"}, "A."]`, 2}, {`["a", "a_total", {"b": "3"}, "A."]`, 3}}
	for name, l := range map[string]frame.Layout{"old": pythonOld, "new": pythonNew} {
		t.Run(name, func(t *testing.T) {
			whole := pythonImage(l, entries...)
			for at := 0; at < len(whole); at++ {
				dir := pythonDir(t, map[string][]byte{"counter_1.db": whole[:at]})
				e := collect.Config{Dirs: []collect.Directory{{Path: dir}}}.Engine()
				s, err := e.Collect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				s.Release()
				if err := appendTo(filepath.Join(dir, "counter_1.db"), whole[at:]); err != nil {
					t.Fatal(err)
				}
				if s, err = e.Collect(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := map[string]float64{}
				for _, f := range s.Layout.Families {
					for _, id := range f.Series {
						got[seriesIdentity(s.Layout, id)] = s.Value(id)
					}
				}
				want := map[string]float64{}
				for i, e := range entries {
					want[identity("a_total", map[string]string{"b": string(rune('1' + i))})] = e.value
				}
				if !maps.Equal(got, want) || s.Files[0].Damage != nil {
					t.Errorf("first scrape when %d bytes were there: %v, %v", at, got, s.Files[0].Damage)
				}
			}
		})
	}
}

// A child of a histogram that is made just now has no bucket +Inf yet. The family
// stays what it is, in OpenMetrics as well.
func TestPythonChildInTheMaking(t *testing.T) {
	whole := []pythonEntry{{`["h", "h_sum", {"a": "1"}, "H."]`, 1}, {`["h", "h_bucket", {"a": "1", "le": "1.0"}, "H."]`, 1}, {`["h", "h_bucket", {"a": "1", "le": "+Inf"}, "H."]`, 0}}
	for n, entries := range [][]pythonEntry{
		whole,
		append(whole[:3:3], pythonEntry{`["h", "h_sum", {"a": "2"}, "H."]`, 0}),
		append(whole[:3:3], pythonEntry{`["h", "h_sum", {"a": "2"}, "H."]`, 0}, pythonEntry{`["h", "h_bucket", {"a": "2", "le": "1.0"}, "H."]`, 0}),
	} {
		dir := pythonDir(t, map[string][]byte{"histogram_1.db": pythonImage(pythonNew, entries...)})
		page := run(t, nil, program, "render", "--format=openmetrics", dir).stdout
		if !strings.Contains(page, "# TYPE h histogram\n") {
			t.Errorf("%d entries of the second child:\n%s", n, page)
		}
	}
}

func appendTo(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(data)
	return err
}
