package probe_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/probe"
)

// patience is how long a test waits for something that must come soon.
const patience = 30 * time.Second

// image returns a metric file with the keys and the values 1, 2, 3, ...
func image(keys ...string) []byte {
	b := clientmmap.AppendHeader(nil, 0)
	for i, key := range keys {
		b = clientmmap.AppendEntry(b, []byte(key), float64(i+1))
	}
	clientmmap.AppendHeader(b[:0], int64(len(b)))
	return b
}

var healthy = image(`["app_total","app_total",[],[]]`)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

// render returns a page's text, which Prometheus' own parser understands.
func render(t testing.TB, p *probe.Page) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	var b bytes.Buffer
	must(t, p.Write(exposition.NewWriter(&b)))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(b.String()))
	if err != nil {
		t.Fatalf("the page cannot be parsed: %v\n%s", err, b.String())
	}
	return b.String(), families
}

// scrape scrapes once, with time enough.
func scrape(t testing.TB, s *probe.Set) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	p := s.Scrape(t.Context())
	defer p.Release()
	return render(t, p)
}

// success returns what gme_probe_success says, by probe.
func success(t testing.TB, families map[string]*dto.MetricFamily) map[string]float64 {
	t.Helper()
	outcome := map[string]float64{}
	for _, m := range families["gme_probe_success"].GetMetric() {
		outcome[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	return outcome
}

// A journal is a slog.Handler that keeps what is logged.
type journal struct {
	mu    sync.Mutex
	lines []string // "LEVEL message; file=x reason=y"
}

func (*journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler     { return j }
func (j *journal) WithGroup(string) slog.Handler          { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	what, _, _ := strings.Cut(r.Message, ";")
	line := r.Level.String() + " " + what + ";"
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "file", "files", "reason", "family", "families":
			line += " " + a.String()
		}
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	return nil
}

// take returns what was logged since it was called last.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

// newSet returns a set of all probes for dir, and what it logs.
func newSet(dir string) (*probe.Set, *journal) {
	j := &journal{}
	return probe.New(probe.Known, collect.New(dir), slog.New(j)), j
}
