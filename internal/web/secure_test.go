package web

import (
	"net/http"
	"testing"
)

// TestSecurityHeaders: each answer has them, also those that Go makes, of which
// some are HTML.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	c := config(t.TempDir())
	c.Pprof = true
	h := NewHandler(c)
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"GET", "/?limit=x", 400},
		{"POST", "/", 405},
		{"GET", "/<b>", 404},
		{"GET", "//metrics", 307},
		{"GET", "/debug/pprof", 307},
		{"GET", "/debug/pprof/", 200},
		{"GET", "/debug/pprof/<b>", 404},
		{"GET", "/metrics", 200},
		{"GET", "/-/healthy", 200},
		{"GET", "/api/v1/status/build", 200},
		{"POST", "/api/v1/status/build", 405},
	} {
		r := ask(h, tt.method, tt.path)
		if r.Code != tt.code {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, r.Code, tt.code)
		}
		for name, want := range securityHeaders {
			if got := r.Header().Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %s is %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		if got := r.Header().Get("Server"); got != "" {
			t.Errorf("%s %s: the server says that it is %q", tt.method, tt.path, got)
		}
	}
	// An operator may have said otherwise, in the web configuration file.
	header := http.Header{"X-Frame-Options": {"sameorigin"}}
	secure(header)
	if got := header.Values("X-Frame-Options"); len(got) != 1 || got[0] != "sameorigin" {
		t.Errorf("X-Frame-Options is %q", got)
	}
}
