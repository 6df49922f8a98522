package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	toolkit "github.com/prometheus/exporter-toolkit/web"
)

const (
	readTimeout    = 10 * time.Second
	idleTimeout    = 5 * time.Minute // longer than any usual scrape interval
	maxHeaderBytes = 16 << 10

	// shutdownTimeout is how long scrapes that are under way may go on once
	// the server is told to stop.
	shutdownTimeout = 1500 * time.Millisecond

	// shutdownGrace is how long a request may take then to arrive on a
	// connection that is open already.
	shutdownGrace = 100 * time.Millisecond
)

// Listening says where and how a server listens.
type Listening struct {
	Addresses  []string // host:port, port 0 meaning a free one; or unix:// and a path
	Systemd    bool     // take the sockets that systemd passes instead
	ConfigFile string   // of exporter-toolkit: TLS, basic auth; "" means none
	OpenHealth bool     // ask for no basic auth where it is about health

	// CertFile and KeyFile switch TLS on without a ConfigFile. They are read
	// again for each connection, so that they can be renewed. Both or none.
	CertFile, KeyFile string
}

// A Server is a handler and the sockets it listens on.
type Server struct {
	handler   *Handler
	servers   []*http.Server // one for each listener: exporter-toolkit changes them
	listening Listening
	listeners []net.Listener
	open      *connections
	log       *slog.Logger
}

// Listen opens the sockets. Afterwards connections queue up, until Serve.
func Listen(l Listening, h *Handler, log *slog.Logger) (*Server, error) {
	s := &Server{
		handler:   h,
		listening: l,
		open:      newConnections(mostConnections(h.directories)),
		log:       log,
	}
	if err := CheckConfigFile(l.ConfigFile); err != nil {
		return nil, fmt.Errorf("web configuration file %q: %w", l.ConfigFile, err)
	}
	config, err := certificate(l.CertFile, l.KeyFile, log)
	if err != nil {
		return nil, fmt.Errorf("certificate %q with key %q: %w", l.CertFile, l.KeyFile, err)
	}
	if s.listeners, err = open(l); err != nil {
		return nil, err
	}
	for range s.listeners {
		s.servers = append(s.servers, &http.Server{
			Handler:           h,
			TLSConfig:         config.Clone(),
			ReadHeaderTimeout: readTimeout,
			ReadTimeout:       readTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			// With HTTP/2 a write's deadline ends a stream, but not the waiting
			// for a connection that takes nothing.
			HTTP2:     &http.HTTP2Config{WriteByteTimeout: sendTime},
			ConnState: s.open.changed,
			ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		})
	}
	return s, nil
}

// CheckConfigFile reports what is wrong with a file of exporter-toolkit, or
// with what it names. "" is right.
func CheckConfigFile(path string) error { return toolkit.Validate(path) }

func open(l Listening) ([]net.Listener, error) {
	if l.Systemd {
		listeners, err := activation.Listeners()
		if err == nil && len(listeners) == 0 {
			err = errors.New("no sockets were passed")
		}
		if err == nil && slices.Contains(listeners, nil) {
			err = errors.New("one of the sockets that were passed is none to listen on")
		}
		if err != nil {
			return nil, fmt.Errorf("systemd sockets: %w", err)
		}
		return listeners, nil
	}
	var listeners []net.Listener
	for _, address := range l.Addresses {
		listener, err := listen(address)
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

func listen(address string) (net.Listener, error) {
	if path, ok := SocketPath(address); ok {
		return listenUnix(path)
	}
	listener, err := net.Listen("tcp", address)
	if host, port, _ := net.SplitHostPort(address); host == "localhost" && errors.As(err, new(*net.DNSError)) {
		// Without /etc/hosts, as in an empty root directory, nobody knows it.
		return net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	}
	return listener, err
}

// Addresses returns the addresses that the server listens on.
func (s *Server) Addresses() []string {
	var addresses []string
	for _, l := range s.listeners {
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// Serve serves until ctx ends or a listener fails. When ctx ends it answers
// what is under way, for a short while, and returns nil.
func (s *Server) Serve(ctx context.Context) error {
	defer closeAll(s.listeners) // those, too, that no server has begun to serve yet
	failed := make(chan error, len(s.listeners))
	flags := &toolkit.FlagConfig{WebConfigFile: &s.listening.ConfigFile}
	for i, l := range s.listeners {
		l = steady{l}
		if s.listening.CertFile != "" {
			s.log.Info("Listening on", "address", l.Addr().String(), "tls", true)
			go func() { failed <- s.servers[i].ServeTLS(l, "", "") }()
			continue
		}
		go func() { failed <- toolkit.Serve(s.openHealth(l, s.servers[i]), s.servers[i], flags, s.log) }()
	}
	select {
	case err := <-failed:
		for _, server := range s.servers {
			server.Close()
		}
		return err
	case <-ctx.Done():
		return s.stop()
	}
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// openHealth makes a server that is about to serve l ask for no password where
// it is about health, if that is wanted.
func (s *Server) openHealth(l net.Listener, server *http.Server) net.Listener {
	if !s.listening.OpenHealth {
		return l
	}
	return &hooked{Listener: l, before: func() { server.Handler = exempt(s.handler, server.Handler) }}
}

// stop ends the server within shutdownTimeout.
func (s *Server) stop() error {
	s.handler.closing.Store(true)
	s.log.Info("Stopping")
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	// Connections on which nothing was asked for yet would be waited for.
	defer time.AfterFunc(shutdownGrace, s.open.dropWaiting).Stop()
	var wait sync.WaitGroup
	for _, server := range s.servers {
		wait.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				s.log.Warn("Connections that are still open are cut off", "after", shutdownTimeout)
				server.Close()
			}
		})
	}
	wait.Wait()
	return nil
}
