package collect

import "golang.org/x/sys/unix"

// An identity tells a file from another of the same name. Inode numbers are
// used again as soon as they are free; the birth time is not, where the file
// system keeps it.
type identity struct {
	dev, ino  uint64
	born      int64 // nanoseconds since 1970, 0 if not known
	regular   bool
	sizeBytes int64
}

func identify(fd int) (identity, error) {
	var st unix.Statx_t
	const mask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_BTIME
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, mask, &st); err != nil {
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
