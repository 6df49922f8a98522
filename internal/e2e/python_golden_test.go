package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/frame"
)

// TestPythonGolden compares what we make of directories that several versions of
// the library wrote with what they made of them.
func TestPythonGolden(t *testing.T) {
	const versions = "testdata/python/golden"
	entries, err := os.ReadDir(versions)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		n++
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(versions, entry.Name())
			want := parsePython(t, string(readFile(t, filepath.Join(dir, "library.json"))))
			if diff := cmp.Diff(want, families(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}})); diff != "" {
				t.Errorf("-library +we:\n%s", excerpt(diff))
			}
			text, _ := render(t, dir)
			parseOurs(t, text)
		})
	}
	if n < 2 {
		t.Errorf("%d directories in %s", n, versions)
	}
}

// A pythonEntry is an entry of a file that is made by hand.
type pythonEntry struct {
	key   string
	value float64
}

// pythonImage returns the content of a file of prometheus_client.
func pythonImage(l frame.Layout, entries ...pythonEntry) []byte {
	b := frame.AppendHeader(nil, 0)
	for _, e := range entries {
		b = l.AppendEntry(b, []byte(e.key), e.value, 0)
	}
	return append(frame.AppendHeader(nil, int64(len(b))), b[frame.HeaderSize:]...)
}

// The layouts of prometheus_client.
var (
	pythonOld = frame.Layout{Bare: true}
	pythonNew = frame.Layout{Bare: true, Stamped: true}
)

// pythonDir returns a directory with files.
func pythonDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPythonOldVersions is about files of versions that are hard to come by.
func TestPythonOldVersions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string][]pythonEntry
		want  string
	}{
		{
			// Until 0.3 counters were called what the application called them.
			name: "until 0.3",
			files: map[string][]pythonEntry{
				"counter_7.db": {
					{`["requests", "requests", [], []]`, 3},
					{`["jobs_total", "jobs_total", ["queue"], ["a\"b\\c\n"]]`, 1},
				},
				"counter_8.db": {
					{`["jobs_total", "jobs_total", ["queue"], ["a\"b\\c\n"]]`, 2.5},
					{`["jobs_total", "jobs_total", ["queue"], ["\u00fc \ud83d\ude00"]]`, 1e17},
					{`["requests", "requests", [], []]`, 4},
				},
				"gauge_all_7.db":     {{`["workers", "workers", ["kind"], ["web"]]`, 2}},
				"gauge_all_8.db":     {{`["workers", "workers", ["kind"], ["web"]]`, -3}},
				"gauge_livesum_7.db": {{`["busy", "busy", [], []]`, 1}},
				"gauge_livesum_8.db": {{`["busy", "busy", [], []]`, 2}},
				"gauge_max_7.db":     {{`["peak", "peak", [], []]`, 5}},
				"gauge_max_8.db":     {{`["peak", "peak", [], []]`, 6}},
				"histogram_7.db": {
					{`["seconds", "seconds_sum", ["path"], ["/"]]`, 1.5},
					{`["seconds", "seconds_bucket", ["le", "path"], ["0.5", "/"]]`, 2},
					{`["seconds", "seconds_bucket", ["le", "path"], ["1.0", "/"]]`, 1},
					{`["seconds", "seconds_bucket", ["le", "path"], ["+Inf", "/"]]`, 0},
				},
				"histogram_8.db": {
					{`["seconds", "seconds_sum", ["path"], ["/"]]`, 9},
					{`["seconds", "seconds_bucket", ["le", "path"], ["0.5", "/"]]`, 0},
					{`["seconds", "seconds_bucket", ["le", "path"], ["1.0", "/"]]`, 0},
					{`["seconds", "seconds_bucket", ["le", "path"], ["+Inf", "/"]]`, 1},
				},
				"summary_7.db": {
					{`["size", "size_count", [], []]`, 2},
					{`["size", "size_sum", [], []]`, 300},
				},
			},
			want: `# HELP busy Multiprocess metric
# TYPE busy gauge
busy 3
# HELP jobs_total Multiprocess metric
# TYPE jobs_total counter
jobs_total{queue="a\"b\\c\n"} 3.5
jobs_total{queue="ü 😀"} 1e+17
# HELP peak Multiprocess metric
# TYPE peak gauge
peak 6
# HELP requests Multiprocess metric
# TYPE requests counter
requests 7
# HELP seconds Multiprocess metric
# TYPE seconds histogram
seconds_bucket{path="/",le="0.5"} 2
seconds_bucket{path="/",le="1.0"} 3
seconds_bucket{path="/",le="+Inf"} 4
seconds_sum{path="/"} 10.5
seconds_count{path="/"} 4
# HELP size Multiprocess metric
# TYPE size summary
size_sum 300
size_count 2
# HELP workers Multiprocess metric
# TYPE workers gauge
workers{kind="web",pid="7"} 2
workers{kind="web",pid="8"} -3
`,
		},
		{
			name: "0.4 to 0.15",
			files: map[string][]pythonEntry{
				"counter_7.db": {
					{`["requests", "requests_total", {}]`, 3},
					{`["jobs", "jobs_total", {"queue": "a\"b\\c\n"}]`, 1},
				},
				"counter_web-1.db": {
					{`["jobs", "jobs_total", {"queue": "a\"b\\c\n"}]`, 2.5},
					{`["jobs", "jobs_total", {"queue": "\u00fc \ud83d\ude00"}]`, 1e17},
				},
				"gauge_liveall_7.db":     {{`["workers", "workers", {"kind": "web"}]`, 2}},
				"gauge_liveall_web-1.db": {{`["workers", "workers", {"kind": "web"}]`, -3}},
				"gauge_sum_7.db":         {{`["busy", "busy", {}]`, 1}}, // since 0.15
				"gauge_sum_web-1.db":     {{`["busy", "busy", {}]`, 2}},
				"gauge_min_7.db":         {{`["least", "least", {}]`, 5}},
				"gauge_min_web-1.db":     {{`["least", "least", {}]`, 6}},
				"histogram_7.db": {
					{`["seconds", "seconds_sum", {"path": "/"}]`, 1.5},
					{`["seconds", "seconds_bucket", {"le": "0.5", "path": "/"}]`, 2},
					{`["seconds", "seconds_bucket", {"le": "+Inf", "path": "/"}]`, 1},
				},
				// Another version of the application has other buckets.
				"histogram_web-1.db": {
					{`["seconds", "seconds_sum", {"path": "/"}]`, 9},
					{`["seconds", "seconds_bucket", {"le": "1.0", "path": "/"}]`, 10},
					{`["seconds", "seconds_bucket", {"le": "+Inf", "path": "/"}]`, 20},
				},
				"summary_7.db": {
					{`["size", "size_count", {}]`, 2},
					{`["size", "size_sum", {}]`, 300},
				},
			},
			want: `# HELP busy Multiprocess metric
# TYPE busy gauge
busy 3
# HELP jobs_total Multiprocess metric
# TYPE jobs_total counter
jobs_total{queue="a\"b\\c\n"} 3.5
jobs_total{queue="ü 😀"} 1e+17
# HELP least Multiprocess metric
# TYPE least gauge
least 5
# HELP requests_total Multiprocess metric
# TYPE requests_total counter
requests_total 3
# HELP seconds Multiprocess metric
# TYPE seconds histogram
seconds_bucket{path="/",le="0.5"} 2
seconds_bucket{path="/",le="1.0"} 12
seconds_bucket{path="/",le="+Inf"} 33
seconds_sum{path="/"} 10.5
seconds_count{path="/"} 33
# HELP size Multiprocess metric
# TYPE size summary
size_sum 300
size_count 2
# HELP workers Multiprocess metric
# TYPE workers gauge
workers{kind="web",pid="7"} 2
workers{kind="web",pid="web-1"} -3
`,
		},
		{
			// Two applications, or one in the middle of an upgrade.
			name: "all at once",
			files: map[string][]pythonEntry{
				"counter_1.db": {{`["a_total", "a_total", ["b"], ["c"]]`, 1}, {`["a_total", "a_total", ["b"], ["d"]]`, 1}},
				"counter_2.db": {{`["a", "a_total", {"b": "c"}]`, 2}, {`["a", "a_total", {"b": "e"}]`, 2}},
				"counter_3.db": {{`["a", "a_total", {"b": "c"}, "Help."]`, 4}, {`["a", "a_total", {"b": "d"}, "Help."]`, 4}},
			},
			want: `# HELP a_total Help.
# TYPE a_total counter
a_total{b="c"} 7
a_total{b="d"} 5
a_total{b="e"} 2
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := map[string][]byte{}
			for name, entries := range tt.files {
				// The files began with 1 MiB, nearly all of it a hole.
				files[name] = append(pythonImage(pythonOld, entries...), make([]byte, 4096)...)
			}
			text, stderr := render(t, pythonDir(t, files))
			parseOurs(t, text)
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(text, "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if stderr != "" {
				t.Errorf("stderr: %s", stderr)
			}
		})
	}
}
