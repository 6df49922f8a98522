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

// identifyOld identifies a file where the system does not tell births.
func identifyOld(fd int) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return identity{}, err
	}
	return identity{
		dev:       uint64(st.Dev),
		ino:       uint64(st.Ino),
		regular:   st.Mode&unix.S_IFMT == unix.S_IFREG,
		sizeBytes: st.Size,
	}, nil
}
