// Package reading reads the used bytes of metric files and does nothing with them:
// what a scrape takes at least, for others to be compared with.
package reading

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/collect"
)

// pieceSize is how many bytes are read at a time, as many as the server reads.
const pieceSize = 128 << 10

// A File is a metric file.
type File struct {
	Path string
	Used int64 // bytes
}

// Files returns the files of a snapshot of dir.
func Files(dir string, s *collect.Snapshot) []File {
	var files []File
	for _, f := range s.Files {
		files = append(files, File{filepath.Join(dir, f.Name), f.Used})
	}
	return files
}

// Each reads files on some cores. It calls look with each piece of each file, front to
// back, and where in the file it begins; for several files at once.
func Each(files []File, cores int, look func(file int, at int64, piece []byte)) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, cores)
	for i := range cores {
		wait.Go(func() {
			buf := make([]byte, pieceSize)
			for n := int(next.Add(1) - 1); n < len(files); n = int(next.Add(1) - 1) {
				err := read(files[n], buf, func(at int64, piece []byte) { look(n, at, piece) })
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Nothing looks at nothing.
func Nothing(int, int64, []byte) {}

func read(f File, buf []byte, look func(at int64, piece []byte)) error {
	fd, err := unix.Open(f.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for at := int64(0); at < f.Used; {
		n, err := unix.Pread(fd, buf[:min(pieceSize, f.Used-at)], at)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New(f.Path + " is shorter than it says")
		}
		look(at, buf[:n])
		at += int64(n)
	}
	return nil
}
