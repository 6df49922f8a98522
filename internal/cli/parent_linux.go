package cli

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// awaitEnd returns a function that waits until the process pid ends, or the context:
// it is true of the process. A pidfd cannot be taken in by another process that gets
// the same pid, and tells the end even if nobody waits for the process. Unlike the
// signal that the kernel can send at a parent's death it does not fire when only the
// thread that spawned us ends. Where there are none, one has to look again and again:
// before Linux 5.3, and where a sandbox does not know the call.
func awaitEnd(pid int) (func(context.Context) bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return pollEnd(pid)
	}
	if err != nil {
		return nil, err
	}
	// Not blocking, so that it waits with all connections, and nothing wakes up
	// meanwhile.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	process := os.NewFile(uintptr(fd), "pidfd")
	connection, err := process.SyscallConn()
	if err != nil {
		process.Close()
		return nil, err
	}
	return func(ctx context.Context) bool {
		defer context.AfterFunc(ctx, func() { process.Close() })()
		err := connection.Read(func(fd uintptr) bool {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0
		})
		process.Close()
		return err == nil
	}, nil
}
