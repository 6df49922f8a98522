package collect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

// A source is what the engine keeps of a directory between scrapes.
type source struct {
	Directory
	labels   []format.Label
	files    map[string]*file // by name
	metadata metadata
	census   census

	// Of the last listing:
	names []string
	stat  os.FileInfo
	err   error

	// Held open while a collection runs, so that its files are of the directory that
	// was listed, wherever the path leads to by now.
	dir *os.File
}

func newSource(d Directory) *source {
	s := &source{Directory: d}
	for _, label := range d.Labels {
		s.labels = append(s.labels, format.Label{Name: []byte(label.Name), Value: []byte(label.Value)})
	}
	slices.SortFunc(s.labels, func(a, b format.Label) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return s
}

// list lists all directories. The error says that there is not one which can be
// read.
func (e *Engine) list(ctx context.Context) error {
	var errs []error
	defer e.reading[0].Store(nil)
	for i, s := range e.sources {
		e.reading[0].Store(&s.Path)
		s.list(e.Format, e.sources[:i])
		if s.err == nil {
			s.census.take(ctx, s.fd(), s.names, e.livenessOf())
		}
		if s.err != nil {
			errs = append(errs, s.err)
		}
	}
	if len(errs) == len(e.sources) {
		return &UnreadableError{errs}
	}
	return nil
}

// livenessOf returns whose processes are looked at. Ruby's files do not have their
// ids.
func (e *Engine) livenessOf() Liveness {
	if e.Format == discover.ClientMmap || e.Format == discover.DirectFileStore {
		return LivenessOff
	}
	return e.Liveness
}

// list lists what there may be of a format in a directory. One that is there
// already, under another name, must not count twice.
func (s *source) list(format discover.Format, before []*source) {
	if s.names, s.err = s.open(format); s.err != nil {
		return
	}
	for _, other := range before {
		if other.stat != nil && os.SameFile(s.stat, other.stat) {
			s.names, s.err = nil, fmt.Errorf("%s is the same directory as %s", s.Path, other.Path)
			return
		}
	}
}

// open opens the directory, and returns the names of what there may be of a format.
func (s *source) open(format discover.Format) (names []string, err error) {
	if s.dir, err = discover.Open(s.Path); err != nil {
		return nil, err
	}
	if names, err = discover.Names(s.dir, format); err != nil {
		return nil, err
	}
	if s.stat, err = s.dir.Stat(); err != nil {
		return nil, err
	}
	return names, nil
}

// fd returns the descriptor of the directory, which must be open.
func (s *source) fd() int { return int(s.dir.Fd()) }

// close closes the directories that list has opened.
func (e *Engine) close() {
	for _, s := range e.sources {
		if s.dir != nil {
			s.dir.Close()
		}
		s.dir, s.stat = nil, nil
	}
}

// updateMetadata reads what applications say of their metrics, and reports whether
// that has changed.
func (e *Engine) updateMetadata() (changed bool) {
	defer e.reading[0].Store(nil)
	for _, s := range e.sources {
		e.reading[0].Store(&s.Path)
		switch {
		case slices.ContainsFunc(s.names, discover.IsStore):
			changed = s.metadata.update(s.dir) || changed
		case s.err == nil:
			s.metadata = metadata{} // nobody asks for it
		}
	}
	return changed
}

// file returns the file of that name, as far as it is known.
func (s *source) file(name string) *file {
	f := s.files[name]
	if f == nil {
		f = newFile(filepath.Join(s.Path, name), name, s)
		s.files[name] = f
	}
	return f
}
