package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// maxConnections is how many connections there are at most. Each costs some
// ten thousand bytes while nothing is asked for.
const maxConnections = 500

// ownDescriptors is how many descriptors the server needs for itself, beside one for
// each directory: listeners, the log, the files that are read side by side, and some to
// spare.
const ownDescriptors = 48

// mostConnections returns how many connections there may be, such that descriptors
// are left to read files with.
func mostConnections(directories int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return maxConnections
	}
	return boundConnections(uint64(limit.Cur), ownDescriptors+directories)
}

// boundConnections is that number for a limit of descriptors, of which we need some
// ourselves: at least a few, even if they may not be enough.
func boundConnections(descriptors uint64, own int) int {
	if descriptors >= uint64(maxConnections+own) {
		return maxConnections
	}
	return max(8, int(descriptors)-own)
}

// connections bounds how many connections there are, of all servers together.
// One too many costs the one that has been without a request for longest: it
// is idle, or never came to ask. So nobody can keep others out by opening
// connections. Use newConnections.
type connections struct {
	max int

	mu   sync.Mutex
	open map[net.Conn]time.Time // since when there is no request; zero if there is one
}

func newConnections(most int) *connections {
	return &connections{max: most, open: map[net.Conn]time.Time{}}
}

// changed is for http.Server.ConnState.
func (c *connections) changed(connection net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open[connection] = time.Now()
		if len(c.open) > c.max {
			c.drop(c.longestWaiting())
		}
	case http.StateIdle, http.StateActive:
		if _, there := c.open[connection]; !there {
			return // dropped just now
		}
		c.open[connection] = time.Time{}
		if state == http.StateIdle {
			c.open[connection] = time.Now()
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, connection)
	}
}

// longestWaiting returns the connection that has been without a request for
// longest: if all others have one, that is the newest.
func (c *connections) longestWaiting() (longest net.Conn) {
	for connection, since := range c.open {
		if !since.IsZero() && (longest == nil || since.Before(c.open[longest])) {
			longest = connection
		}
	}
	return longest
}

// dropWaiting drops all connections that have no request.
func (c *connections) dropWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for connection, since := range c.open {
		if !since.IsZero() {
			c.drop(connection)
		}
	}
}

// drop closes a connection without a farewell, which might take long.
func (c *connections) drop(connection net.Conn) {
	delete(c.open, connection)
	if secured, ok := connection.(*tls.Conn); ok {
		connection = secured.NetConn()
	}
	connection.Close()
}
