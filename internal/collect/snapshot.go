package collect

import (
	"os"
	"path/filepath"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/series"
)

// A Snapshot is directories at one moment: every series' merged value, and
// what there is to say of each file. It does not change until it is released.
type Snapshot struct {
	Layout *series.Layout
	Dirs   []Dir
	Files  []File // directory by directory, in byte order of their names

	values  []float64 // by series.ID
	entries []uint32  // by series.ID; of a survey only
	births  []int64   // by series.ID; see Born
	home    chan *Snapshot
}

// A Dir describes a directory as it was found.
type Dir struct {
	Directory
	Err error // why it could not be read, nil if it could

	// MetadataErr is why what the application says of a DirectFileStore could not be
	// read, nil if it could, or there is none.
	MetadataErr error

	// Of the processes that the names of files of live gauges have: that they are
	// those of our own pid namespace was proved, or disproved; see [LivenessAuto].
	Proved, Disproved bool
}

// A File describes a metric file as it was found.
type File struct {
	discover.File
	Dir     int   // index into the snapshot's Dirs
	Size    int64 // in bytes; 0 if it could not be opened
	Used    int64 // bytes that hold data, header included, as the file says
	Entries int   // that are on the page
	BadKeys int   // entries that are absent because of their key

	// Dead is true if the file does not count, because its process is dead. It was not
	// even looked at.
	Dead bool

	// Inferred is true if nobody said what the metrics of a DirectFileStore are.
	Inferred bool

	// Damage is what is wrong with the file, nil if nothing is: first of all
	// why it ends early, else its first bad key.
	Damage *format.Damage
}

// Value returns the merged value of a series in the snapshot's layout.
func (s *Snapshot) Value(id series.ID) float64 { return s.values[id] }

// Path names a file to people: with its directory if there are several.
func (s *Snapshot) Path(f File) string {
	if len(s.Dirs) < 2 {
		return f.Name
	}
	return filepath.Join(s.Dirs[f.Dir].Path, f.Name)
}

// Entries returns how many entries, of all files together, are of a series. Only
// snapshots of [Engine.Survey] know; others say 0.
func (s *Snapshot) Entries(id series.ID) int {
	if s.entries == nil {
		return 0
	}
	return int(s.entries[id])
}

func (e *Engine) newSnapshot() *Snapshot {
	select {
	case s := <-e.free:
		return s
	default:
		return &Snapshot{home: e.free}
	}
}

// roomForFiles returns where what there is to say of files goes, which is new if most of
// the files are gone that there were.
func (s *Snapshot) roomForFiles(sources []*source) []File {
	n := 0
	for _, source := range sources {
		n += len(source.names)
	}
	if cap(s.Files) > 4*n+1024 {
		return make([]File, 0, n)
	}
	return s.Files[:0]
}

// Release gives the snapshot's memory back to its engine. It must not be used
// afterwards.
func (s *Snapshot) Release() {
	s.Layout, s.entries = nil, nil
	select {
	case s.home <- s:
	default:
	}
}

// deadInfo describes a file that does not count.
func (s *source) deadInfo(name string) File {
	f := File{Dead: true}
	f.File, _ = discover.Parse(name, discover.Python)
	if stat, err := os.Lstat(filepath.Join(s.Path, name)); err == nil {
		f.Size = stat.Size()
	}
	return f
}

func (s *source) info() Dir {
	return Dir{
		Directory: s.Directory, Err: s.err, MetadataErr: s.metadata.err, Proved: s.census.proved, Disproved: s.census.disproved,
	}
}

func (f *file) info() File {
	info := File{
		File: f.File, Size: f.id.sizeBytes, Used: f.used,
		Entries: f.column.n - f.badKeys, BadKeys: f.badKeys, Damage: f.damage,
		Inferred: f.store != nil && f.store.inferred,
	}
	if info.Damage == nil {
		info.Damage = f.badKey
	}
	return info
}
