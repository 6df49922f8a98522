//go:build !linux

package collect

func identify(fd int) (identity, error) { return identifyOld(fd) }
