package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// bounded starts a server of h with at most n connections.
func bounded(t *testing.T, n int, h http.Handler) (address string, c *connections) {
	t.Helper()
	c = newConnections(n)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = c.changed
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), c
}

// connect opens a connection that ends with the test.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConnectionsAreBounded: who opens connections and asks for nothing, or for
// half of something, loses them to those who come later; who has asked does not.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 10
	started, release := make(chan struct{}), make(chan struct{})
	address, c := bounded(t, most, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			started <- struct{}{}
			<-release
		}
		fmt.Fprint(w, "done")
	}))
	done := sync.OnceFunc(func() { close(release) })
	t.Cleanup(done) // or the server would not end
	busy := connect(t, address)
	fmt.Fprint(busy, "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
	<-started

	var stalled []net.Conn
	for i := range 5 * most {
		s := connect(t, address)
		if i%2 == 0 {
			fmt.Fprint(s, "GET / HTTP/1.1\r\nHost")
		}
		stalled = append(stalled, s)
	}
	for range 3 {
		response, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", "http://"+address+"/", nil).WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if n, err := stalled[0].Read(make([]byte, 1)); err == nil {
		t.Errorf("the first of the stalled is still there, and was sent %d bytes", n)
	}
	c.mu.Lock()
	n := len(c.open)
	c.mu.Unlock()
	if n > most {
		t.Errorf("%d connections, want at most %d", n, most)
	}
	done()
	response, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || response.StatusCode != 200 {
		t.Errorf("the request that was under way: %v, %v", response, err)
	}
}

// TestWhoIsDropped: the one that has been without a request for longest.
func TestWhoIsDropped(t *testing.T) {
	t.Parallel()
	c := newConnections(3)
	closed := func(connection net.Conn) bool { return connection.SetDeadline(time.Time{}) != nil }
	var all []net.Conn
	open := func() {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		all = append(all, near)
		c.changed(near, http.StateNew)
	}
	for range 3 {
		open()
	}
	c.changed(all[0], http.StateActive)
	c.changed(all[2], http.StateActive)
	open()
	c.changed(all[2], http.StateIdle)
	open()
	c.changed(all[4], http.StateActive)
	open()
	open()
	for i, want := range []bool{false, true, true, true, false, true, false} {
		if got := closed(all[i]); got != want {
			t.Errorf("connection %d is closed: %v, want %v", i, got, want)
		}
	}
	c.changed(all[5], http.StateIdle) // as its server did not know yet
	c.changed(all[6], http.StateActive)
	open()
	if !closed(all[7]) {
		t.Error("there is room for one more although all have requests")
	}
	for _, connection := range all {
		c.changed(connection, http.StateClosed)
	}
	if len(c.open) != 0 {
		t.Errorf("%d connections are kept in mind", len(c.open))
	}
}

// TestStopWaitsForNobodyIdle: connections on which nothing was asked for do
// not delay the end.
func TestStopWaitsForNobodyIdle(t *testing.T) {
	t.Parallel()
	s, err := Listen(Listening{Addresses: []string{"127.0.0.1:0"}}, NewHandler(config("")), quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	address := s.Addresses()[0]
	connect(t, address)
	fmt.Fprint(connect(t, address), "GET /metrics HTTP/1.1\r\n")
	if code, _, err := fetch(t.Context(), "http://"+address+"/-/ready"); code != 200 || err != nil { // those before are accepted then
		t.Fatal(code, err)
	}
	start := time.Now()
	stop()
	select {
	case err := <-ended:
		if took := time.Since(start); err != nil || took > shutdownTimeout-200*time.Millisecond {
			t.Errorf("it took %v; %v", took, err)
		}
	case <-time.After(patience):
		t.Error("the server does not stop")
	}
}

// TestBodyIsNotAwaited: a request that announces a body is answered without it.
func TestBodyIsNotAwaited(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(NewHandler(config(t.TempDir())))
	t.Cleanup(server.Close) // after the connections: it waits for requests
	for _, length := range []string{"Content-Length: 1000", "Content-Length: 100000000000", "Transfer-Encoding: chunked"} {
		c := connect(t, server.Listener.Addr().String())
		fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", length)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", length, err)
		}
		page, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || !strings.Contains(string(page), "gme_probe_success") || !response.Close {
			t.Errorf("%s: %v, %v, %s", length, response, err, page)
		}
	}
}

func TestBoundConnections(t *testing.T) {
	t.Parallel()
	for descriptors, want := range map[uint64]int{0: 8, 20: 8, 96: 48, 256: 208, 547: 499, 548: 500, 1024: 500, 1 << 63: 500} {
		if got := boundConnections(descriptors, 48); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
	if got := boundConnections(256, 100); got != 156 {
		t.Errorf("256 descriptors, 100 of them ours: %d connections", got)
	}
}

// TestDropSilentTLS: nobody waits for a client that does not read the end of TLS.
func TestDropSilentTLS(t *testing.T) {
	some := httptest.NewTLSServer(nil)
	defer some.Close()
	a, b := net.Pipe()
	defer b.Close()
	server := tls.Server(a, &tls.Config{Certificates: some.TLS.Certificates, SessionTicketsDisabled: true})
	go func() { _ = tls.Client(b, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := newConnections(1)
	c.changed(server, http.StateNew)
	start := time.Now()
	c.dropWaiting()
	if took := time.Since(start); took > 3*time.Second { // it would be 5
		t.Errorf("it took %v", took)
	}
}
