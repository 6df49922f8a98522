package web

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/probe"
)

func TestTimeoutOf(t *testing.T) {
	tests := []struct {
		header string
		want   time.Duration
	}{
		// Who does not say, or makes no sense, gets the default.
		{"", time.Minute},
		{"0.75", 375 * time.Millisecond},
		{"soon", time.Minute},
		{"10s", time.Minute},
		{"0", time.Minute},
		{"-1", time.Minute},
		{"NaN", time.Minute},
		{"+Inf", time.Minute},
		{"-Inf", time.Minute},
		// Nobody gets more.
		{"61", time.Minute},
		{"1e300", time.Minute},
		{"1e999", time.Minute},
		// We give up half a second earlier than the client.
		{"60", 59500 * time.Millisecond},
		{"10", 9500 * time.Millisecond},
		{"10.000000", 9500 * time.Millisecond}, // as Prometheus writes it
		{"1e1", 9500 * time.Millisecond},
		{"1.5", time.Second},
		{"1.25", 750 * time.Millisecond},
		// Unless that is most of it.
		{"1", 500 * time.Millisecond},
		{"0.5", 250 * time.Millisecond},
		{"0.1", 50 * time.Millisecond},
		{"1e-9", 0},
	}
	for _, tt := range tests {
		h := http.Header{}
		if tt.header != "" {
			h.Set("X-Prometheus-Scrape-Timeout-Seconds", tt.header)
		}
		if got := timeoutOf(h); got != tt.want {
			t.Errorf("timeoutOf(%q) = %v, want %v", tt.header, got, tt.want)
		}
		if got := timeoutOf(h); got > scrapeTimeout {
			t.Errorf("timeoutOf(%q) = %v is more than is allowed", tt.header, got)
		}
	}
}

// TestScrapeGetsTheTime: what the client says is the scrape's deadline.
func TestScrapeGetsTheTime(t *testing.T) {
	for header, want := range map[string]time.Duration{"": time.Minute, "10": 9500 * time.Millisecond, "1": 500 * time.Millisecond} {
		c := config("")
		var left time.Duration
		scrape := c.Scrape
		c.Scrape = func(ctx context.Context, sel probe.Selection) (*probe.Page, error) {
			deadline, ok := ctx.Deadline()
			if !ok {
				t.Errorf("%q: the scrape has no deadline", header)
			}
			left = time.Until(deadline)
			return scrape(ctx, sel)
		}
		ask(NewHandler(c), "GET", "/metrics", "X-Prometheus-Scrape-Timeout-Seconds", header)
		// Some of the time may have passed, but none can have been added.
		if left > want || left < want-400*time.Millisecond {
			t.Errorf("%q: the scrape has %v, want %v", header, left, want)
		}
	}
}

// TestScrapeOutOfTime: a client that has no time gets what there is.
func TestScrapeOutOfTime(t *testing.T) {
	c := config(t.TempDir())
	r := ask(NewHandler(c), "GET", "/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "1e-9")
	if r.Code != http.StatusOK || !contains(r.Body.String(), `gme_probe_success{probe="mmap"} 0`) {
		t.Errorf("status %d: %s", r.Code, r.Body)
	}
}

// TestEmptyDirectory: nothing to show is no reason to cut the page short.
func TestEmptyDirectory(t *testing.T) {
	c := config("")
	c.Scrape = probe.New(probe.Known, collect.New(t.TempDir()), quiet).ScrapeOnly
	r := ask(NewHandler(c), "GET", "/metrics")
	for _, name := range probe.Known {
		if want := fmt.Sprintf("\ngme_probe_success{probe=%q} 1\n", name); r.Code != 200 || !contains(r.Body.String(), want) {
			t.Errorf("status %d, %q is not in\n%s", r.Code, want, r.Body)
		}
	}
}

// TestWritersAreReused: pages that follow each other, packed or not, do not
// get into each other's way.
func TestWritersAreReused(t *testing.T) {
	c := config("")
	c.Scrape = probe.New([]string{probe.Mmap}, collect.New(t.TempDir()), quiet).ScrapeOnly
	h := NewHandler(c)
	for i := range 20 {
		var header []string
		if i%3 != 0 {
			header = []string{"Accept-Encoding", "gzip"}
		}
		r := ask(h, "GET", "/metrics", header...)
		var body io.Reader = r.Body
		if header != nil {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatalf("page %d: %v", i, err)
		}
		if !contains(string(text), `gme_probe_success{probe="mmap"} 1`) {
			t.Errorf("page %d: %s", i, text)
		}
	}
}

// TestGone: who left is nobody's fault; who is there, and does not read, is one.
func TestGone(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	full := errors.New("full")
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		want bool
	}{
		{t.Context(), full, false},
		{t.Context(), fmt.Errorf("write: %w", net.ErrClosed), true},
		{ended, full, true},
		{ended, fmt.Errorf("write: %w", os.ErrDeadlineExceeded), false},
	} {
		if got := gone(httptest.NewRequest("GET", "/", nil).WithContext(tt.ctx), tt.err); got != tt.want {
			t.Errorf("%v, %v: %t", tt.ctx.Err(), tt.err, got)
		}
	}
}

// TestPagesAreReleased: also those of the status.
func TestPagesAreReleased(t *testing.T) {
	c := config(t.TempDir())
	var seen *collect.Snapshot
	scrape, survey := c.Scrape, c.Survey
	c.Scrape = func(ctx context.Context, s probe.Selection) (*probe.Page, error) {
		p, err := scrape(ctx, s)
		seen = p.Snapshot()
		return p, err
	}
	c.Survey = func(ctx context.Context) (*collect.Snapshot, error) {
		s, err := survey(ctx)
		seen = s
		return s, err
	}
	h := NewHandler(c)
	for _, path := range []string{"/metrics", "/api/v1/status/files"} {
		if ask(h, "GET", path); seen == nil || seen.Layout != nil {
			t.Errorf("%s: the snapshot is kept", path)
		}
	}
}

// TestCertificateIsLoggedOnce: a bad certificate is one line, and its end is another.
func TestCertificateIsLoggedOnce(t *testing.T) {
	j := &journal{}
	var err error
	r := &renewed{get: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, err }, log: j.logger()}
	bad := errors.New("bad")
	for _, err = range []error{nil, nil, bad, bad, nil, nil} {
		_, _ = r.certificate(nil)
	}
	if got := j.String(); strings.Count(got, "\n") != 2 || !contains(got, "cannot be read") || !contains(got, "can be read again") {
		t.Error(got)
	}
}
