package web

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An unsteady listener fails with what the system says, as often as it has errors left.
type unsteady struct {
	net.Listener
	err  error
	left atomic.Int32
}

func (f *unsteady) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", f.err)}
	}
	return f.Listener.Accept()
}

// TestAcceptFails: what may pass is waited for, and the rest ends the server.
func TestAcceptFails(t *testing.T) {
	t.Parallel()
	for err, passes := range map[error]bool{
		syscall.EMFILE: true, syscall.ENOMEM: true, syscall.ENOBUFS: true, syscall.EPROTO: true, syscall.EPERM: true,
		syscall.EBADF: false, syscall.EINVAL: false,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			s, listenErr := Listen(Listening{Addresses: []string{"127.0.0.1:0"}, OpenHealth: true}, NewHandler(config("")), quiet)
			if listenErr != nil {
				t.Fatal(listenErr)
			}
			broken := &unsteady{Listener: s.listeners[0], err: err}
			broken.left.Store(3)
			s.listeners[0] = broken
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(t.Context()) }()
			if passes {
				if code, _, err := fetch(t.Context(), "http://"+s.Addresses()[0]+"/-/healthy"); err != nil || code != 200 {
					t.Errorf("status %d, %v", code, err)
				}
				return
			}
			select {
			case got := <-ended:
				if !errors.Is(got, err) {
					t.Errorf("it ends with %v", got)
				}
			case <-time.After(patience):
				t.Error("it goes on")
			}
		})
	}
}
