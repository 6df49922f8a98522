package collect_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/series"
)

// TestRawNames: what names the files have is what is there now, whatever was
// there before.
func TestRawNames(t *testing.T) {
	raw := func(family, label string) []byte {
		return image(entry{key: key(family, family, label, "x"), value: 1})
	}
	const first, second = "counter_1-0.db", "counter_2-0.db"
	dir := t.TempDir()
	put := func(name string, content []byte) func() {
		return func() { replace(t, filepath.Join(dir, name), content) }
	}
	remove := func(name string) func() { return func() { must(t, os.Remove(filepath.Join(dir, name))) } }
	steps := []struct {
		what             string
		do               func()
		families, labels map[string]string // nil if all are classic
	}{
		{"classic", put(first, raw("a_b", "c_d")), nil, nil},
		{"and raw", put(second, raw("a.b", "c.d")), map[string]string{"a_b": ""}, map[string]string{"c_d": ""}},
		{"only raw", remove(first), map[string]string{"a_b": "a.b"}, map[string]string{"c_d": "c.d"}},
		{"another that is spelled alike", put(first, raw("a-b", "c.d")), map[string]string{"a_b": ""}, map[string]string{"c_d": "c.d"}},
		{"only that", remove(second), map[string]string{"a_b": "a-b"}, map[string]string{"c_d": "c.d"}},
		{"its successor", put(first, raw("a.b", "c_d")), map[string]string{"a_b": "a.b"}, map[string]string{"c_d": "c_d"}},
		{"classic again", put(first, raw("a_b", "c_d")), nil, nil},
	}
	e := collect.New(dir)
	for _, step := range steps {
		step.do()
		for range 2 {
			s, err := e.Collect(t.Context())
			must(t, err)
			var families, labels map[string]string
			if got := s.Layout.Raw; got != nil {
				families, labels = got.Families, got.Labels
			}
			if diff := cmp.Diff(odd(step.families), odd(families)) + cmp.Diff(odd(step.labels), odd(labels)); diff != "" {
				t.Errorf("%s: -want +got\n%s", step.what, diff)
			}
			if s.Layout.Len() != 1 || s.Layout.Name(s.Layout.Families[0].Series[0]) != "a_b" {
				t.Errorf("%s: the series depends on how it is spelled", step.what)
			}
			checkSelect(t, s.Layout, families["a_b"])
			s.Release()
		}
	}
}

// TestNamesThatWereInTheWay: a label that is gone does not keep another from being shown as
// it is escaped.
func TestNamesThatWereInTheWay(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: image(sample(1, "m", "a.b", "x")), two: image(sample(1, "n", "a_dot_b", "x"))})
	e := collect.New(dir)
	for _, want := range []string{"m{a_b=", "m{a_dot_b="} {
		s, err := e.Collect(t.Context())
		must(t, err)
		if page := inFormat(t, s, "text/plain;escaping=dots"); !strings.Contains(page, want) {
			t.Errorf("want %s on the page\n%s", want, page)
		}
		s.Release()
		must(t, os.RemoveAll(filepath.Join(dir, two)))
	}
}

// odd leaves the names that are not as they are known.
func odd(names map[string]string) map[string]string {
	names = maps.Clone(names)
	maps.DeleteFunc(names, func(name, raw string) bool { return name == raw })
	if len(names) == 0 {
		return nil
	}
	return names
}

// checkSelect checks that the family can be asked for by both its names.
func checkSelect(t *testing.T, l *series.Layout, raw string) {
	t.Helper()
	for _, name := range []string{"a_b", raw} {
		if name == "" {
			continue
		}
		if families, found := l.Select([]string{name}); len(families) != 1 || len(found) != 1 || found[0] != name {
			t.Errorf("%s selects %d families, and is found to be %q", name, len(families), found)
		}
	}
}
