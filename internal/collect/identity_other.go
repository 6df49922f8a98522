//go:build !linux

package collect

import "golang.org/x/sys/unix"

// An identity tells a file from another of the same name.
type identity struct {
	dev, ino  uint64
	born      int64 // not known here
	regular   bool
	sizeBytes int64
}

func identify(fd int) (identity, error) {
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
