package web

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConnectionsAreKept: a client that scrapes every two minutes, as few do, keeps its
// connection.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	s, err := Listen(Listening{Addresses: []string{"127.0.0.1:0", "127.0.0.1:0"}}, NewHandler(config("")), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(s.listeners)
	for _, server := range s.servers {
		// Without one, that for reading a request would be it.
		if server.IdleTimeout <= 2*time.Minute {
			t.Errorf("idle connections are closed after %v", server.IdleTimeout)
		}
	}
}

// TestListenAndServe: all addresses are served, and free again afterwards.
func TestListenAndServe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("http_server_config:\n  headers:\n    X-Frame-Options: deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, configFile := range map[string]string{"plain": "", "with a configuration": file} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := Listening{Addresses: []string{"127.0.0.1:0", "127.0.0.1:0"}, ConfigFile: configFile}
			s, err := Listen(l, NewHandler(config("")), quiet)
			if err != nil {
				t.Fatal(err)
			}
			addresses := s.Addresses()
			if len(addresses) != 2 || addresses[0] == addresses[1] {
				t.Fatalf("addresses are %q", addresses)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx) }()
			for _, address := range addresses {
				code, body, err := fetch(t.Context(), "http://"+address+"/-/ready")
				if err != nil || code != 200 || !strings.Contains(body, "ready") {
					t.Errorf("%s: status %d, %q, %v", address, code, body, err)
				}
			}
			stop()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("the server does not stop")
			}
			for _, address := range addresses {
				l, err := net.Listen("tcp", address)
				if err != nil {
					t.Errorf("the address is not free again: %v", err)
					continue
				}
				l.Close()
			}
		})
	}
}

// TestListenGivesBack: if one address cannot be had, the others are not kept.
func TestListenGivesBack(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.4:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.4:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	l := Listening{Addresses: []string{address, taken.Addr().String()}}
	if _, err := Listen(l, NewHandler(config("")), quiet); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("the error is %v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the first address is kept: %v", err)
	}
	again.Close()
}

// TestListenErrors: what is wrong with a file is said before anything is
// opened, with the file's name.
func TestListenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nonsense := filepath.Join(dir, "nonsense")
	if err := os.WriteFile(nonsense, []byte("nonsense: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	tests := map[string]Listening{
		"no configuration":  {ConfigFile: missing},
		"bad configuration": {ConfigFile: nonsense},
		"no certificate":    {CertFile: missing, KeyFile: missing},
		"bad certificate":   {CertFile: nonsense, KeyFile: nonsense},
	}
	for name, l := range tests {
		l.Addresses = []string{"127.0.0.1:0"}
		_, err := Listen(l, NewHandler(config("")), quiet)
		if err == nil || !strings.Contains(err.Error(), l.ConfigFile+l.CertFile) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// TestServeStopsAtOnce: a server that is told to stop before it has begun
// does not hang.
func TestServeStopsAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		stoppedAtOnce(t, "127.0.0.1:0")
	}
}

// stoppedAtOnce returns a server that was told to stop before it had begun, and has.
func stoppedAtOnce(t *testing.T, address string) *Server {
	t.Helper()
	s, err := Listen(Listening{Addresses: []string{address}}, NewHandler(config("")), quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
	return s
}

// TestNotReadyAtTheEnd: who stops says so to whoever still asks.
func TestNotReadyAtTheEnd(t *testing.T) {
	s := stoppedAtOnce(t, "127.0.0.1:0")
	if r := ask(s.handler, "GET", readyPath); r.Code != 503 {
		t.Errorf("status %d: %s", r.Code, r.Body)
	}
}
