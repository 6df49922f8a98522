package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestStalledMakeRoom: a client that does not read its page loses its place to
// one who wants it, and keeps it otherwise.
func TestStalledMakeRoom(t *testing.T) {
	t.Parallel()
	const places = 3
	var cut atomic.Int32
	started := make(chan struct{})
	limited := limiter(places)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/endless" {
			fmt.Fprint(w, "done")
			return
		}
		started <- struct{}{}
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				cut.Add(1)
				panic(http.ErrAbortHandler)
			}
		}
	}))
	server := httptest.NewServer(limited)
	t.Cleanup(server.Close)
	for range places {
		fmt.Fprint(connect(t, server.Listener.Addr().String()), "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
		<-started
	}
	get := func() int {
		code, _, err := fetch(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	// Whoever comes before the clients count as stalled is refused.
	refused := 0
	for start := time.Now(); get() != http.StatusOK; refused++ {
		if time.Since(start) > patience {
			t.Fatal("there is no room")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for range 10 {
		if code := get(); code != http.StatusOK { // there is room now
			t.Errorf("status %d, want 200", code)
		}
	}
	for start := time.Now(); cut.Load() == 0 && time.Since(start) < patience; {
		time.Sleep(time.Millisecond)
	}
	if n := cut.Load(); n != 1 {
		t.Errorf("%d clients were cut off for one who wanted a place, want 1", n)
	}
	t.Logf("refused %d times before", refused)
}

// TestWaitingIsNotStalling: a scrape that takes long is not cut off: its client
// has nothing to read yet.
func TestWaitingIsNotStalling(t *testing.T) {
	t.Parallel()
	l := &limit{max: 1, requests: map[*request]bool{}}
	q := &request{ResponseWriter: httptest.NewRecorder()}
	if !l.enter(q) {
		t.Fatal("there is no place")
	}
	if l.enter(&request{}) {
		t.Error("there is a place more")
	}
	q.since.Store(time.Now().Add(-stallTime / 2).UnixNano())
	if l.enter(&request{}) {
		t.Error("a client that reads slowly was cut off")
	}
	q.since.Store(time.Now().Add(-2 * stallTime).UnixNano())
	if !l.enter(&request{}) {
		t.Error("a client that does not read was not cut off")
	}
	l.leave(q) // which has none any more
	if l.enter(&request{}) {
		t.Error("who was cut off has given back the place of another")
	}
}

// TestTakenIsNotStalled: who has taken all that was sent is waited for by nobody.
func TestTakenIsNotStalled(t *testing.T) {
	q := &request{ResponseWriter: httptest.NewRecorder()}
	if _, err := q.Write([]byte("x")); err != nil || q.since.Load() != 0 {
		t.Errorf("since %d, %v", q.since.Load(), err)
	}
}

// TestLongestStalled: of several who take nothing, the one that does for longest is cut off,
// and there are never more than may be.
func TestLongestStalled(t *testing.T) {
	for range 50 { // maps have no order
		l := &limit{max: 3, requests: map[*request]bool{}}
		var all []*request
		for i := range l.max {
			q := &request{ResponseWriter: httptest.NewRecorder()}
			l.enter(q)
			q.since.Store(time.Now().Add(-time.Duration(10+i) * stallTime).UnixNano())
			all = append(all, q)
		}
		if !l.enter(&request{ResponseWriter: httptest.NewRecorder()}) {
			t.Fatal("nobody makes room")
		}
		if l.requests[all[2]] || !l.requests[all[1]] || !l.requests[all[0]] || len(l.requests) != l.max {
			t.Fatalf("%d are left, not all that should be", len(l.requests))
		}
	}
}
