package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	r := ask(handler(t, config(t.TempDir())), "GET", "/")
	for name, want := range securityHeaders {
		if got := r.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := r.Header().Get("Server"); got != "" {
		t.Errorf("the server says that it is %q", got)
	}
	// An operator may have said otherwise, in the web configuration file.
	recorder := httptest.NewRecorder()
	recorder.Header().Set("X-Frame-Options", "sameorigin")
	secure(http.NotFoundHandler()).ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	if got := recorder.Header().Values("X-Frame-Options"); len(got) != 1 || got[0] != "sameorigin" {
		t.Errorf("X-Frame-Options is %q", got)
	}
}
