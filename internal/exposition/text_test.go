package exposition_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// An entry is one entry of a metric file.
type entry struct {
	key   string
	value float64
}

// tb is what testing.TB and rapid.T have in common, as far as it is needed.
type tb interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
	Fatalf(text string, args ...any)
}

// directory writes files, given their entries by name, into a new directory.
func directory(t tb, files map[string][]entry) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "exposition")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, entries := range files {
		b := clientmmap.AppendHeader(nil, 0)
		for _, e := range entries {
			b = layoutOf(name).AppendEntry(b, []byte(e.key), e.value, 1)
		}
		clientmmap.AppendHeader(b[:0], int64(len(b)))
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// layoutOf returns how a file of that name is framed, by clients of which there are
// several versions in one of the ways.
func layoutOf(name string) frame.Layout {
	switch {
	case strings.HasSuffix(name, ".bin"):
		return frame.Layout{Stamped: true}
	case strings.Contains(name, "mostrecent") && !strings.HasSuffix(name, "-0.db"):
		return frame.Layout{Bare: true, Stamped: true}
	}
	return clientmmap.Layout
}

// snapshot collects a directory.
func snapshot(t tb, files map[string][]entry) *collect.Snapshot {
	t.Helper()
	s, err := collect.New(directory(t, files)).Collect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// page renders files as a page of text.
func page(t tb, files map[string][]entry) string {
	t.Helper()
	var b bytes.Buffer
	w := exposition.NewWriter(&b)
	s := snapshot(t, files)
	if err := w.Snapshot(s, s.Layout.Families); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	tests := []struct {
		name  string
		files map[string][]entry
		want  string
	}{
		{name: "empty"},
		{
			name: "counter",
			files: map[string][]entry{
				"counter_puma_0-0.db": {{`["requests_total","requests_total",["method","path"],["get","/a"]]`, 1}, {`["jobs","jobs",[],[]]`, 0.1}},
				"counter_puma_1-0.db": {{`["jobs","jobs",[],[]]`, 0.2}, {`["requests_total","requests_total",["method","path"],["post","/"]]`, 1e21}},
			},
			want: `# HELP jobs Multiprocess metric
# TYPE jobs counter
jobs 0.30000000000000004
# HELP requests_total Multiprocess metric
# TYPE requests_total counter
requests_total{method="get",path="/a"} 1
requests_total{method="post",path="/"} 1e+21
`,
		},
		{
			name: "gauge",
			files: map[string][]entry{
				"gauge_all_puma_0-0.db":     {{`["threads","threads",["pool"],[null]]`, -0.5}},
				"gauge_all_puma_1-0.db":     {{`["threads","threads",["pool"],["a\"b\n"]]`, math.Inf(-1)}},
				"gauge_livesum_puma_0-0.db": {{`["busy","busy",[],[]]`, 2}},
				"gauge_livesum_puma_1-0.db": {{`["busy","busy",[],[]]`, 3}},
				"gauge_max_puma_0-0.db":     {{`["peak","peak",["c"],["\u003c"]]`, 2}},
				"gauge_max_puma_1-0.db":     {{`["peak","peak",["c"],["<"]]`, 3}},
				"gauge_min_puma_0-0.db":     {{`["least","least",["t"],[true]]`, math.NaN()}},
			},
			want: `# HELP busy Multiprocess metric
# TYPE busy gauge
busy 5
# HELP least Multiprocess metric
# TYPE least gauge
least{t="true"} NaN
# HELP peak Multiprocess metric
# TYPE peak gauge
peak{c="<"} 3
# HELP threads Multiprocess metric
# TYPE threads gauge
threads{pool="",pid="puma_0"} -0.5
threads{pool="a\"b\n",pid="puma_1"} -Inf
`,
		},
		{
			name: "histogram",
			files: map[string][]entry{
				"histogram_1-0.db": {
					{`["seconds","seconds_sum",["a"],["x"]]`, 12.5}, {`["seconds","seconds_count",["a"],["x"]]`, 4},
					{`["seconds","seconds_bucket",["a","le"],["x","+Inf"]]`, 4}, {`["seconds","seconds_bucket",["a","le"],["x","10"]]`, 3},
					{`["seconds","seconds_bucket",["a","le"],["x","2.5"]]`, 1},
				},
				"histogram_2-0.db": {{`["seconds","seconds_bucket",["a","le"],["x","+Inf"]]`, 1e6}},
			},
			want: `# HELP seconds Multiprocess metric
# TYPE seconds histogram
seconds_bucket{a="x",le="2.5"} 1
seconds_bucket{a="x",le="10"} 3
seconds_bucket{a="x",le="+Inf"} 1.000004e+06
seconds_sum{a="x"} 12.5
seconds_count{a="x"} 4
`,
		},
		{
			name: "summary",
			files: map[string][]entry{
				"summary_1-0.db": {
					{`["size","size_count",[],[]]`, 2}, {`["size","size_sum",[],[]]`, 3e-7},
					{`["size","size",["quantile"],["0.99"]]`, 9}, {`["size","size",["quantile"],["0.5"]]`, math.Inf(1)},
				},
			},
			want: `# HELP size Multiprocess metric
# TYPE size summary
size{quantile="0.5"} +Inf
size{quantile="0.99"} 9
size_sum 3e-07
size_count 2
`,
		},
		{
			name:  "untyped",
			files: map[string][]entry{"foo_1-0.db": {{`["m","m",[],[]]`, 1}}},
			want: `# HELP m Multiprocess metric
# TYPE m untyped
m 1
`,
		},
		{
			name: "nothing that can be shown",
			files: map[string][]entry{
				"counter_1-0.db": {{"bad key", 1}}, "counter_2-0.db": nil, "counter.db": {{`["m","m",[],[]]`, 1}}, "README": {{`["m","m",[],[]]`, 1}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, page(t, tt.files)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAppendValue(t *testing.T) {
	tests := []struct {
		value float64
		want  string
	}{
		{0, "0"}, {math.Copysign(0, -1), "-0"}, {1, "1"}, {-1, "-1"}, {42, "42"}, {-42, "-42"},
		{0.1, "0.1"}, {1.5, "1.5"}, {0.30000000000000004, "0.30000000000000004"}, {1.0 / 3, "0.3333333333333333"},
		{999999, "999999"}, {999999.5, "999999.5"}, {1e6, "1e+06"}, {1000001, "1.000001e+06"}, {123456789, "1.23456789e+08"},
		{1e15, "1e+15"}, {1e16, "1e+16"}, {1e17, "1e+17"}, {123456789012345678, "1.2345678901234568e+17"}, {1e100, "1e+100"},
		{0.0001, "0.0001"}, {0.00001, "1e-05"}, {3.14e+42, "3.14e+42"}, {-1.23e-45, "-1.23e-45"},
		{math.SmallestNonzeroFloat64, "5e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{math.Nextafter(1, 2), "1.0000000000000002"}, {math.Nextafter(1e6, 0), "999999.9999999999"},
		{math.Inf(1), "+Inf"}, {math.Inf(-1), "-Inf"},
		{math.NaN(), "NaN"}, {math.Copysign(math.NaN(), -1), "NaN"}, {math.Float64frombits(0x7ff0000000000002), "NaN"},
	}
	for _, tt := range tests {
		if got := string(exposition.AppendValue([]byte("kept "), tt.value)); got != "kept "+tt.want {
			t.Errorf("got %s, want kept %s", got, tt.want)
		}
		checkValue(t, tt.value)
	}
}

// FuzzAppendValue checks that a value reads as expfmt writes it, and that it
// is the same value to the bit when it is read again.
func FuzzAppendValue(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 0.1, 1e6, 999999, 1 << 53, 1e21, 5e-324, math.MaxFloat64, math.Inf(1), math.NaN()} {
		f.Add(math.Float64bits(v))
	}
	f.Fuzz(func(t *testing.T, bits uint64) { checkValue(t, math.Float64frombits(bits)) })
}

func checkValue(t *testing.T, value float64) {
	t.Helper()
	got := string(exposition.AppendValue(nil, value))
	again, err := strconv.ParseFloat(got, 64)
	if err != nil || math.Float64bits(again) != math.Float64bits(value) && !(math.IsNaN(again) && math.IsNaN(value)) {
		t.Errorf("%v is written as %s, which reads as %v, %v", value, got, again, err)
	}
	var b bytes.Buffer
	family := &dto.MetricFamily{
		Name:   new("m"),
		Type:   dto.MetricType_UNTYPED.Enum(),
		Metric: []*dto.Metric{{Untyped: &dto.Untyped{Value: new(value)}}},
	}
	if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSuffix(strings.TrimPrefix(b.String(), "# TYPE m untyped\nm "), "\n")
	if value == 0 {
		want = strings.TrimPrefix(got, "-") // expfmt drops the sign, which we keep
		if want != "0" {
			t.Errorf("%v is written as %s", value, got)
		}
		return
	}
	if got != want {
		t.Errorf("%v is written as %s, expfmt writes %s", value, got, want)
	}
}

// A recorder keeps what is written to it, write by write, until it fails.
type recorder struct {
	writes []string
	fail   int // the write that fails, counted from 1
}

var errFull = errors.New("full")

func (r *recorder) Write(b []byte) (int, error) {
	r.writes = append(r.writes, string(b))
	if len(r.writes) == r.fail {
		return 0, errFull
	}
	return len(b), nil
}

// big are the files of a page that takes several writes.
func big() map[string][]entry {
	var entries []entry
	for i := range 10_000 {
		entries = append(entries, entry{fmt.Sprintf(`["m%d","m%d",["a"],[%d]]`, i/100, i/100, i), float64(i)})
	}
	return map[string][]entry{"counter_1-0.db": entries}
}

// A page is never in memory as a whole, and is the same however it is cut.
func TestWriterInParts(t *testing.T) {
	s := snapshot(t, big())
	var want []byte
	for _, family := range s.Layout.Families {
		want = fmt.Appendf(want, "# HELP %s Multiprocess metric\n# TYPE %s %s\n", family.Name, family.Name, family.Type)
		for _, id := range family.Series {
			want = exposition.AppendSample(want, s.Layout, id, s.Value(id))
		}
	}
	w := exposition.NewWriter(nil)
	for range 2 { // a Writer serves page after page
		var to recorder
		w.Begin(&to, exposition.Text)
		if err := errors.Join(w.Snapshot(s, s.Layout.Families), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(to.writes, ""); got != string(want) {
			t.Errorf("got a page of %d bytes, want %d", len(got), len(want))
		}
		for _, part := range to.writes {
			if len(part) > 128<<10 {
				t.Errorf("%d bytes in one write", len(part))
			}
		}
		if len(to.writes) < 3 {
			t.Errorf("%d writes for %d bytes", len(to.writes), len(want))
		}
	}
}

// The first error ends the page.
func TestWriterFails(t *testing.T) {
	s := snapshot(t, big())
	own := []*dto.MetricFamily{{Name: new("gme_x"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{}}}}}
	for fail := 1; fail <= 3; fail++ {
		to := recorder{fail: fail}
		w := exposition.NewWriter(&to)
		first := w.Snapshot(s, s.Layout.Families)
		if first == nil {
			first = w.Flush()
		}
		for _, err := range []error{first, w.Families(own), w.Flush(), w.Snapshot(s, s.Layout.Families)} {
			if !errors.Is(err, errFull) {
				t.Errorf("write %d fails: error is %v", fail, err)
			}
		}
		if len(to.writes) != fail {
			t.Errorf("write %d fails: there are %d", fail, len(to.writes))
		}
		var again recorder
		w.Begin(&again, exposition.Text)
		if err := errors.Join(w.Snapshot(s, s.Layout.Families), w.Flush()); err != nil {
			t.Errorf("after write %d failed and Reset: %v", fail, err)
		}
	}
}

// Families of our own stand where they are written, between and after others.
func TestWriterFamilies(t *testing.T) {
	s := snapshot(t, map[string][]entry{"counter_1-0.db": {{`["m","m",[],[]]`, 1}}})
	own := []*dto.MetricFamily{{
		Name: new("gme_x"), Help: new("Help."), Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(0.5)}}},
	}}
	var to recorder
	w := exposition.NewWriter(&to)
	if err := errors.Join(w.Families(own), w.Snapshot(s, s.Layout.Families), w.Families(own), w.Flush()); err != nil {
		t.Fatal(err)
	}
	const mine = "# HELP gme_x Help.\n# TYPE gme_x gauge\ngme_x 0.5\n"
	want := mine + "# HELP m Multiprocess metric\n# TYPE m counter\nm 1\n" + mine
	if diff := cmp.Diff(want, strings.Join(to.writes, "")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
