package exposition_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/directfilestore"
)

// TestDirectories: directories of all file formats have the same series in each format of
// the page, in the whole page and in a part of it.
func TestDirectories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dirs := drawDirectories(t)
		config := collect.Config{Births: rapid.Bool().Draw(t, "births")}
		for _, d := range dirs {
			config.Dirs = append(config.Dirs, collect.Directory{Path: d.write(t), Labels: d.labels})
		}
		s := collected(t, config)
		var names []string
		for _, f := range s.Layout.Families {
			if rapid.Bool().Draw(t, "selected") {
				names = append(names, s.Layout.Name(rapid.SampledFrom(f.Series).Draw(t, "sample")))
			}
		}
		comparePages(t, s, dirs, names...)
	})
}

// A drawn directory has files of any format.
type drawn struct {
	labels   []collect.Label
	files    map[string][]entry
	metadata map[string]string // of DirectFileStores, by metric
}

func (d *drawn) write(t tb) string {
	t.Helper()
	dir := directory(t, d.files)
	if len(d.metadata) > 0 {
		text := `{"version": 1, "metrics": [` + strings.Join(slices.Collect(maps.Values(d.metadata)), ",") + `]}`
		if err := os.WriteFile(filepath.Join(dir, directfilestore.MetadataName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// String is what rapid's minimal examples show.
func (d *drawn) String() string { return fmt.Sprintf("%v %v %v", d.labels, d.files, d.metadata) }

// drawDirectories draws directories of metrics that are mostly whole, but whose files
// disagree about bounds, labels, types and names now and then.
func drawDirectories(t *rapid.T) []*drawn {
	var dirs []*drawn
	for range rapid.IntRange(1, 2).Draw(t, "directories") {
		d := &drawn{files: map[string][]entry{}, metadata: map[string]string{}}
		if rapid.Bool().Draw(t, "labels") {
			d.labels = []collect.Label{{Name: rapid.SampledFrom([]string{"a", "d"}).Draw(t, "name"), Value: "x"}}
		}
		dirs = append(dirs, d)
	}
	writers := rapid.SampledFrom([][]func(*drawn, *rapid.T, drawnMetric){
		{(*drawn).client}, {(*drawn).python}, {(*drawn).store}, {(*drawn).client, (*drawn).python, (*drawn).store},
	}).Draw(t, "writers")
	for range rapid.IntRange(1, 8).Draw(t, "metrics") {
		write := rapid.SampledFrom(writers).Draw(t, "writer")
		write(rapid.SampledFrom(dirs).Draw(t, "directory"), t, drawMetric(t))
	}
	return dirs
}

// A drawnMetric is what a process has of a metric, for one label set.
type drawnMetric struct {
	name, typ, mode, pid, help string
	labels                     map[string]string
	bound                      string // the name of that label
	samples                    []drawnSample
}

// A drawnSample is one of a metric; bound is empty if it has none.
type drawnSample struct {
	suffix, bound string
	value         float64
}

func drawMetric(t *rapid.T) drawnMetric {
	oneIn := func(n int, what string) bool { return rapid.IntRange(1, n).Draw(t, what) == n }
	m := drawnMetric{
		typ:    rapid.SampledFrom([]string{"histogram", "histogram", "summary", "counter", "gauge", "odd"}).Draw(t, "type"),
		mode:   rapid.SampledFrom([]string{"all", "liveall", "livesum", "max", "min", "mostrecent"}).Draw(t, "mode"),
		pid:    rapid.SampledFrom([]string{"1", "2"}).Draw(t, "pid"),
		help:   rapid.SampledFrom([]string{"H", "I\n\\\""}).Draw(t, "help"),
		labels: map[string]string{},
	}
	m.name = map[string]string{"histogram": "h", "summary": "s", "counter": "c_total", "gauge": "g", "odd": "o"}[m.typ]
	if oneIn(4, "odd name") {
		m.name = rapid.SampledFrom([]string{"h", "c", "h.x", "h_x", "h-x", "c.x_total", "gme_c_total", "h_sum", "h_bucket", "h_count_total",
			"h_created", "c_created", "c_created_total", "c_info", "c_info_total", "s_created", "s_total", "h_dot_x", "U__h_2e_x"}).Draw(t, "name")
	}
	for _, l := range []string{"a", "b.c", "b_c", "pid", "le", "quantile"} {
		if oneIn(6, l) {
			m.labels[l] = rapid.SampledFrom([]string{"x", "", "1", "\"\n\\"}).Draw(t, "value")
		}
	}
	odd := []float64{-1, 0.5, 1e21, 1 << 53, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)}
	add := func(suffix, bound string, common int) {
		if common > 0 && oneIn(common, "missing") {
			return
		}
		value := float64(rapid.IntRange(0, 9).Draw(t, "value"))
		if oneIn(20, "odd value") {
			value = rapid.SampledFrom(odd).Draw(t, "value")
		}
		m.samples = append(m.samples, drawnSample{suffix, bound, value})
	}
	switch m.typ {
	case "histogram":
		m.bound = "le"
		for _, le := range rapid.SampledFrom([][]string{{"1", "1.0", "+Inf"}, {"0.5", "1", "+Inf"}, {"1e0", "5", "+Inf"}, {"0.5", "1.0", "5.0", "+Inf"},
			{"-0", "0", "+Inf"}, {"1", "Inf"}, {"inf", "+Inf"}, {"1e+06", "1000000", "1e6", "+Inf"}, {"-1", "+Inf"}, {"0.5", "1"}, {"NaN", "+Inf"}, {"odd", "+Inf"},
		}).Draw(t, "bounds") {
			add("_bucket", le, 12)
		}
	case "summary":
		m.bound = "quantile"
		for _, q := range rapid.SampledFrom([][]string{nil, {"0.5", "0.9"}, {"0.50", "0.5"}, {"1", "1.0"}, {"-0", "0"}, {"2"}, {"-1"}, {"NaN"}}).Draw(t, "quantiles") {
			add("", q, 12)
		}
	default:
		add("", "", 0)
		return m
	}
	delete(m.labels, m.bound)
	add("_sum", "", 12)
	add("_count", "", 12)
	return m
}

// file names the file of a metric.
func (m *drawnMetric) file(suffix string) string {
	if m.typ == "gauge" {
		return "gauge_" + m.mode + "_" + m.pid + suffix
	}
	return m.typ + "_" + m.pid + suffix
}

// with returns the labels of a sample.
func (m *drawnMetric) with(bound string) map[string]string {
	labels := maps.Clone(m.labels)
	if bound != "" {
		labels[m.bound] = bound
	}
	return labels
}

// client writes a metric as prometheus-client-mmap does.
func (d *drawn) client(t *rapid.T, m drawnMetric) {
	file := m.file("-0.db")
	for _, p := range m.samples {
		var names []string
		var values []any
		for name, value := range m.with(p.bound) {
			names, values = append(names, name), append(values, value)
		}
		key, err := clientmmap.AppendKey(nil, m.name, m.name+p.suffix, names, values)
		if err != nil {
			t.Fatal(err)
		}
		d.files[file] = append(d.files[file], entry{string(key), p.value})
	}
}

// python writes a metric as prometheus_client does.
func (d *drawn) python(t *rapid.T, m drawnMetric) {
	file := m.file(".db")
	for _, p := range m.samples {
		if m.typ == "histogram" && p.suffix == "_count" {
			continue
		}
		key, err := json.Marshal([]any{strings.TrimSuffix(m.name, "_total"), m.name + p.suffix, m.with(p.bound), m.help})
		if err != nil {
			t.Fatal(err)
		}
		d.files[file] = append(d.files[file], entry{string(key), p.value})
	}
}

// store writes a metric as a DirectFileStore does.
func (d *drawn) store(t *rapid.T, m drawnMetric) {
	if rapid.Bool().Draw(t, "declared") {
		entry := map[string]any{"name": m.name, "type": m.typ, "help": m.help}
		switch m.typ {
		case "gauge":
			entry["aggregation"] = rapid.SampledFrom([]string{"max", "all", "most_recent"}).Draw(t, "aggregation")
		case "histogram":
			entry["buckets"] = rapid.SampledFrom([][]string{nil, {"0.5", "1"}, {"1.0", "5"}, {"1e+06"}}).Draw(t, "buckets")
		case "odd":
			entry["type"] = "untyped"
		}
		text, _ := json.Marshal(entry)
		d.metadata[m.name] = string(text)
	}
	file := "metric_" + m.name + "___" + m.pid + ".bin"
	for _, p := range m.samples {
		labels := url.Values{}
		for name, value := range m.with(p.bound) {
			labels.Set(name, value)
		}
		switch {
		case p.suffix == "_sum":
			labels.Set(m.bound, "sum")
		case p.suffix == "_count" && m.typ == "summary":
			labels.Set(m.bound, "count")
		case p.suffix == "_count":
			continue
		}
		d.files[file] = append(d.files[file], entry{labels.Encode(), p.value})
	}
}
