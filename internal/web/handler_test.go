package web

import (
	"bufio"
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

	"gitlab-metrics-exporter/internal/exposition"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestHandler(t *testing.T) {
	c := config(t.TempDir())
	plain := NewHandler(c)
	c.Pprof = true
	profiled := NewHandler(c)
	c.Pprof, c.TelemetryPath = false, "/a/b"
	moved := NewHandler(c)
	closing := NewHandler(config(""))
	closing.closing.Store(true)
	const text = "text/plain; charset=utf-8"
	tests := []struct {
		name         string
		handler      *Handler
		method, path string
		code         int
		contentType  string
		body         string // that the whole contains
	}{
		{"metrics", plain, "GET", "/metrics", 200, exposition.TextType, "gme_probe_success{probe=\"mmap\"} 1\n"},
		{"metrics, HEAD", plain, "HEAD", "/metrics", 200, exposition.TextType, ""},
		{"healthy", plain, "GET", "/-/healthy", 200, text, "gitlab-metrics-exporter is healthy.\n"},
		{"ready", plain, "GET", "/-/ready", 200, text, "gitlab-metrics-exporter is ready.\n"},
		{"healthy at the end", closing, "GET", "/-/healthy", 200, text, "gitlab-metrics-exporter is healthy.\n"},
		{"not ready at the end", closing, "GET", "/-/ready", 503, text, "gitlab-metrics-exporter is shutting down.\n"},
		{"metrics at the end", closing, "GET", "/metrics", 200, exposition.TextType, "gme_probe_success"},
		{"landing page", plain, "GET", "/", 200, "text/html; charset=UTF-8", `href="/metrics"`},
		{"landing page, version", plain, "GET", "/", 200, "text/html; charset=UTF-8", "1.2.3"},
		{"landing page, moved", moved, "GET", "/", 200, "text/html; charset=UTF-8", `href="/a/b"`},
		{"moved", moved, "GET", "/a/b", 200, exposition.TextType, "gme_probe_success"},
		{"moved away", moved, "GET", "/metrics", 404, text, ""},
		{"below the metrics", plain, "GET", "/metrics/x", 404, text, ""},
		{"unknown", plain, "GET", "/x", 404, text, ""},
		{"POST", plain, "POST", "/metrics", 405, text, ""},
		{"no profiles", plain, "GET", "/debug/pprof/", 404, text, ""},
		{"profiles", profiled, "GET", "/debug/pprof/", 200, "text/html; charset=utf-8", "goroutine"},
		{"a profile", profiled, "GET", "/debug/pprof/goroutine?debug=1", 200, text, "goroutine profile"},
		{"profiles, POST", profiled, "POST", "/debug/pprof/symbol", 405, text, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(tt.handler, tt.method, tt.path)
			if r.Code != tt.code {
				t.Errorf("status %d, want %d", r.Code, tt.code)
			}
			if got := r.Header().Get("Content-Type"); !strings.EqualFold(got, tt.contentType) {
				t.Errorf("Content-Type is %q, want %q", got, tt.contentType)
			}
			if tt.method == "HEAD" && r.Body.Len() != 0 {
				t.Errorf("a body: %q", r.Body)
			}
			if !contains(r.Body.String(), tt.body) {
				t.Errorf("%q is not in %.1000s", tt.body, r.Body)
			}
			if got := r.Header().Get("Allow"); (got == "GET, HEAD") != (tt.code == 405) {
				t.Errorf("Allow is %q", got)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	block := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		started <- struct{}{}
		<-release
		w.WriteHeader(http.StatusNoContent)
	})
	for _, n := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := limiter(n)(block)
			codes := make(chan int)
			begin := func(requests int) {
				for range requests {
					go func() { codes <- ask(h, "GET", "/").Code }()
					<-started
				}
			}
			end := func(requests int) {
				for range requests {
					release <- struct{}{}
					if code := <-codes; code != http.StatusNoContent {
						t.Errorf("status %d, want 204", code)
					}
				}
			}
			if n == 0 { // means as many as like
				begin(100)
				end(100)
				return
			}
			for range 2 { // what is over makes room
				begin(n)
				r := ask(h, "GET", "/")
				if r.Code != http.StatusServiceUnavailable || r.Header().Get("Retry-After") != "1" {
					t.Errorf("one too many: status %d, Retry-After %q", r.Code, r.Header().Get("Retry-After"))
				}
				if want := fmt.Sprintf("%d scrapes are under way already", n); !contains(r.Body.String(), want) {
					t.Errorf("%q does not say why", r.Body)
				}
				end(n)
			}
		})
	}
	t.Run("panic", func(t *testing.T) {
		h := limiter(1)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		for range 2 { // the second would be refused, if the first had kept its place
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic is lost, or the request was refused")
					}
				}()
				ask(h, "GET", "/")
			}()
		}
	})
}

// TestRequestsAreLogged: at level debug, with what was answered.
func TestRequestsAreLogged(t *testing.T) {
	j := &journal{}
	c := config("")
	c.Log = j.logger()
	h := NewHandler(c)
	ask(h, "GET", "/-/healthy")
	ask(h, "GET", "/unknown")
	for _, want := range []string{
		`level=DEBUG msg=Request method=GET path=/-/healthy code=200 bytes=36 `,
		`level=DEBUG msg=Request method=GET path=/unknown code=404 `,
	} {
		if !contains(j.String(), want) {
			t.Errorf("%q is not in %s", want, j)
		}
	}
}

// TestPanicsAreLogged: a bug ends its request, and the log says where it is; a page
// that is broken off on purpose is no bug. Both are requests.
func TestPanicsAreLogged(t *testing.T) {
	for _, tt := range []struct {
		path  string
		cause any
		bug   bool
	}{
		{"/bug", "for a test", true},
		{"/broken-off", http.ErrAbortHandler, false},
	} {
		j := &journal{}
		c := config("")
		c.Log = j.logger()
		h := NewHandler(c)
		h.mux.HandleFunc("GET "+tt.path, func(http.ResponseWriter, *http.Request) { panic(tt.cause) })
		func() {
			defer func() {
				if cause := recover(); cause != http.ErrAbortHandler {
					t.Errorf("%s: it goes on with %v", tt.path, cause)
				}
			}()
			ask(h, "GET", tt.path)
		}()
		bug := contains(j.String(), "level=ERROR") && contains(j.String(), `panic="for a test"`) && contains(j.String(), "handler_test.go")
		if bug != tt.bug || !contains(j.String(), "msg=Request method=GET path="+tt.path) {
			t.Errorf("%s: log is %s", tt.path, j)
		}
	}
}

// TestDeadlinesReachTheConnection: the wrapper that counts bytes for the log
// must not keep them away. A client that does not read is cut off.
func TestDeadlinesReachTheConnection(t *testing.T) {
	t.Parallel()
	j := &journal{}
	c := config("")
	c.Log = j.logger()
	h := NewHandler(c)
	errs := make(chan error, 1)
	h.mux.HandleFunc("GET /endless", func(w http.ResponseWriter, _ *http.Request) {
		setWriteDeadline(w, time.Now().Add(200*time.Millisecond))
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				errs <- err
				return
			}
		}
	})
	server := httptest.NewServer(h)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case err := <-errs:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended with %v, want a time-out", err)
		}
	case <-time.After(patience):
		t.Errorf("a client that does not read is not cut off")
	}
}

// TestDeadlineIsRenewed: a connection that is kept does not die of the
// deadline of its last request.
func TestDeadlineIsRenewed(t *testing.T) {
	t.Parallel()
	h := NewHandler(config(""))
	h.mux.HandleFunc("GET /short", func(w http.ResponseWriter, _ *http.Request) {
		setWriteDeadline(w, time.Now().Add(50*time.Millisecond))
		fmt.Fprint(w, "short")
	})
	server := httptest.NewServer(h)
	defer server.Close()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(connection)
	get := func(path string) {
		t.Helper()
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if response.StatusCode != 200 {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
	get("/short")
	<-time.After(100 * time.Millisecond) // until that deadline is over
	get("/metrics")
}

// TestReserved: what cannot be the path of the metrics is taken.
func TestReserved(t *testing.T) {
	for _, path := range Reserved {
		c := config("")
		c.Pprof = true
		if r := ask(NewHandler(c), "GET", path); r.Code != 200 {
			t.Errorf("%q is reserved, but not served: status %d", path, r.Code)
		}
	}
}

// TestAbortIsNoBug: a page that could not be sent is cut off on purpose.
func TestAbortIsNoBug(t *testing.T) {
	j := &journal{}
	c := config(usual(t))
	c.Log = j.logger()
	askDeaf(t, NewHandler(c))
	if contains(j.String(), "bug") {
		t.Error(j)
	}
}

// deadlined is a client of a connection whose deadline was set.
type deadlined struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.at = at
	return nil
}

// TestWriteDeadlines: every answer has its time, but profiles, which take as long as
// was asked for.
func TestWriteDeadlines(t *testing.T) {
	c := config(t.TempDir())
	c.Pprof = true
	h := NewHandler(c)
	for path, want := range map[string]time.Duration{
		"/metrics": 10*time.Second - timeoutMargin + sendTime, "/": scrapeTimeout + sendTime, "/-/ready": scrapeTimeout + sendTime, "/debug/pprof/cmdline": 0,
	} {
		d := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(d, asking("GET", path, "X-Prometheus-Scrape-Timeout-Seconds", "10"))
		if left := time.Until(d.at); d.at.IsZero() != (want == 0) || want > 0 && (left > want || left < want-3*time.Second) {
			t.Errorf("%s: %v, want %v", path, left, want)
		}
	}
}

// TestLoggedBytes: of an answer in pieces all count.
func TestLoggedBytes(t *testing.T) {
	j := &journal{}
	c := config(usual(t))
	c.Log = j.logger()
	if n := ask(NewHandler(c), "GET", "/").Body.Len(); !contains(j.String(), fmt.Sprintf("bytes=%d ", n)) {
		t.Errorf("%d bytes, but %s", n, j)
	}
}

// TestNotStored: nothing that is said of this moment is for a cache.
func TestNotStored(t *testing.T) {
	h := NewHandler(config(t.TempDir()))
	for _, path := range []string{"/-/ready", "/-/healthy", "/metrics", "/metrics?name[]=x"} {
		if got := ask(h, "GET", path).Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: %q", path, got)
		}
	}
}
