package collect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
)

// The files of DirectFileStore do not say what they are: see [directfilestore].
// This is how the engine finds out: from what the application wrote beside its
// files, from what the operator says, or else from the keys.

// maxMetadata is how much of a metadata file is read, in bytes.
const maxMetadata = 16 << 20

// metadata is what an application says of its metrics, as far as it is known.
type metadata struct {
	metrics directfilestore.Metadata
	read    stamp // of the file, when it was read
	err     error
}

// A stamp changes with a file: it is replaced, not changed.
type stamp struct {
	modified unix.Timespec
	size     int64
}

// update reads the metadata of a directory if they have changed. It reports
// whether metrics are something else now. What cannot be read leaves them as they
// were.
func (m *metadata) update(dir *os.File) (changed bool) {
	path := filepath.Join(dir.Name(), directfilestore.MetadataName)
	var now stamp
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), directfilestore.MetadataName, &st, 0)
	switch {
	case err == nil:
		now = stamp{st.Mtim, st.Size}
	case !errors.Is(err, fs.ErrNotExist):
		m.err = &fs.PathError{Op: "stat", Path: path, Err: err}
		return false
	}
	if now == m.read && m.err == nil { // else somebody may have changed who may read it
		return false
	}
	m.read, m.err = now, nil
	var metrics directfilestore.Metadata
	if err == nil {
		if metrics, m.err = readMetadata(int(dir.Fd()), directfilestore.MetadataName, path); m.err != nil {
			return false
		}
	}
	m.metrics = metrics
	return true
}

// ReadMetadata reads a file that says what the metrics of a DirectFileStore are.
func ReadMetadata(path string) (directfilestore.Metadata, error) {
	return readMetadata(unix.AT_FDCWD, path, path)
}

// readMetadata is ReadMetadata for a name in a directory; path is where that is, to say.
func readMetadata(dir int, name, path string) (directfilestore.Metadata, error) {
	fd, _, err := openFile(dir, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if err == nil && len(text) > maxMetadata {
		err = fmt.Errorf("more than %d bytes", maxMetadata)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	metrics, err := directfilestore.ParseMetadata(text)
	if err != nil { // which may have a number in it that is megabytes long
		return nil, fmt.Errorf("%s: %.500s", path, err.Error())
	}
	return metrics, nil
}

// store is what is known of the one metric of a file.
type store struct {
	kind     directfilestore.Kind
	metric   directfilestore.Metric
	inferred bool // nobody said it
	certain  bool // and the keys did
}

// final reports whether the file is that, whatever keys come. What was inferred
// from the name, or from a label pid, a key may contradict.
func (s *store) final() bool { return !s.inferred || s.kind != directfilestore.Plain }

// storeOf finds out about a file of DirectFileStore, which begins with head.
func (c *Config) storeOf(f discover.File, beside directfilestore.Metadata, l frame.Layout, head []byte, used int64) store {
	metric, known := c.Metadata[f.Metric]
	if !known {
		metric, known = beside[f.Metric]
	}
	s := store{metric: metric, certain: true}
	if !known {
		guess := directfilestore.Infer(f.Metric, keysOf(l, head, used))
		s = store{metric: directfilestore.Metric{Type: guess.Type, Aggregation: guess.Aggregation}, inferred: true, certain: guess.Known}
	}
	s.kind = directfilestore.KindOf(s.metric.Type)
	return s
}

// describe adds to a file what its name does not say. If nobody knows how its
// values may be added up, processes are kept apart.
func (s *store) describe(f *discover.File) {
	f.Type = s.metric.Type
	f.OwnCounts = f.Type == discover.Histogram
	if f.Type == discover.Gauge {
		f.Mode = s.metric.Aggregation.String()
	}
	if !s.certain {
		return
	}
	f.PerProcess = false
	switch s.metric.Aggregation {
	case directfilestore.Sum:
		f.Rule = discover.Sum
	case directfilestore.Max:
		f.Rule = discover.Max
	case directfilestore.Min:
		f.Rule = discover.Min
	case directfilestore.MostRecent:
		f.Rule = discover.MostRecent
	case directfilestore.All:
		f.Rule = discover.Last // the key has the process
	}
}

// bounds returns the buckets that the metric always has if it is a histogram.
func (s *store) bounds() []string {
	return slices.Concat(s.metric.Buckets, everything)
}

// keysOf returns the keys of the entries that are wholly in head.
func keysOf(l frame.Layout, head []byte, used int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at := int64(frame.HeaderSize); frame.More(at, int64(len(head))); {
			e, damage := l.At(head[at:], at, used)
			if damage != nil || e.End == 0 || e.KeyTo > int64(len(head)) || !yield(head[e.Key:e.KeyTo]) {
				return
			}
			at = e.End
		}
	}
}

// WithoutMetadata returns how many metrics nobody said anything about.
func (s *Snapshot) WithoutMetadata() int {
	names := map[string]bool{}
	for _, f := range s.Files {
		if f.Inferred {
			names[f.Metric] = true
		}
	}
	return len(names)
}
