package web

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// leaveBehind leaves a socket at path as a process does that is killed.
func leaveBehind(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	// A browser that another test starts this moment has the socket, too, until it
	// is the browser.
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("somebody listens")
		}
	}
}

func TestListenUnix(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*testing.T, string){
		"nothing there": func(*testing.T, string) {},
		"left behind":   leaveBehind,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s")
			before(t, path)
			l, err := listenUnix(path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != os.ModeSocket|socketMode {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if c, err := net.Dial("unix", path); err != nil {
				t.Error(err)
			} else {
				c.Close()
			}
			if _, err := listenUnix(path); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), path) {
				t.Errorf("a second time: %v", err)
			}
			l.Close()
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("afterwards it is still there: %v", err)
			}
		})
	}
}

// TestListenUnixLeavesOthersAlone: what is no socket, or one of which nothing
// is known, stays.
func TestListenUnixLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, packets := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "packets")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("unixgram", packets)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, path := range []string{file, link, packets, dir} {
		if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "there is") {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := listenUnix(filepath.Join(dir, "missing", "s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
}

// TestListenUnixLeavesSuccessor: a server that ends removes its own socket, not that of
// another which has the path since.
func TestListenUnixLeavesSuccessor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	first, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil { // so that its inode is not used again
		t.Fatal(err)
	}
	second, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the second: %v", err)
	} else {
		c.Close()
	}
	second.Close()
	second.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("afterwards it is still there: %v", err)
	}
}

// TestStopAtOnce: a server that is told to end before it has begun leaves no socket.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	for range 50 {
		stoppedAtOnce(t, unixScheme+path)
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("it is still there: %v", err)
		}
	}
}

// TestListenUnixAtOnce: of several that find a socket left behind, one gets it.
func TestListenUnixAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		leaveBehind(t, path)
		listeners := make(chan net.Listener, 8)
		var wait sync.WaitGroup
		for range cap(listeners) {
			wait.Go(func() {
				l, err := listenUnix(path)
				if err == nil {
					listeners <- l
				} else if !errors.Is(err, syscall.EADDRINUSE) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n := len(listeners); n != 1 {
			t.Errorf("%d listen, want one", n)
		}
		close(listeners)
		for l := range listeners {
			l.Close()
		}
	}
}

// TestClosedTwice: a listener that is closed once more leaves the socket of its successor,
// whose inode may be that of its own.
func TestClosedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
