//go:build !linux

package cli

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// watchParent returns a context that ends when the process pid ends; pid 0
// means none.
func watchParent(ctx context.Context, pid int, log *slog.Logger) (context.Context, error) {
	if pid == 0 {
		return ctx, nil
	}
	if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
		return nil, wrong("parent.pid", "GME_PARENT_PID", strconv.Itoa(pid), "%v", err)
	}
	watched, end := context.WithCancel(ctx)
	go func() {
		defer end()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			select {
			case <-tick.C:
			case <-watched.Done():
				return
			}
		}
		log.Info("Parent process has ended", "pid", pid)
	}()
	return watched, nil
}
