package collect_test

import (
	"path/filepath"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
)

// A series began with the file that there is now, and at no known time while files disagree
// about it.
func TestBirths(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: image(sample(1, "c_total"), sample(1, "m"))})
	e := collect.Config{Dirs: []collect.Directory{{Path: dir}}, Births: true}.Engine()
	born := func(name string) (at int64, ok bool) {
		s, err := e.Collect(t.Context())
		must(t, err)
		defer s.Release()
		for _, f := range s.Layout.Families {
			if f.Name == name {
				time, ok := s.Born(f.Series...)
				return time.UnixNano(), ok
			}
		}
		t.Fatalf("no %s", name)
		return 0, false
	}
	old, ok := born("c_total")
	if !ok {
		t.Skip("the file system does not tell when files were born")
	}
	eventually(t, "a later birth", func() bool {
		recreate(t, filepath.Join(dir, one), image(sample(1, "c_total"), sample(1, "m")))
		young, ok := born("c_total")
		return ok && young > old
	})
	rewrite(t, filepath.Join(dir, "gauge_livesum_1-0.db"), image(sample(1, "m")))
	if _, ok := born("m"); ok {
		t.Error("files disagree, but the birth is known")
	}
}
