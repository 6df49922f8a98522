package collect

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/detect"
	"gitlab-metrics-exporter/internal/format/frame"
)

// windowSize is how many bytes of a file are read at a time. It fits into the
// second-level cache of a core, so that what pread copies is still there when
// it is looked at.
const windowSize = 128 << 10

// A window is the part of one file that is in memory: bytes [base, end).
//
// Files are read with pread, not mapped. A mapping would save the copy, which
// was measured to gain nothing (docs/performance.md), but keeps the whole
// directory resident, keeps deleted files alive, and turns a truncated file into
// a SIGBUS.
type window struct {
	fd    int
	buf   []byte
	base  int64
	end   int64
	limit int64 // bytes from here on are not read
}

func newWindow() *window { return &window{buf: make([]byte, windowSize)} }

// open makes the window look at the start of fd: some bytes, or as many of them as
// fit, but at least what may be a header and an entry. It returns how many bytes of
// the file hold data. What is beyond a bound must not be looked at.
func (w *window) open(fd int, some int64) (used int64, err error) {
	n, err := pread(fd, w.buf[:min(max(some, leastRead), windowSize)], 0)
	if err != nil {
		return 0, err
	}
	w.fd, w.base, w.end = fd, 0, int64(n)
	return frame.Used(w.buf[:n]), nil
}

// openData is open for who wants the data: what is behind them, or beyond the end of the
// file, must not be looked at. id is what fd was when it was opened, and is brought up to
// date if the file has grown since.
func (w *window) openData(fd int, id *identity, some int64) (used int64, err error) {
	if used, err = w.open(fd, some); err != nil {
		return 0, err
	}
	if used > id.sizeBytes { // writers see to the size first
		if *id, err = identify(fd); err != nil {
			return 0, err
		}
	}
	w.bound(min(used, max(id.sizeBytes, frame.HeaderSize)))
	return used, nil
}

// leastRead is how many bytes of a file are read at least, if it has them.
const leastRead = 4096

// bound sets where the bytes end that are to be looked at.
func (w *window) bound(limit int64) { w.end, w.limit = min(w.end, limit), limit }

// shrink lets the memory for a huge key go.
func (w *window) shrink() {
	if len(w.buf) > windowSize {
		w.buf = make([]byte, windowSize)
	}
}

// load moves the window so that it holds at least need bytes from at on, and as
// many more as fit. It returns io.ErrUnexpectedEOF if the file, or the limit, ends
// before.
func (w *window) load(at int64, need int) error {
	to := at + int64(need)
	if to > w.limit {
		return io.ErrUnexpectedEOF
	}
	w.base = at &^ (lineSize - 1)
	w.end = w.base
	if n := int(to - w.base); n > len(w.buf) {
		w.buf = make([]byte, n)
	}
	want := min(int64(len(w.buf)), w.limit-w.base)
	for w.end-w.base < want {
		n, err := pread(w.fd, w.buf[w.end-w.base:want], w.end)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		w.end += int64(n)
	}
	if w.end < to {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// lineSize is that of a cache line: the kernel copies faster if what it copies from
// and to begin alike.
const lineSize = 64

// entry locates the entry at at, at least five bytes before the limit, and
// loads the whole of it.
func (w *window) entry(l frame.Layout, at int64) (frame.Entry, *format.Damage, error) {
	if !w.holds(at, at+5) {
		if err := w.load(at, 5); err != nil {
			return frame.Entry{}, nil, err
		}
	}
	e, damage := l.At(w.slice(at, w.end), at, w.limit)
	if damage != nil || e.End <= w.end {
		return e, damage, nil
	}
	return e, nil, w.load(at, int(e.End-at))
}

// head returns the first bytes of the file, some of them at least if it has as
// many; none if there cannot be an entry.
func (w *window) head(some int64) ([]byte, error) {
	if !frame.More(frame.HeaderSize, w.limit) {
		return nil, nil
	}
	if !w.holds(0, min(w.limit, some)) {
		if err := w.load(0, int(min(w.limit, some))); err != nil {
			return nil, err
		}
	}
	return w.slice(0, w.end), nil
}

// muchHead is how much of a file is read to find out what it is, if its keys are so
// large that the window's size is not enough. If they are larger still, it is what
// the newest version of its library writes.
const muchHead = 1 << 20

// form finds out how the file's bytes are to be understood. It is not certain if
// there are too few of them.
func (w *window) form(used int64, format discover.Format) (form detect.Form, certain bool, err error) {
	for _, some := range []int64{windowSize, muchHead} {
		head, err := w.head(some)
		if err != nil {
			return form, false, err
		}
		if form, certain = detect.Of(head, used, format); certain || some >= w.limit {
			break
		}
	}
	return form, certain, nil
}

// holds reports whether bytes [from, to) are in the window.
func (w *window) holds(from, to int64) bool { return w.base <= from && to <= w.end }

// slice returns bytes [from, to), which the window must hold.
func (w *window) slice(from, to int64) []byte { return w.buf[from-w.base : to-w.base] }

func pread(fd int, p []byte, at int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p, at)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
