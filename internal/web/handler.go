// Package web serves pages over HTTP: /metrics, health, and a landing page.
//
// Nothing that a client does, or fails to do, holds up anybody else: a page is
// collected before its first byte is sent, is sent from a snapshot in small
// pieces, and the sending has a deadline.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"gitlab-metrics-exporter/internal/probe"
)

// Paths beside the telemetry path.
const (
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
	pprofPath   = "/debug/pprof/"
)

// Reserved lists the paths that cannot be the telemetry path.
var Reserved = []string{"/", healthyPath, readyPath, pprofPath}

// Config says what is served.
type Config struct {
	TelemetryPath string                                                      // of the metrics; starts with a slash
	MaxRequests   int                                                         // scrapes at once; 0 means no limit
	Pprof         bool                                                        // serve profiles under /debug/pprof/
	Version       string                                                      // shown on the landing page
	Scrape        func(context.Context, probe.Selection) (*probe.Page, error) // an error is the client's: it names what is not there
	Log           *slog.Logger
}

// A Handler serves a Config. Use NewHandler.
type Handler struct {
	mux     *http.ServeMux
	closing atomic.Bool
	log     *slog.Logger
}

// NewHandler returns a handler for c.
func NewHandler(c Config) (*Handler, error) {
	h := &Handler{mux: http.NewServeMux(), log: c.Log}
	landing, err := landingPage(c)
	if err != nil {
		return nil, fmt.Errorf("landing page: %w", err)
	}
	// A pattern with GET serves HEAD as well, and answers 405 to the rest.
	h.mux.Handle("GET /{$}", landing)
	h.mux.Handle("GET "+c.TelemetryPath, limit(c.MaxRequests, newMetrics(c)))
	h.mux.HandleFunc("GET "+healthyPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "gitlab-metrics-exporter is healthy.")
	})
	h.mux.HandleFunc("GET "+readyPath, func(w http.ResponseWriter, _ *http.Request) {
		if h.closing.Load() {
			answer(w, http.StatusServiceUnavailable, "gitlab-metrics-exporter is shutting down.")
			return
		}
		answer(w, http.StatusOK, "gitlab-metrics-exporter is ready.")
	})
	if c.Pprof {
		h.mux.HandleFunc("GET "+pprofPath, pprof.Index)
		h.mux.HandleFunc("GET "+pprofPath+"cmdline", pprof.Cmdline)
		h.mux.HandleFunc("GET "+pprofPath+"profile", pprof.Profile)
		h.mux.HandleFunc("GET "+pprofPath+"symbol", pprof.Symbol)
		h.mux.HandleFunc("GET "+pprofPath+"trace", pprof.Trace)
	}
	return h, nil
}

func landingPage(c Config) (http.Handler, error) {
	links := []toolkit.LandingLinks{
		{Address: c.TelemetryPath, Text: "Metrics", Description: "what Prometheus scrapes"},
		{Address: healthyPath, Text: "Health", Description: "whether the process answers"},
		{Address: readyPath, Text: "Readiness", Description: "whether it takes requests"},
	}
	return toolkit.NewLandingPage(toolkit.LandingConfig{
		Name:        "gitlab-metrics-exporter",
		Description: "Metrics of a multi-process application, from its metric files",
		Version:     c.Version,
		Profiling:   strconv.FormatBool(c.Pprof),
		Links:       links,
	})
}

// ServeHTTP serves one request, and logs it at level debug.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Each request has a deadline of its own: a connection keeps that of the
	// request before. Profiles take as long as they are asked to.
	deadline := time.Now().Add(scrapeTimeout + sendTime)
	if strings.HasPrefix(r.URL.Path, pprofPath) {
		deadline = time.Time{}
	}
	setWriteDeadline(w, deadline)
	if !h.log.Enabled(r.Context(), slog.LevelDebug) {
		h.mux.ServeHTTP(w, r)
		return
	}
	start := time.Now()
	recorder := &recorder{ResponseWriter: w, code: http.StatusOK}
	h.mux.ServeHTTP(recorder, r)
	h.log.Debug("Request", "method", r.Method, "path", r.URL.Path, "code", recorder.code,
		"bytes", recorder.bytes, "duration", time.Since(start), "remote", r.RemoteAddr)
}

// setWriteDeadline says until when a client must have read its answer.
func setWriteDeadline(w http.ResponseWriter, deadline time.Time) {
	// What is not a connection, as in tests, has no deadline.
	_ = http.NewResponseController(w).SetWriteDeadline(deadline)
}

// A recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// limit lets at most n requests through at once; 0 means any number.
func limit(n int, next http.Handler) http.Handler {
	if n == 0 {
		return next
	}
	tokens := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case tokens <- struct{}{}:
			defer func() { <-tokens }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			answer(w, http.StatusServiceUnavailable, fmt.Sprintf("%d scrapes are under way already; try again later.", n))
		}
	})
}

// answer answers with one line of text.
func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
