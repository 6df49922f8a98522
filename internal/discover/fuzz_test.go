package discover_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/discover"
)

// FuzzParse checks that whatever a file is called, it is refused or what is said of
// it makes sense: nothing of the name is lost, and put together again it says the
// same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{
		"", ".db", ".bin", "counter", "counter.db", "counter_.db", "counter_1-0.db", "counter_puma_0-0.db", "foo_1-0.db", "_x.db", "exemplar_1-0.db",
		"gauge_all_a-1_b-2_c-3-0.db", "gauge_all_1-2-3.db", "gauge_all_-1.db", "gauge_all_1_.db", "gauge__1-0.db", "gauge-7_all-3_1-0.db",
		"gauge_livesum_12.db", "gauge_livemostrecent_12.db", "gauge_max_host_a-1.db", "gauge_min_\xff.db", "gauge_all_\xff-0.db", "histogram_12.db",
		"summary_host_a-1.db", "metric_a___b____12.bin", "metric____1.bin", "metric_a___.bin", "metric_a___\xff.bin", "x___1.bin", "counter_1-0.db.bin",
	} {
		for format := range len(discover.Formats) + 1 {
			f.Add(name, uint8(format))
		}
	}
	f.Fuzz(func(t *testing.T, name string, number uint8) {
		format := discover.Format(int(number) % (len(discover.Formats) + 1))
		file, err := discover.Parse(name, format)
		if err != nil {
			if file != (discover.File{}) {
				t.Errorf("%+v with error %v", file, err)
			}
			return
		}
		checkFile(t, file)
		if file.Name != name || file.Format != format {
			t.Errorf("%q in format %v becomes %q in %v", name, format, file.Name, file.Format)
		}
		again := spelling(file)
		if exact := file.Metric != "" || format == discover.Python; exact && again != name {
			t.Errorf("%q becomes %+v, which is %q", name, file, again)
		}
		want := file
		want.Name = again
		got, err := discover.Parse(again, format)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q is %+v, but %q: %v\n%s", name, file, again, err, diff)
		}
	})
}

// spelling returns a name for what a file is, behind each part of which there may
// be a number in files of client-mmap.
func spelling(f discover.File) string {
	switch {
	case f.Metric != "":
		return "metric_" + f.Metric + "___" + f.PID + ".bin"
	case f.Format == discover.Python && f.Type == discover.Gauge:
		return f.TypeText + "_" + f.Mode + "_" + f.PID + ".db"
	case f.Format == discover.Python:
		return f.TypeText + "_" + f.PID + ".db"
	}
	name := f.TypeText + "-0_" + f.Mode + "-1"
	for part := range strings.SplitSeq(f.PID, "_") {
		name += "_" + part + "-2"
	}
	return name + ".db"
}

// checkFile checks what is true of every file.
func checkFile(t *testing.T, f discover.File) {
	t.Helper()
	store, python := strings.HasSuffix(f.Name, ".bin"), f.Format == discover.Python
	for what, broken := range map[string]bool{
		"a metric if and only if it is a DirectFileStore's": store != (f.Metric != "") || store && !discover.IsStore(f.Name),
		"processes apart if and only if the last one wins":  f.PerProcess != (f.Rule == discover.Last),
		"a rule of its own for gauges and stores alone":     f.Rule != discover.Sum && f.Type != discover.Gauge && !store,
		"a most recent value in Python's files alone":       f.Rule == discover.MostRecent && !python,
		"own counts in Python's histograms alone":           f.OwnCounts != (python && f.Type == discover.Histogram && !store),
		"a process id that can be a label":                  f.PerProcess && !utf8.ValidString(f.PID),
		"a process in files of these formats":               (python || store) && f.PID == "",
		"a type as it is spelled":                           f.Type != discover.Untyped && f.Type.String() != f.TypeText,
		"a mode for gauges alone":                           (f.GaugeMode() != "") != (f.Type == discover.Gauge),
		"live gauges alone":                                 f.Live() && f.Type != discover.Gauge,
		"a process that the name has":                       !strings.Contains(withoutNumbers(f.Name), withoutNumbers(f.Process())),
	} {
		if broken {
			t.Errorf("not %s: %+v", what, f)
		}
	}
}

// withoutNumbers drops what parts of a name may lose.
func withoutNumbers(name string) string {
	return string(slices.DeleteFunc([]byte(name), func(c byte) bool { return c == '-' || c >= '0' && c <= '9' }))
}
