package collect

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/detect"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
	"gitlab-metrics-exporter/internal/format/python"
	"gitlab-metrics-exporter/internal/series"
)

// A scanner reads files, one at a time, for one collection.
type scanner struct {
	*collection
	window *window
	found  [batchFiles]found // in the files of a batch
	values []float64         // of the file that is scanned
	stamps []float64         // the same, if its values are merged by time; else nil
	spare  []float64         // for stamps
	key    []byte            // reused

	reading *atomic.Pointer[string] // the path of the file that is scanned
}

// shrink lets the memory for a huge key go.
func (s *scanner) shrink() {
	s.window.shrink()
	if cap(s.key) > windowSize {
		s.key = nil
	}
}

// found is what was found in a file.
type found struct{ values, stamps, spare []float64 }

// scan brings what is known of f up to date and leaves the value of each of
// its entries in s.values, in the order of f.column.
func (s *scanner) scan(ctx context.Context, f *file) {
	s.reading.Store(f.path)
	defer s.reading.Store(nil)
	s.values, s.stamps = s.values[:0], nil
	if f.alien != nil {
		f.damage = f.alien
		return
	}
	// Whatever looks wrong may be a writer at work, or a file that is
	// replaced just now: so look again, once, before saying so.
	before := f.damage
	damage, err := s.attempt(ctx, f)
	if err != nil || damage != nil && !damage.Same(before) {
		damage, err = s.attempt(ctx, f)
	}
	if err != nil {
		s.forget(f)
		s.values, f.used = s.values[:0], 0
		damage = unreadable(err)
	}
	f.damage = damage
}

// unreadable says what an error of the system means. A file that is not
// there any more is no fault: it vanished between listing and opening.
func unreadable(err error) *format.Damage {
	var damage *format.Damage
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.As(err, &damage):
		return damage
	case errors.Is(err, unix.ENXIO):
		return notRegular // a socket
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &format.Damage{Reason: format.Truncated, Offset: -1, Detail: "file shrinks while it is read"}
	}
	return &format.Damage{Reason: format.Unreadable, Offset: -1, Detail: err.Error()}
}

// attempt reads f once. The damage is that of a file which could be read as
// far as it goes; after an error nothing of it can be used.
func (s *scanner) attempt(ctx context.Context, f *file) (*format.Damage, error) {
	s.values = s.values[:0]
	fd, id, err := openFile(f.source.fd(), f.Name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// What is known and the header in one go, the header first: entries that are
	// added meanwhile are not half seen.
	if f.used, err = s.window.openData(fd, &id, f.column.end); err != nil {
		return nil, err
	}
	if err := s.reconsider(f); err != nil {
		return nil, err
	}
	s.readKnown(f, id)
	var damage *format.Damage
	if f.column.n == 0 {
		damage, err = s.recognize(f)
	}
	f.id = id
	if damage != nil || err != nil {
		return damage, err
	}
	damage, err = s.readNew(ctx, f)
	if damage == nil && err == nil && f.used > s.window.limit {
		damage = frame.Cut(f.used, id.sizeBytes)
	}
	return damage, err
}

var notRegular = &format.Damage{Reason: format.NotRegular, Offset: -1, Detail: "not a regular file"}

// openFile opens a regular file, and nothing else: one of a directory, which is a
// descriptor, or [unix.AT_FDCWD] if the name is a path.
func openFile(dir int, name string) (fd int, id identity, err error) {
	// Not blocking: a pipe of that name would wait for its writer for ever.
	fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, identity{}, err
	}
	id, err = identify(fd)
	if err == nil && !id.regular {
		err = notRegular
	}
	if err != nil {
		unix.Close(fd)
		return -1, identity{}, err
	}
	return fd, id, nil
}

// reconsider forgets f if it may be something else by what follows the entries that
// are known.
func (s *scanner) reconsider(f *file) error {
	more := f.column.end < s.window.limit
	if f.unsure && more {
		s.forget(f)
		return nil
	}
	if f.column.n == 0 || f.column.n >= detect.Enough || !more && f.damage == nil {
		return nil
	}
	form, certain, err := s.window.form(f.used, s.formatOf(f))
	if err != nil {
		return err
	}
	if form != (detect.Form{Format: f.Format, Layout: f.column.layout}) || !certain && !f.unsure {
		s.forget(f)
	}
	return nil
}

// readKnown reads the values of the entries that are known, or forgets them if
// this is not the file that they were in.
func (s *scanner) readKnown(f *file, id identity) {
	if f.column.n == 0 {
		return
	}
	same := id.dev == f.id.dev && id.ino == f.id.ino && id.born == f.id.born && f.column.end <= s.window.limit
	if same {
		s.values, s.stamps, same = f.column.values(s.window, s.values, s.room(f))
	}
	if !same {
		s.forget(f)
		s.values = s.values[:0]
	}
}

// room returns where the timestamps of f go, nil if nobody wants them.
func (s *scanner) room(f *file) []float64 {
	if f.Rule != discover.MostRecent {
		return nil
	}
	if s.spare == nil {
		s.spare = []float64{}
	}
	return s.spare[:0]
}

// recognize finds out which format f is in, as soon as there is an entry.
func (s *scanner) recognize(f *file) (*format.Damage, error) {
	f.empty(f.Name) // whatever it was taken for before
	head, err := s.window.head(windowSize)
	if err != nil || head == nil {
		return nil, err
	}
	form, certain, err := s.window.form(f.used, s.formatOf(f))
	if err != nil {
		return nil, err
	}
	f.unsure = !certain
	file, err := discover.Parse(f.Name, form.Format)
	if err != nil {
		return badName(err), nil
	}
	f.File, f.parse, f.column, f.store = file, parsers[form.Format], newColumn(form.Layout), nil
	if form.Format == discover.DirectFileStore {
		f.store = new(s.storeOf(file, f.source.metadata.metrics, form.Layout, head, f.used))
		f.store.describe(&f.File)
		f.unsure = f.unsure || !f.store.final()
	}
	if f.Rule == discover.MostRecent && !form.Layout.Stamped {
		f.Rule, f.PerProcess = discover.Last, true // it cannot be told
	}
	s.stamps = s.room(f)
	return nil, nil
}

// formatOf returns the format that a file has to be in, if that is known.
func (c *collection) formatOf(f *file) discover.Format {
	if f.Metric != "" {
		return discover.DirectFileStore
	}
	return c.Format
}

// parsers are how keys are parsed, by format.
var parsers = [...]series.ParseFunc{
	discover.ClientMmap:      clientmmap.ParseKey,
	discover.Python:          python.ParseKey,
	discover.DirectFileStore: directfilestore.ParseKey,
}
