package collect_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A dialect is what files of one format have: keys that do not always go together, in
// one of these layouts.
type dialect struct {
	names, keys []string
	layouts     []frame.Layout
}

// dialects are all formats, with metrics of the same names.
func dialects() []dialect {
	gem := dialect{
		names:   []string{"counter_1-0.db", "gauge_livesum_1-0.db", "gauge_max_1-0.db", "gauge_all_1-0.db", "histogram_1-0.db", "summary_1-0.db"},
		layouts: []frame.Layout{clientmmap.Layout},
	}
	python := dialect{
		names:   []string{"counter_7.db", "gauge_mostrecent_7.db", "gauge_mostrecent_8.db", "gauge_sum_7.db", "histogram_7.db", "histogram_8.db"},
		layouts: []frame.Layout{plain, stamped},
	}
	for _, l := range []string{"a", "b", ""} {
		for _, le := range []string{"1", "1.0", "5", "+Inf", "odd"} {
			gem.keys = append(gem.keys, key("h", "h_bucket", "l", l, "le", le))
			python.keys = append(python.keys, pythonKey("h", "h_bucket", fmt.Sprintf(`{"l": %q, "le": %q}`, l, le), "H"))
		}
		for _, sample := range []string{"h_sum", "h_count", "h", "h_total", "h_bucket"} {
			gem.keys = append(gem.keys, key("h", sample, "l", l))
			python.keys = append(python.keys, pythonKey("h", sample, fmt.Sprintf(`{"l": %q}`, l), "H"))
		}
		for _, label := range []string{"l.x", "l_x", "l_dot_x"} {
			gem.keys = append(gem.keys, key("m", "m", label, l))
		}
		for _, m := range []string{"m", "m.x", "m_x", "m_dot_x", "h_sum", "m_total"} {
			gem.keys = append(gem.keys, key(m, m, "l", l))
			python.keys = append(python.keys, pythonKey(m, m, fmt.Sprintf(`{"l": %q}`, l), "I"))
		}
	}
	gem.keys = append(gem.keys, key("m", "m"), key("m", "m", "l", 1), key("m", "m", "l", nil), "broken")
	python.keys = append(python.keys, pythonKey("m", "m", "{}", "H"), pythonKey("m", "m", "{}", "I"), "broken")
	return []dialect{gem, python, {
		names: []string{"metric_m___1.bin", "metric_m___2.bin", "metric_h___1.bin", "metric_h___2.bin", "metric_m_total___1.bin"},
		keys: []string{
			"", "l=a", "l=b", "le=1", "le=%2BInf", "le=sum", "le=sum&l=a", "le=5&l=a", "quantile=sum", "quantile=count", "pid=7", "pid=7&l=a", "l=%zz",
		},
		layouts: []frame.Layout{{Stamped: true}, {}},
	}}
}

// A drawnFile is one that TestRandomFormats writes.
type drawnFile struct {
	layout  frame.Layout
	entries []stampedEntry
}

// TestRandomFormats writes files of all formats into one directory or two, at random:
// they grow, are replaced, cut short and removed, and metadata come and go. An engine
// that knows the directories must see what a new one sees.
func TestRandomFormats(t *testing.T) {
	t.Parallel()
	fewChecks()
	root, runs := t.TempDir(), 0
	of := map[string]dialect{}
	choices := [][]string{nil} // all files, or those of one format
	for _, d := range dialects() {
		for _, name := range d.names {
			of[name] = d
			choices[0] = append(choices[0], name)
		}
		choices = append(choices, d.names)
	}
	rapid.Check(t, func(t *rapid.T) {
		runs++
		var dirs []collect.Directory
		for i := range rapid.IntRange(1, 2).Draw(t, "directories") {
			dir := collect.Directory{Path: filepath.Join(root, fmt.Sprint(runs), fmt.Sprint(i))}
			must(t, os.MkdirAll(dir.Path, 0o700))
			if rapid.Bool().Draw(t, "labels") {
				dir.Labels = []collect.Label{{Name: "l", Value: "x"}}
			}
			dirs = append(dirs, dir)
		}
		defer os.RemoveAll(filepath.Join(root, fmt.Sprint(runs)))
		names := rapid.SampledFrom(choices).Draw(t, "names")
		e := collect.Config{Dirs: dirs, Births: rapid.Bool().Draw(t, "births")}.Engine()
		files := map[string]*drawnFile{}
		draw := func(t *rapid.T, d dialect, most int) (entries []stampedEntry) {
			for range rapid.IntRange(0, most).Draw(t, "entries") {
				entries = append(entries, stampedEntry{
					rapid.SampledFrom(d.keys).Draw(t, "key"), float64(rapid.IntRange(0, 4).Draw(t, "value")), float64(rapid.IntRange(0, 3).Draw(t, "stamp")),
				})
			}
			return entries
		}
		dir := func(t *rapid.T) string { return rapid.SampledFrom(dirs).Draw(t, "directory").Path }
		path := func(t *rapid.T) string { return filepath.Join(dir(t), rapid.SampledFrom(names).Draw(t, "file")) }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { lookBoth(t, e) },
			"replace": func(t *rapid.T) {
				for range rapid.IntRange(1, 3).Draw(t, "files") {
					path := path(t)
					d := of[filepath.Base(path)]
					f := &drawnFile{rapid.SampledFrom(d.layouts).Draw(t, "layout"), draw(t, d, 6)}
					files[path] = f
					replace(t, path, pythonImage(f.layout, f.entries...))
				}
			},
			"grow": func(t *rapid.T) {
				path := path(t)
				if f := files[path]; f != nil {
					f.entries = append(f.entries, draw(t, of[filepath.Base(path)], 3)...)
					patch(t, path, 0, pythonImage(f.layout, f.entries...))
				}
			},
			"cut": func(t *rapid.T) {
				path := path(t)
				if f := files[path]; f != nil {
					used := len(pythonImage(f.layout, f.entries...)) - rapid.IntRange(0, 12).Draw(t, "bytes")
					patch(t, path, 0, frame.AppendHeader(nil, int64(used))[:4])
				}
			},
			"remove": func(t *rapid.T) {
				path := path(t)
				must(t, os.RemoveAll(path))
				delete(files, path)
			},
			"declare": func(t *rapid.T) {
				aggregation := rapid.SampledFrom([]string{"max", "sum", "most_recent", "all"}).Draw(t, "aggregation")
				bounds := rapid.SampledFrom([]string{`"1"`, `"1","5"`, `"2"`}).Draw(t, "bounds")
				typ := rapid.SampledFrom([]string{discover.Histogram.String(), discover.Counter.String()}).Draw(t, "type")
				h := fmt.Sprintf(`{"name":"h","type":%q,"help":"H","buckets":[%s]}`, typ, bounds)
				if typ != "histogram" {
					h = strings.ReplaceAll(h, `,"buckets":[`+bounds+`]`, "")
				}
				declare(t, dir(t), fmt.Sprintf(`{"name":"m","type":"gauge","help":"H","aggregation":%q},`, aggregation)+h)
			},
			"undeclare": func(t *rapid.T) {
				must(t, os.RemoveAll(filepath.Join(dir(t), directfilestore.MetadataName)))
			},
		})
	})
}
