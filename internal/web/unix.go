package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	unixScheme = "unix://"

	// socketMode lets the owner and the group connect.
	socketMode = 0o660

	// socketPatience is how long another program may take to answer on its
	// socket, or to finish what we are about to do ourselves.
	socketPatience = time.Second
)

// MaxSocketPath is how long a path of a unix socket may be, in bytes.
const MaxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// SocketPath returns the path of an address such as unix:///run/metrics.sock.
// It is false for addresses of other kinds.
func SocketPath(address string) (path string, ok bool) {
	return strings.CutPrefix(address, unixScheme)
}

// A unixSocket removes its file when it is closed, unless another server has put its
// own there since.
type unixSocket struct {
	*net.UnixListener
	file   fs.FileInfo
	remove sync.Once
}

// Close may be called again, and removes nothing then.
func (s *unixSocket) Close() error {
	s.remove.Do(func() {
		path := s.Addr().String()
		if now, err := os.Lstat(path); err == nil && os.SameFile(now, s.file) {
			_ = os.Remove(path) // what stays is removed by who listens next
		}
	})
	return s.UnixListener.Close()
}

// listenUnix opens a unix socket, in place of one that was left behind by a
// process that is gone. Closing it removes the file.
func listenUnix(path string) (net.Listener, error) {
	// Two servers that start at once must not both find that the socket is
	// nobody's.
	defer lockDirectory(filepath.Dir(path))()
	if err := removeStale(path); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: err}
	}
	// On Linux the file has the mode of the socket from the start, so that at
	// no moment anybody else can connect; less what the umask takes away.
	before := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), socketMode) })
	}}
	l, err := before.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	s := &unixSocket{UnixListener: l.(*net.UnixListener)}
	s.SetUnlinkOnClose(false)
	if s.file, err = os.Lstat(path); err == nil {
		err = os.Chmod(path, socketMode)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// removeStale removes a socket that nobody listens on. The error says why
// something at path has to stay.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something else, which is no socket")
	}
	connection, err := net.DialTimeout("unix", path, socketPatience)
	if err == nil {
		connection.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("there is a socket, and it is not known whether it is in use: %w", err)
	}
	return os.Remove(path)
}

// lockDirectory waits until no other process has the lock of a directory, and
// takes it; but not for long, and where that cannot be done it does nothing.
// The function returned undoes it.
func lockDirectory(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(socketPatience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
	}
	return func() { f.Close() } // and with it goes the lock
}
