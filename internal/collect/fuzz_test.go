package collect_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/detect"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
)

// Healthy files of all formats, by name, and the series that each has.
var (
	sound = map[string][]byte{
		"counter_healthy-0.db":              image(sample(42, "very_healthy_mmap_total")),
		"counter_healthy.db":                pythonImage(stamped, stampedEntry{pythonKey("very_healthy_python", "very_healthy_python_total", "{}", "Help."), 42, 0}),
		"metric_very_healthy_store___1.bin": storeImage(stampedEntry{"healthy=yes", 42, 1}),

		// Whoever says otherwise, and does not count so, has to give way.
		"histogram_healthy-0.db": image(entry{key("k", "k_bucket", "le", "1.0"), 5}, entry{key("k", "k_bucket", "le", "+Inf"), 7},
			entry{key("k", "k_sum"), 3}, entry{key("k", "k_count"), 7}),
	}
	soundSeries = map[discover.Format]string{
		discover.ClientMmap: "very_healthy_mmap_total 42", discover.Python: "very_healthy_python_total 42",
		discover.DirectFileStore: `very_healthy_store{healthy="yes",pid="1"} 42`,
	}
)

// FuzzCollect puts any bytes, and then others, into a file beside healthy ones: as
// they are, one in the place of the other, and as a file that grows. An engine that
// has seen it all must see what a new one sees.
func FuzzCollect(f *testing.F) {
	good := image(sample(1, "m", "l", "a"), sample(2, "m", "l", "b"), entry{key("m", "m_bucket", "le", "1"), 3})
	bad := [][]byte{
		nil, grown(good, 4096), good[:len(good)-3], withUsed(good, 0xffffffff), withUsed(good, 13), healthy,
		image(entry{"[", 1}, sample(1, "healthy", "pid", "1")), image(entry{`["x","healthy",[],[]]`, 1}),
		append(header(64, 8), raw(0xfffffff4, strings.Repeat(" ", 60))...),
	}
	add := func(name string, format discover.Format, contents ...[]byte) {
		for i, content := range contents {
			next := contents[(i+1)%len(contents)]
			f.Add(name, content, next, uint8(i), uint8(discover.NoFormat))
			f.Add(name, content, next, uint8(i+1), uint8(format))
		}
	}
	for _, content := range bad {
		add("gauge_all_1-0.db", discover.ClientMmap, content, good)
		add("counter_1-0.db", discover.ClientMmap, content, good)
	}
	h := histogram("a", 1, map[string]float64{"1.0": 2, "+Inf": 3})
	g := []stampedEntry{{pythonKey("g", "g", "{}", "Help."), 1, 10}, {pythonKey("g", "g", `{"l": "never"}`, "Help."), 5, 0}}
	old := []stampedEntry{{key: `["g", "g", ["l"], ["a"]]`, value: 1}, {key: `["g", "g", ["l"], ["b"]]`, value: 2}}
	k := []stampedEntry{{pythonKey("k", "k_sum", "{}", "Help."), 1, 0}, {pythonKey("k", "k_bucket", `{"le": "1.0"}`, "Help."), 2, 0}}
	pythons := [][]byte{
		pythonImage(stamped, k...), pythonImage(stamped, h...), pythonImage(plain, h...), pythonImage(stamped, g...), pythonImage(plain, g...), pythonImage(plain, old...), good,
	}
	for _, name := range []string{"histogram_2.db", "gauge_mostrecent_2.db", "gauge_livesum_2.db", "gauge_all_2.db"} {
		add(name, discover.Python, pythons...)
	}
	counts := []stampedEntry{{"l=a&le=1", 1, 1}, {"l=a&le=%2BInf", 2, 1}, {"l=a&le=sum", 0.5, 1}}
	labels := []stampedEntry{{"", 7, 20}, {"l=a+b", 8, 10}, {"l=a+b&pid=7", 8, 10}, {"quantile=sum", 1, 1}}
	stores := [][]byte{
		storeImage(counts...), storeImage(counts[:1]...), pythonImage(frame.Layout{}, counts...), storeImage(labels...), pythonImage(frame.Layout{}, labels[1:2]...),
	}
	for _, name := range []string{"metric_u___2.bin", "metric_h___2.bin", "metric_r___2.bin", "metric_s_total___2.bin"} {
		add(name, discover.DirectFileStore, stores...)
	}
	beside := inDir(f, sound)
	f.Fuzz(func(t *testing.T, name string, first, second []byte, cut uint8, number uint8) {
		if len(first)+len(second) > 1<<20 || len(name) > 200 || strings.ContainsAny(name, "/\x00") || name == directfilestore.MetadataName {
			t.Skip()
		}
		format := discover.Format(int(number) % (len(discover.Formats) + 1))
		dir := t.TempDir()
		declare(t, dir, `{"name":"h","type":"histogram","help":"Help.","buckets":["0.1","1"]},{"name":"r","type":"gauge","aggregation":"most_recent"},`+
			`{"name":"s_total","type":"summary"}`)
		path := filepath.Join(dir, name)
		e := collect.Config{Dirs: []collect.Directory{{Path: beside}, {Path: dir}}, Format: format}.Engine()
		check := func() {
			t.Helper()
			got, want := look(t, e), look(t, e.Config.Engine())
			if !reflect.DeepEqual(got, want) { // which is faster
				t.Fatalf("an engine that has scraped before sees something else: -new +old engine\n%s", cmp.Diff(want, got))
			}
			checkParses(t, got.Page)
			for of, line := range soundSeries {
				if (format == discover.NoFormat || format == of) && !strings.Contains(got.Page, line) {
					t.Fatalf("%s is missing:\n%s", line, got.Page)
				}
			}
		}
		if os.WriteFile(path, first, 0o600) != nil {
			t.Skip() // not a file name
		}
		check()
		replace(t, path, second)
		check()
		// What is there stays as it is while a file grows.
		replace(t, path, young(second, name, format, int(cut)))
		check()
		rewrite(t, path, second)
		check()
	})
}

// young returns a file as it was when it had some entries less.
func young(file []byte, name string, format discover.Format, entries int) []byte {
	if discover.IsStore(name) {
		format = discover.DirectFileStore
	}
	used := frame.Used(file)
	form, _ := detect.Of(file, used, format)
	ends := []int64{frame.HeaderSize}
	for at := ends[0]; at+4 < min(used, int64(len(file))); at = ends[len(ends)-1] {
		e, damage := form.Layout.At(file[at:], at, used)
		if damage != nil {
			break
		}
		ends = append(ends, e.End)
	}
	if len(ends) == 1 {
		return file
	}
	return withUsed(file, uint32(ends[entries%len(ends)]))
}
