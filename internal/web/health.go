package web

import (
	"net"
	"net/http"
	"sync"
)

// exempt returns a handler that sends questions for health to health, and all
// others to next. It asks for no password; TLS, and certificates of clients,
// are a matter of the connection, and stay as they are.
func exempt(health, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks := r.Method == http.MethodGet || r.Method == http.MethodHead
		if asks && (r.URL.Path == healthyPath || r.URL.Path == readyPath) {
			health.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A hooked listener calls before once, when it is asked for the first
// connection. That is the moment when exporter-toolkit has put its
// authentication around a server's handler, and nobody uses it yet.
type hooked struct {
	net.Listener
	before func()
	once   sync.Once
}

func (h *hooked) Accept() (net.Conn, error) {
	h.once.Do(h.before)
	return h.Listener.Accept()
}
