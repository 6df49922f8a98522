package collect

import (
	"errors"

	"golang.org/x/sys/unix"
)

func identify(fd int) (identity, error) {
	var st unix.Statx_t
	const mask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_BTIME
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, mask, &st)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return identifyOld(fd) // before Linux 4.11, or a sandbox that does not know the call
	}
	if err != nil {
		return identity{}, err
	}
	id := identity{
		dev:       unix.Mkdev(st.Dev_major, st.Dev_minor),
		ino:       st.Ino,
		regular:   st.Mode&unix.S_IFMT == unix.S_IFREG,
		sizeBytes: int64(st.Size),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id, nil
}
