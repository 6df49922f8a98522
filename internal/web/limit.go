package web

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// stallTime is how long a client may take for a piece of its page, 64 KiB,
// before its place is given to another who needs it.
const stallTime = time.Second

// limiter returns what makes handlers let at most n requests through at once,
// all of them together; 0 means any number. Clients that do not read their
// answers keep nobody out.
func limiter(n int) func(http.Handler) http.Handler {
	if n == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	l := &limit{max: n, requests: map[*request]bool{}}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := &request{ResponseWriter: w}
			if !l.enter(q) {
				w.Header().Set("Retry-After", "1")
				refuse(w, r, http.StatusServiceUnavailable, fmt.Sprintf("%d scrapes are under way already; try again later.", n))
				return
			}
			defer l.leave(q)
			next.ServeHTTP(q, r)
		})
	}
}

// A limit is a number of places for requests.
type limit struct {
	max int

	mu       sync.Mutex
	requests map[*request]bool // that have a place
}

// A request is one that has a place, or wants one.
type request struct {
	http.ResponseWriter
	since atomic.Int64 // when its client was sent what it has not taken yet, in Unix nanoseconds, or 0
}

// Write implements io.Writer.
func (q *request) Write(p []byte) (int, error) {
	q.since.Store(time.Now().UnixNano())
	defer q.since.Store(0)
	return q.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (q *request) Unwrap() http.ResponseWriter { return q.ResponseWriter }

func (l *limit) enter(q *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) >= l.max && !l.cutStalled() {
		return false
	}
	l.requests[q] = true
	return true
}

func (l *limit) leave(q *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.requests, q)
}

// cutStalled ends the request whose client has taken nothing for longest, if
// that is too long, and frees its place.
func (l *limit) cutStalled() bool {
	var longest *request
	oldest := time.Now().Add(-stallTime).UnixNano()
	for q := range l.requests {
		if since := q.since.Load(); since != 0 && since < oldest {
			longest, oldest = q, since
		}
	}
	if longest == nil {
		return false
	}
	// It is still there: it leaves under our lock.
	setWriteDeadline(longest, time.Now())
	delete(l.requests, longest)
	return true
}
