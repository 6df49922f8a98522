package discover_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/discover"
)

func TestParse(t *testing.T) {
	const (
		untyped   = discover.Untyped
		counter   = discover.Counter
		gauge     = discover.Gauge
		histogram = discover.Histogram
		summary   = discover.Summary
		sum       = discover.Sum
		last      = discover.Last
	)
	tests := []struct {
		name     string
		typ      discover.Type
		rule     discover.Rule
		typeText string
		mode     string
		pid      string
	}{
		{"counter_12345-0.db", counter, sum, "counter", "12345", ""},
		{"counter_process_id_77-0.db", counter, sum, "counter", "process", "id_77"},
		{"histogram_1-0.db", histogram, sum, "histogram", "1", ""},
		{"summary_1-0.db", summary, sum, "summary", "1", ""},
		{"gauge_livesum_puma_0-0.db", gauge, sum, "gauge", "livesum", "puma_0"},
		{"gauge_min_1-0.db", gauge, discover.Min, "gauge", "min", "1"},
		{"gauge_max_1-0.db", gauge, discover.Max, "gauge", "max", "1"},
		{"gauge_liveall_1-0.db", gauge, last, "gauge", "liveall", "1"},
		{"gauge_all_12345-0.db", gauge, last, "gauge", "all", "12345"},
		{"gauge_all_puma_0-0.db", gauge, last, "gauge", "all", "puma_0"},
		{"gauge_all_process_id_77-0.db", gauge, last, "gauge", "all", "process_id_77"},
		{"gauge_all_worker-1_0-0.db", gauge, last, "gauge", "all", "worker_0"},
		{"gauge_all_a-1_b-2_c-3-0.db", gauge, last, "gauge", "all", "a_b_c-3"},
		{"gauge_all_-1-0.db", gauge, last, "gauge", "all", "-1"},
		{"gauge_all_1-2-3.db", gauge, last, "gauge", "all", "1-2"},
		{"gauge_all_1.db", gauge, last, "gauge", "all", "1"},
		{"gauge_all-3_1-0.db", gauge, last, "gauge", "all", "1"},
		{"gauge-7_all_1-0.db", gauge, last, "gauge", "all", "1"},
		{"gauge_all.db", gauge, last, "gauge", "all", ""},
		{"gauge_all_.db", gauge, last, "gauge", "all", ""},
		{"gauge_all_1_.db", gauge, last, "gauge", "all", "1"},
		{"counter_-1.db", counter, sum, "counter", "", ""},
		{"gauge__1-0.db", gauge, last, "gauge", "", "1"},
		{"gauge_MAX_1-0.db", gauge, last, "gauge", "MAX", "1"},
		{"foo_1-0.db", untyped, sum, "foo", "1", ""},
		{"Counter_1-0.db", untyped, sum, "Counter", "1", ""},
		{"_x.db", untyped, sum, "", "x", ""},
		{"counter_1-0.db.db", counter, sum, "counter", "1-0.db", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := discover.Parse(tt.name, discover.NoFormat)
			if err != nil {
				t.Fatal(err)
			}
			want := discover.File{Name: tt.name, Type: tt.typ, Rule: tt.rule, PerProcess: tt.rule == last, TypeText: tt.typeText, Mode: tt.mode, PID: tt.pid}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParsePython(t *testing.T) {
	tests := map[string]discover.File{
		"exemplary_12.db":                 {TypeText: "exemplary", PID: "12"},
		"counter_12.db":                   {Type: discover.Counter, TypeText: "counter", PID: "12"},
		"summary_host_a-1.db":             {Type: discover.Summary, TypeText: "summary", PID: "host_a-1"},
		"histogram_12.db":                 {Type: discover.Histogram, TypeText: "histogram", PID: "12", OwnCounts: true},
		"gauge_all_12.db":                 {Type: discover.Gauge, Rule: discover.Last, PerProcess: true, TypeText: "gauge", Mode: "all", PID: "12"},
		"gauge_liveall_host_a-1.db":       {Type: discover.Gauge, Rule: discover.Last, PerProcess: true, TypeText: "gauge", Mode: "liveall", PID: "host_a-1"},
		"gauge_sum_12.db":                 {Type: discover.Gauge, Rule: discover.Sum, TypeText: "gauge", Mode: "sum", PID: "12"},
		"gauge_livesum_12.db":             {Type: discover.Gauge, Rule: discover.Sum, TypeText: "gauge", Mode: "livesum", PID: "12"},
		"gauge_min_12.db":                 {Type: discover.Gauge, Rule: discover.Min, TypeText: "gauge", Mode: "min", PID: "12"},
		"gauge_livemax_12.db":             {Type: discover.Gauge, Rule: discover.Max, TypeText: "gauge", Mode: "livemax", PID: "12"},
		"gauge_mostrecent_12.db":          {Type: discover.Gauge, Rule: discover.MostRecent, TypeText: "gauge", Mode: "mostrecent", PID: "12"},
		"gauge_livemostrecent_12.db":      {Type: discover.Gauge, Rule: discover.MostRecent, TypeText: "gauge", Mode: "livemostrecent", PID: "12"},
		"gauge_latest_12.db":              {Type: discover.Gauge, Rule: discover.Last, PerProcess: true, TypeText: "gauge", Mode: "latest", PID: "12"},
		"unknown_12.db":                   {TypeText: "unknown", PID: "12"},
		"untyped_12.db":                   {TypeText: "untyped", PID: "12"},
		"metric_http_seconds___12.bin":    {Metric: "http_seconds", PID: "12", Rule: discover.Last, PerProcess: true},
		"metric_a___b____12.bin":          {Metric: "a___b_", PID: "12", Rule: discover.Last, PerProcess: true},
		"metric_http:seconds___a_b-1.bin": {Metric: "http:seconds", PID: "a_b-1", Rule: discover.Last, PerProcess: true},
	}
	for name, want := range tests {
		want.Name, want.Format = name, discover.Python
		got, err := discover.Parse(name, discover.Python)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	for _, name := range []string{"counter.db", "counter_.db", "gauge_all.db", "gauge_all_.db", "gauge.db", ".db", "exemplar_1.db",
		"metric_.bin", "metric_a.bin", "metric_a__1.bin", "metric____1.bin", "metric_a___.bin", "metric_a___\xff.bin", "x___1.bin"} {
		if f, err := discover.Parse(name, discover.Python); err == nil {
			t.Errorf("%q: got %+v, want an error", name, f)
		}
	}
}

func TestLive(t *testing.T) {
	for name, want := range map[string]bool{
		"counter_liveworker_1.db": false, "gauge_liveall_1.db": true, "gauge_livemostrecent_1.db": true, "gauge_all_1.db": false, "counter_live_1.db": false,
	} {
		f, err := discover.Parse(name, discover.Python)
		if err != nil || f.Live() != want {
			t.Errorf("%s: %t, %v", name, f.Live(), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, name := range []string{
		"", "counter", "counter_1-0", "counter_1-0.DB", "counter_1-0.db~",
		".db", "counter.db", "counter_.db", "counter__.db", "exemplar_1-0.db", "gauge_all_\xff-0.db",
	} {
		if f, err := discover.Parse(name, discover.NoFormat); err == nil {
			t.Errorf("%q: got %+v, want an error", name, f)
		}
	}
}

func namesIn(dir string, format discover.Format) ([]string, error) {
	d, err := discover.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return discover.Names(d, format)
}

func TestNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[x]*") // glob characters mean nothing
	if _, err := namesIn(dir, discover.NoFormat); err == nil {
		t.Error("missing directory: want an error")
	}
	for _, name := range []string{"b_1.db", "a_10.db", "a_2.db", ".hidden_1.db", "metric_m___1.bin", "m___1.bin", ".metric_m___1.bin", "metrics.metadata.json", "a_1.DB", "a_1.db~", "notes.txt"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := namesIn(dir, discover.NoFormat)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a_10.db", "a_2.db", "b_1.db", "metric_m___1.bin", "sub.db"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for format, want := range map[discover.Format]int{discover.ClientMmap: 4, discover.Python: 4, discover.DirectFileStore: 1} {
		if got, err := namesIn(dir, format); err != nil || len(got) != want {
			t.Errorf("%v: %q, %v", format, got, err)
		}
	}
}

// A pipe in the place of a directory keeps nobody waiting.
func TestNamesOfPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := namesIn(pipe, discover.NoFormat)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe has names")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits")
	}
}

// Whose file it is does not depend on whether the format is known.
func TestProcessOfFormat(t *testing.T) {
	for name, want := range map[string]struct {
		format  discover.Format
		process string
	}{
		"counter_puma_0-0.db":       {discover.ClientMmap, "puma_0"},
		"counter_puma_\xff-0.db":    {discover.ClientMmap, "puma_\xff"}, // no label of a page
		"counter_1-.db":             {discover.ClientMmap, "1-"},
		"counter_12.db":             {discover.Python, "12"},
		"histogram_host_a-1.db":     {discover.Python, "host_a-1"},
		"gauge_max_\xff.db":         {discover.Python, "\xff"},
		"metric_a___12.bin":         {discover.DirectFileStore, "12"},
		"gauge_all_puma_0-0-0.db":   {discover.ClientMmap, "puma_0-0"},
		"counter_liveworker_0-0.db": {discover.ClientMmap, "liveworker_0"},
	} {
		f, err := discover.Parse(name, want.format)
		if err != nil || f.Process() != want.process || f.Live() {
			t.Errorf("%q: process %q, want %q, live %t, %v", name, f.Process(), want.process, f.Live(), err)
		}
	}
}

func TestProcess(t *testing.T) {
	for name, want := range map[string][2]string{
		"counter_puma_0-0.db":         {"puma_0", ""},
		"histogram_puma_master-0.db":  {"puma_master", ""},
		"counter_123-0.db":            {"123", ""},
		"gauge_all_puma_0-0.db":       {"puma_0", "all"},
		"gauge_livesum_sidekiq_1.db":  {"sidekiq_1", "livesum"},
		"gauge_odd_puma_0-0.db":       {"puma_0", "other"},
		"gauge_all-0.db":              {"", "all"},
		"unknown_type_of_file_1-0.db": {"type_of_file_1", ""},
	} {
		f, err := discover.Parse(name, discover.NoFormat)
		if err != nil {
			t.Fatal(err)
		}
		if f.Process() != want[0] || f.GaugeMode() != want[1] {
			t.Errorf("%s: process %q, mode %q; want %q", name, f.Process(), f.GaugeMode(), want)
		}
	}
}
