package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// TestPrometheus lets a real Prometheus scrape one directory in each format.
// It must come to know the same series by the same values, but for what is
// written in docs/formats/exposition.md: bounds are canonical numbers.
//
// PROMETHEUS names another program than that in the path. Prometheus 3 makes
// bounds canonical whatever the format, and knows names that are not classic
// unless it is told in protobuf.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	prometheus := cmp.Or(os.Getenv("PROMETHEUS"), "prometheus")
	newer := isPrometheus3(ctx, t, prometheus)
	dir := t.TempDir()
	for name, entries := range prometheusFiles {
		if newer && name == prometheus2File {
			continue
		}
		writeFile(t, filepath.Join(dir, name), entries)
	}
	plain, both := serve(ctx, t, dir), serve(ctx, t, dir, "--web.enable-openmetrics")
	text := newTarget(t, "text", plain, "text/plain")
	openMetrics := newTarget(t, "openmetrics", both, "application/openmetrics-text")
	protobuf := newTarget(t, "protobuf", both, "application/vnd.google.protobuf")

	native := "--enable-feature=native-histograms"
	first, second := startPrometheus(ctx, t, prometheus, []*target{text, openMetrics}), startPrometheus(ctx, t, prometheus, []*target{protobuf}, native)
	want, err := scrape(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	compareTarget(ctx, t, first, text, known(want, newer, newer))
	compareTarget(ctx, t, first, openMetrics, known(want, true, newer))
	compareTarget(ctx, t, second, protobuf, known(want, true, false))
}

const prometheus2File = "histogram_puma_1-0.db"

// prometheusFiles are files with everything that is written differently in
// different formats.
var prometheusFiles = map[string][]fileEntry{
	"counter_puma_0-0.db": {
		{`["app_total","app_total",["path"],["/a\"b\\\n\u00e9"]]`, 1}, {`["app_total","app_total",["path"],[null]]`, 1e15},
		{`["plain","plain",["le","quantile"],["1","1"]]`, 0.1}, {`["alone_total","alone_total",[],[]]`, 2}, {`["huge_total","huge_total",[],[]]`, math.Inf(1)},
		{`["damaged_total","damaged_total",[],[]]`, -1}, {`["gme_total","gme_total",[],[]]`, 3},
		{`["odd.name_total","odd.name_total",["odd.label"],["x"]]`, 4},
	},
	"counter_puma_1-0.db":   {{`["plain","plain",["le","quantile"],["1","1"]]`, 0.2}},
	"gauge_all_puma_0-0.db": {{`["alone","alone",["le"],["1"]]`, math.NaN()}, {`["level","level",["a"],["b"]]`, -1.5}},
	"gauge_max_puma_0-0.db": {{`["created_created","created_created",[],[]]`, 1e-300}},
	"other_puma_0-0.db":     {{`["untyped","untyped",["quantile"],["1"]]`, 5}},
	"histogram_puma_0-0.db": slices.Concat(
		histogramEntries("seconds", "a", 1, "0.005", "1", "2.5", "10", "1e3", "+Inf"),
		histogramEntries("seconds", "b", 1e6, "0.005", "1", "2.5", "10", "1e3", "+Inf"),
		histogramEntries("partial", "a", 3, "1", "2"),
		histogramEntries("broken", "a", 1.5, "1", "+Inf"),
		histogramEntries("created", "a", 1, "1", "+Inf"),
		histogramEntries("odd.seconds", "a", 1, "1", "+Inf"),
	),
	// Of the text of these, Prometheus 3 drops a bucket that has another spelling
	// of a bound that it knows, and does not see that the other is a histogram's.
	prometheus2File: slices.Concat(
		histogramEntries("spelled", "a", 2, "1", "1.0", "+Inf"),
		histogramEntries("negative", "a", -1, "1", "+Inf"),
	),
	"summary_puma_0-0.db": {
		{`["size","size",["quantile"],["0.50"]]`, 7}, {`["size","size",["quantile"],["1"]]`, 9}, {`["size","size_sum",[],[]]`, 16}, {`["size","size_count",[],[]]`, 2},
		{`["less","less_sum",[],[]]`, 16},
	},
}

// histogramEntries are those of a histogram whose buckets all have one count.
func histogramEntries(name, label string, count float64, bounds ...string) (entries []fileEntry) {
	for _, le := range bounds {
		entries = append(entries, fileEntry{fmt.Sprintf(`[%q,%q,["label","le"],[%q,%q]]`, name, name+"_bucket", label, le), count})
	}
	return append(entries,
		fileEntry{fmt.Sprintf(`[%q,%q,["label"],[%q]]`, name, name+"_sum", label), 0.25},
		fileEntry{fmt.Sprintf(`[%q,%q,["label"],[%q]]`, name, name+"_count", label), count})
}

type fileEntry struct {
	key   string
	value float64
}

func writeFile(t *testing.T, path string, entries []fileEntry) {
	t.Helper()
	b := clientmmap.AppendHeader(nil, 0)
	for _, e := range entries {
		b = clientmmap.AppendEntry(b, []byte(e.key), e.value)
	}
	clientmmap.AppendHeader(b[:0], int64(len(b)))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A target is a page as Prometheus is sent to it: through a proxy, which sees
// what format it gets.
type target struct {
	job, address, want string

	mu  sync.Mutex
	got []string // Content-Types
}

func newTarget(t *testing.T, job, page, want string) *target {
	t.Helper()
	to, err := url.Parse(strings.TrimSuffix(page, "/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	target := &target{job: job, want: want}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		target.mu.Lock()
		defer target.mu.Unlock()
		target.got = append(target.got, r.Header.Get("Content-Type"))
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	target.address = strings.TrimPrefix(server.URL, "http://")
	return target
}

// check checks that all answers had the format that was to be tried.
func (t *target) check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, got := range t.got {
		if !strings.HasPrefix(got, t.want) {
			return fmt.Errorf("%s: got %s", t.job, got)
		}
	}
	return nil
}

func isPrometheus3(ctx context.Context, t *testing.T, program string) bool {
	t.Helper()
	out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	version := regexp.MustCompile(`version (\d+)\.`).FindStringSubmatch(string(out))
	if version == nil {
		t.Fatalf("what version is this?\n%s", out)
	}
	return version[1] != "2"
}

// startPrometheus runs a Prometheus that scrapes targets, and returns its URL.
func startPrometheus(ctx context.Context, t *testing.T, program string, targets []*target, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
	for _, target := range targets {
		config += fmt.Sprintf("- {job_name: %s, static_configs: [{targets: [%q]}]}\n", target.job, target.address)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(context.Background(), dir, program, append([]string{"--config.file=" + file,
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0"}, flags...)...)
	return "http://" + start(ctx, t, cmd)
}

// known returns the series that Prometheus knows of a page in another format,
// with their values; of our own, whose values change, with 0.
func known(p page, canonical, raw bool) map[string]float64 {
	kinds := p.types()
	values := map[string]float64{}
	for _, s := range p.samples {
		family := p.families[s.family].name
		labels := slices.DeleteFunc(slices.Clone(s.labels), func(l label) bool { return l.value == "" })
		for i := range labels {
			l := &labels[i]
			// A histogram that is not shown as one keeps its bounds as they would be.
			if canonical && (l.name == "le" && strings.HasSuffix(s.name, "_bucket") || l.name == "quantile" && kinds[family] == "summary") {
				l.value = canonicalNumber(l.value)
			}
			if raw && l.name == "odd_label" {
				l.name = "odd.label"
			}
		}
		name := s.name
		if raw {
			name = strings.Replace(name, "odd_", "odd.", 1)
		}
		value := s.value
		if strings.HasPrefix(name, "gme_") {
			value = 0
		}
		values[identify(name, labels)] += value
	}
	return values
}

func canonicalNumber(text string) string {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	text = strconv.FormatFloat(value, 'g', -1, 64)
	if !strings.ContainsAny(text, ".eI") {
		text += ".0"
	}
	return text
}

// compareTarget waits until Prometheus knows a target as wanted.
func compareTarget(ctx context.Context, t *testing.T, prometheus string, target *target, want map[string]float64) {
	t.Helper()
	var difference string
	for deadline := time.Now().Add(patience / 3); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		got, err := ask(ctx, prometheus, target.job)
		if err != nil {
			t.Fatal(err)
		}
		if difference = unlike(want, got); difference == "" {
			break
		}
	}
	if err := target.check(); err != nil {
		t.Error(err)
	}
	if difference != "" {
		t.Errorf("%s: %s", target.job, difference)
	}
}

// ask returns the series of a job.
func ask(ctx context.Context, prometheus, job string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+"/api/v1/query?query="+url.QueryEscape(fmt.Sprintf("{job=%q}", job)), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string
		Data   struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if response.StatusCode == http.StatusServiceUnavailable {
		return nil, nil // it has only just started
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return nil, fmt.Errorf("%s: %w: %s", response.Status, err, body)
	}
	series := map[string]float64{}
	for _, r := range answer.Data.Result {
		name := r.Metric["__name__"]
		if name == "up" || strings.HasPrefix(name, "scrape_") {
			continue // its own
		}
		var labels []label
		for l, value := range r.Metric {
			if !slices.Contains([]string{"__name__", "job", "instance"}, l) {
				labels = append(labels, label{l, value})
			}
		}
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, "gme_") {
			value = 0
		}
		series[identify(name, labels)] = value
	}
	return series, nil
}

// unlike says how series differ, "" if they do not.
func unlike(want, got map[string]float64) string {
	var lines []string
	for id, value := range want {
		if is, ok := got[id]; !ok || is != value && !(math.IsNaN(is) && math.IsNaN(value)) {
			lines = append(lines, fmt.Sprintf("%s is %v (there: %v), want %v", id, is, ok, value))
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			lines = append(lines, id+" is too much")
		}
	}
	slices.Sort(lines)
	return excerpt(strings.Join(lines, "\n"))
}
