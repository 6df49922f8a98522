package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web/status"
)

// patience is how long the tests wait for what should happen at once.
const patience = 20 * time.Second

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// A journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// logger returns a log of everything to j.
func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// config returns a configuration whose page is that of a directory.
func config(dir string) Config {
	probes := probe.New([]string{probe.Mmap}, collect.New(dir), quiet)
	return Config{
		TelemetryPath: "/metrics",
		MaxRequests:   40,
		Build:         status.Build{Version: "1.2.3"},
		Directories:   []string{dir},
		Scrape:        probes.ScrapeOnly,
		Survey:        probes.Survey,
		Log:           quiet,
	}
}

// ask sends a request to a handler; header is name and value in turn.
func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, asking(method, path, header...))
	return recorder
}

func asking(method, path string, header ...string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// fetch gets a URL and returns its status and body.
func fetch(ctx context.Context, url string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	return response.StatusCode, string(content), nil
}
