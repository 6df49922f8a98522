// Package web serves pages over HTTP: /metrics, health, and the status.
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
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web/status"
)

// Paths beside the telemetry path.
const (
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
	pprofPath   = "/debug/pprof/"
)

// Reserved lists the paths that cannot be the telemetry path.
var Reserved = []string{"/", healthyPath, readyPath, pprofPath, status.Path}

// Config says what is served.
type Config struct {
	TelemetryPath string // of the metrics; starts with a slash
	MaxRequests   int    // scrapes at once; 0 means no limit
	Pprof         bool   // serve profiles under /debug/pprof/
	OpenMetrics   bool   // offer that format to clients that like it
	Build         status.Build
	Directories   []string // of the metric files: their paths
	Log           *slog.Logger

	// Scrape makes a page. Its error is the client's: it names what is not there.
	Scrape func(context.Context, probe.Selection) (*probe.Page, error)

	// Survey looks at the directory, for the status. Its error is the directory's.
	Survey func(context.Context) (*collect.Snapshot, error)
}

// A Handler serves a Config. Use NewHandler.
type Handler struct {
	mux     *http.ServeMux
	closing atomic.Bool
	log     *slog.Logger

	directories int // that a scrape holds open
}

// NewHandler returns a handler for c.
func NewHandler(c Config) *Handler {
	h := &Handler{mux: http.NewServeMux(), log: c.Log, directories: len(c.Directories)}
	state := newStatus(c)
	c.Scrape = state.Scrape(c.Scrape)
	limited := limiter(c.MaxRequests)
	// A pattern with GET serves HEAD as well, and answers 405 to the rest.
	h.mux.Handle("GET /{$}", limited(state.Page()))
	h.mux.Handle(status.Path, state.API(limited))
	h.mux.Handle("GET "+c.TelemetryPath, limited(state.Handler(newMetrics(c))))
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
	return h
}

func newStatus(c Config) *status.Status {
	links := []status.Link{
		{Path: c.TelemetryPath, Text: "Metrics"},
		{Path: healthyPath, Text: "Health"},
		{Path: readyPath, Text: "Readiness"},
	}
	if c.Pprof {
		links = append(links, status.Link{Path: pprofPath, Text: "Profiles"})
	}
	return status.New(status.Config{Build: c.Build, Directories: c.Directories, Survey: c.Survey, Links: links, Log: c.Log})
}

// ServeHTTP serves one request, and logs it at level debug.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.logPanic(r)
	// Each request has a deadline of its own: a connection keeps that of the
	// request before. Profiles take as long as they are asked to.
	deadline := time.Now().Add(scrapeTimeout + sendTime)
	if strings.HasPrefix(r.URL.Path, pprofPath) {
		deadline = time.Time{}
	}
	setWriteDeadline(w, deadline)
	secure(w.Header())
	if r.ContentLength != 0 {
		// Nothing here takes a body: answer without waiting for it.
		w.Header().Set("Connection", "close")
	}
	if !h.log.Enabled(r.Context(), slog.LevelDebug) {
		h.mux.ServeHTTP(w, r)
		return
	}
	start := time.Now()
	recorder := &recorder{ResponseWriter: w, code: http.StatusOK}
	defer func() { // also if it is broken off
		h.log.Debug("Request", "method", r.Method, "path", r.URL.Path, "code", recorder.code,
			"bytes", recorder.bytes, "duration", time.Since(start), "remote", r.RemoteAddr)
	}()
	h.mux.ServeHTTP(recorder, r)
}

// logPanic ends a request that panics, and logs why: the HTTP server would do so where
// it tells of clients' faults, which few want to see.
func (h *Handler) logPanic(r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause != http.ErrAbortHandler {
		h.log.Error("Request failed; this is a bug", "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
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

// refuse answers that there is nothing to be had, in the language of the path.
func refuse(w http.ResponseWriter, r *http.Request, code int, text string) {
	if strings.HasPrefix(r.URL.Path, status.Path) {
		status.Fail(w, code, text)
		return
	}
	answer(w, code, text)
}

// answer answers with one line of text.
func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
