package cli

import (
	"context"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// watchParent returns a context that ends when the process pid ends; pid 0
// means none. A pidfd cannot be taken in by another process that gets the same
// pid, and tells the end even if nobody waits for the process. Unlike the
// signal that the kernel can send at a parent's death it does not fire when
// only the thread that spawned us ends.
func watchParent(ctx context.Context, pid int, log *slog.Logger) (context.Context, error) {
	if pid == 0 {
		return ctx, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, wrong("parent.pid", "GME_PARENT_PID", strconv.Itoa(pid), "%v", err)
	}
	// Not blocking, so that it waits with all connections, and nothing wakes up
	// meanwhile.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	parent := os.NewFile(uintptr(fd), "pidfd")
	connection, err := parent.SyscallConn()
	if err != nil {
		parent.Close()
		return nil, err
	}
	watched, end := context.WithCancel(ctx)
	context.AfterFunc(watched, func() { parent.Close() })
	go func() {
		defer end()
		ended := func(fd uintptr) bool {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0
		}
		if connection.Read(ended) == nil {
			log.Info("Parent process has ended", "pid", pid)
		}
	}()
	return watched, nil
}
