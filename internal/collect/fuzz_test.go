package collect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
)

// FuzzCollect puts any bytes into a file beside a healthy one, at first alone
// and then in the place of a good file.
func FuzzCollect(f *testing.F) {
	good := image(sample(1, "m", "l", "a"), sample(2, "m", "l", "b"), entry{key("m", "m_bucket", "le", "1"), 3})
	for _, seed := range [][]byte{
		nil, good, grown(good, 4096), good[:len(good)-3], withUsed(good, 0xffffffff), withUsed(good, 13), healthy,
		image(entry{"[", 1}, sample(1, "healthy", "pid", "1")), image(entry{`["x","healthy",[],[]]`, 1}),
		append(header(64, 8), raw(0xfffffff4, strings.Repeat(" ", 60))...),
	} {
		f.Add("gauge_all_1-0.db", seed)
		f.Add("counter_1-0.db", seed)
	}
	f.Add("histogram_2-0.db", good)
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if len(content) > 1<<20 || len(name) > 200 || strings.ContainsAny(name, "/\x00") || name == "counter_healthy-0.db" {
			t.Skip()
		}
		dir := t.TempDir()
		rewrite(t, filepath.Join(dir, "counter_healthy-0.db"), image(sample(42, "very_healthy_total")))
		path := filepath.Join(dir, name)
		e := collect.New(dir)
		check := func() {
			t.Helper()
			got := lookBoth(t, e)
			checkParses(t, got.Page)
			if !strings.Contains(got.Page, "very_healthy_total") {
				t.Fatalf("the healthy series is missing:\n%s", got.Page)
			}
		}
		if os.WriteFile(path, content, 0o600) != nil {
			t.Skip() // not a file name
		}
		check()
		replace(t, path, good)
		check()
		replace(t, path, content)
		check()
	})
}
