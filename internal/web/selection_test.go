package web

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/fleet"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/probe"
)

// TestSelection: a query narrows the page, and is told what it cannot have.
func TestSelection(t *testing.T) {
	dir := t.TempDir()
	if err := fleet.Generate(dir, fleet.Plan{Processes: 2, Entries: 500}); err != nil {
		t.Fatal(err)
	}
	c := config(dir)
	c.Scrape = probe.New(probe.Known, collect.New(dir), quiet).ScrapeOnly
	h := NewHandler(c)
	whole := samples(ask(h, "GET", "/metrics").Body.String())
	const name = "gitlab_transaction_event_0_total"
	bucket := whole[slices.IndexFunc(whole, func(s string) bool { return strings.HasSuffix(s, "_bucket") })]

	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"?name[]=" + name, []string{name}},
		{"?name%5B%5D=" + name + "&name[]=gme_mmap_series", []string{name, "gme_mmap_series"}},
		{"?name[]=" + bucket, []string{bucket}},
		{"?name[]=" + strings.TrimSuffix(bucket, "_bucket"), histogram(bucket)},
		{"?name[]=" + strings.TrimSuffix(bucket, "_bucket") + "&name[]=" + bucket, histogram(bucket)},
		{"?probe[]=self&name[]=gme_build_info", []string{"gme_build_info"}},
		{"?collect[]=mmap_stats&name[]=gme_mmap_series", []string{"gme_mmap_series"}},
		{"?name[]=gme_go_gc_duration_seconds_count", []string{"gme_go_gc_duration_seconds", "gme_go_gc_duration_seconds_count", "gme_go_gc_duration_seconds_sum"}},
		{"?other=ignored&name[]=" + name, []string{name}},
	} {
		r := ask(h, "GET", "/metrics"+tt.query)
		if got := slices.Compact(slices.Sorted(slices.Values(samples(r.Body.String())))); r.Code != http.StatusOK || !slices.Equal(got, tt.want) {
			t.Errorf("%s: status %d, %q, want %q", tt.query, r.Code, got, tt.want)
		}
	}
	for query, want := range map[string]string{
		"?probe[]=mmap&probe[]=nonsense": `unknown probe ["nonsense"]; known are mmap, mmap_stats, self`,
		"?collect[]=":                    `unknown probe [""]; known are mmap, mmap_stats, self`,
		"?name[]=%zz":                    `invalid URL escape "%zz"`,
		"?name[]=" + name + ";x":         `invalid semicolon separator in query`,
		"?name[]=nonsense":               `unknown metric ["nonsense"]; known are gitlab_rails_operation_0_duration_seconds, `,
	} {
		if r := ask(h, "GET", "/metrics"+query); r.Code != http.StatusBadRequest || !contains(r.Body.String(), want) {
			t.Errorf("%s: status %d, %q, want %q", query, r.Code, r.Body, want)
		}
	}
	if r := ask(h, "GET", "/metrics?probe[]=self"); contains(r.Body.String(), name) || !contains(r.Body.String(), "gme_build_info") {
		t.Errorf("the page of one probe: %s", r.Body)
	}
}

// TestSelectionOfFailure: what is not there because its probe failed is no
// mistake of the client's.
func TestSelectionOfFailure(t *testing.T) {
	c := config("")
	c.Scrape = probe.New(probe.Known, collect.New(t.TempDir()+"/missing"), quiet).ScrapeOnly
	if r := ask(NewHandler(c), "GET", "/metrics?name[]=app_total"); r.Code != http.StatusOK || r.Body.Len() != 0 {
		t.Errorf("status %d: %s", r.Code, r.Body)
	}
}

// TestSelectionBesideHugeNames: whoever misspells a name is not told names of megabytes.
func TestSelectionBesideHugeNames(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("x", 1<<20)
	key, err := clientmmap.AppendKey(nil, name, name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	image := clientmmap.AppendEntry(clientmmap.AppendHeader(nil, 0), key, 1)
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, "counter_1-0.db"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(dir)
	c.Scrape = probe.New(probe.Known, collect.New(dir), quiet).ScrapeOnly
	r := ask(NewHandler(c), "GET", "/metrics?name[]=nonsense")
	if text := r.Body.String(); r.Code != http.StatusBadRequest || len(text) > 10_000 || !contains(text, "known are xxx") {
		t.Errorf("status %d: %d bytes, %.100q ...", r.Code, len(text), text)
	}
}

// samples returns the names of the samples on a page, line by line.
func samples(page string) []string {
	var names []string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line[:strings.IndexAny(line, "{ ")])
		}
	}
	return names
}

func histogram(bucket string) []string {
	base := strings.TrimSuffix(bucket, "_bucket")
	return []string{bucket, base + "_count", base + "_sum"}
}
