package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
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
	await, err := awaitEnd(pid)
	if err != nil {
		return nil, wrong("parent.pid", "GME_PARENT_PID", strconv.Itoa(pid), "%v", err)
	}
	watched, end := context.WithCancel(ctx)
	go func() {
		defer end()
		if await(watched) {
			log.Info("Parent process has ended", "pid", pid)
		}
	}()
	return watched, nil
}

// pollInterval is how often one looks for a process whose end the system does not
// tell.
const pollInterval = time.Second

// pollEnd returns a function that waits until the process pid ends, or the context: it
// is true of the process.
func pollEnd(pid int) (func(context.Context) bool, error) {
	if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	gone := func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
	if os.Getppid() == pid {
		// Then nobody who gets the same pid, or never buries it, is taken for it.
		gone = func() bool { return os.Getppid() != pid }
	}
	return func(ctx context.Context) bool {
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		for !gone() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return false
			}
		}
		return true
	}, nil
}
