package cli

import (
	"context"
	"log/slog"
	"strconv"

	"golang.org/x/sys/unix"
)

// pollMilliseconds is how long a look at the parent waits before it looks
// whether it is still wanted.
const pollMilliseconds = 500

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
	watched, end := context.WithCancel(ctx)
	go func() {
		defer end()
		defer unix.Close(fd)
		for watched.Err() == nil {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, _ := unix.Poll(fds, pollMilliseconds); n > 0 {
				log.Info("Parent process has ended", "pid", pid)
				return
			}
		}
	}()
	return watched, nil
}
