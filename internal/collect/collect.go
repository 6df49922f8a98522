// Package collect reads directories of metric files and adds them up: the engine
// behind every scrape.
//
// It decodes once and afterwards only reads values. What it keeps between
// scrapes is a [series.Table] of all distinct series, and for each file a
// column: where each value is and which series it belongs to, about five bytes
// an entry. A scrape then
//
//  1. lists the directories,
//  2. reads each file's used bytes through a small window, picks the values at
//     the known places, checks on the way that the places are still right, and
//     decodes only what lies beyond them,
//  3. merges the values, file by file in byte order of the names, so that sums
//     come out the same to the bit each time,
//  4. hands out a [Snapshot], which is independent of everything that later
//     scrapes do.
//
// Steps 2 and 3 run on several cores: files are read side by side, but merged
// in order. A scrape that finds nothing new allocates nothing that grows with
// entries or series, unless a gauge that is merged by time was never set.
//
// A file that is damaged, or cannot be read, is absent from there on and
// described in the snapshot; it never fails the scrape. Nor does a directory, as long
// as there is another.
package collect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/series"
)

// ErrNoDirectory is returned by [Engine.Collect] if the engine was given no
// directory.
var ErrNoDirectory = errors.New("no metrics directory is configured")

// An UnreadableError is returned by [Engine.Collect] if not one directory can be
// read: why, in the order of the directories.
type UnreadableError struct{ Errs []error }

func (e *UnreadableError) Error() string   { return errors.Join(e.Errs...).Error() }
func (e *UnreadableError) Unwrap() []error { return e.Errs }

// A PanicError is a panic, which is a bug, as an error. After one [Engine.Collect] uses
// nothing again that was learnt until then.
type PanicError struct {
	Cause any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Cause) }

// An Engine collects one directory, or several as if they were one. Its methods may
// be called concurrently; collections then follow each other.
type Engine struct {
	Config
	busy chan struct{} // holds one token while a collection runs

	// The paths that are being read, or nil: a directory, and the file of each scanner.
	reading [1 + maxScanners]atomic.Pointer[string]

	// The rest belongs to the collection that runs.
	free     chan *Snapshot // released, to be used again
	table    *series.Table
	unmix    bool        // a file is gone that disagreed with others: learn anew
	weight   int         // of the table, when it was last learnt anew; 0 if it was not yet
	memory   mergeMemory // is kept for its memory alone
	sources  []*source
	scanners []*scanner
}

// maxScanners is how many files are read at once at most: one for each core,
// and one more, because scanners wait for their turn. More than that only share
// out the memory's bandwidth, and each costs a window.
const maxScanners = 5

// A Config says what an engine is to do.
type Config struct {
	Dirs []Directory

	// Format is the one that files are taken for, whatever they are; those of a
	// suffix that it does not have are left out. NoFormat: each file says so itself.
	Format discover.Format

	// Metadata says what metrics of DirectFileStores are, whatever there is in their
	// directories.
	Metadata directfilestore.Metadata

	// Liveness says whether live gauges of dead processes count.
	Liveness Liveness

	// Births makes snapshots know when series began: eight bytes for each.
	Births bool
}

// A Directory has metric files. It may not exist yet.
type Directory struct {
	Path string

	// Labels are added to every series of its files. A label of theirs that has
	// such a name is renamed. Names must be classic, and not le, quantile or pid.
	Labels []Label
}

// A Label is a name and a value.
type Label struct{ Name, Value string }

// New returns an engine for one directory; an empty dir stands for none.
func New(dir string) *Engine {
	if dir == "" {
		return Config{}.Engine()
	}
	return Config{Dirs: []Directory{{Path: dir}}}.Engine()
}

// Engine returns an engine that does what c says.
func (c Config) Engine() *Engine {
	e := &Engine{
		Config: c,
		busy:   make(chan struct{}, 1),
	}
	for i := range min(runtime.GOMAXPROCS(0)+1, maxScanners) {
		e.scanners = append(e.scanners, &scanner{window: newWindow(), reading: &e.reading[1+i]})
	}
	for _, dir := range c.Dirs {
		e.sources = append(e.sources, newSource(dir))
	}
	e.reset()
	return e
}

// Collect reads the directories as they are now. What of them cannot be read is
// missing, and the snapshot says why. The error is that of ctx, [ErrNoDirectory],
// an [UnreadableError] or a [PanicError]. The caller releases the snapshot.
func (e *Engine) Collect(ctx context.Context) (*Snapshot, error) {
	return e.alone(ctx, e.collect)
}

// Survey is Collect for callers that count: the snapshot knows how many
// entries each series has, see [Snapshot.Entries].
func (e *Engine) Survey(ctx context.Context) (*Snapshot, error) {
	return e.alone(ctx, func(ctx context.Context) (*Snapshot, error) {
		s, err := e.collect(ctx)
		if err == nil {
			s.entries = e.table.AppendEntries(make([]uint32, 0, e.table.Len()))
		}
		return s, err
	})
}

// Reading returns the path of a directory, or file, that is being read, "" if none is:
// where a collection is that does not end. It may be called at any time.
func (e *Engine) Reading() string {
	for i := range e.reading {
		if path := e.reading[i].Load(); path != nil {
			return *path
		}
	}
	return ""
}

// alone runs collect when no other collection does.
func (e *Engine) alone(ctx context.Context, collect func(context.Context) (*Snapshot, error)) (s *Snapshot, err error) {
	if len(e.Dirs) == 0 {
		return nil, ErrNoDirectory
	}
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		switch cause := recover().(type) {
		case nil:
			return
		case *PanicError:
			err = cause
		default:
			err = &PanicError{cause, debug.Stack()}
		}
		s = nil
		e.reset()
	}()
	return collect(ctx)
}

func (e *Engine) collect(ctx context.Context) (*Snapshot, error) {
	defer e.close()
	if err := e.list(ctx); err != nil {
		return nil, err
	}
	if e.updateMetadata() || e.muchGone() || e.unmix {
		e.reset()
	}
	c := e.pass(ctx)
	if e.unmix || c.disagreed() && c.table.Lost() {
		// Files are gone that disagreed with others about a series, or only
		// would if they were still there. Which file said what is not kept, so
		// learn anew from what is left.
		c.snapshot.Release()
		e.reset()
		c = e.pass(ctx)
	}
	for c.mixed() && ctx.Err() == nil {
		// Files that were merged before it was known that they disagree were
		// merged too simply. Now it is known.
		c.snapshot.Release()
		c = e.pass(ctx)
	}
	if err := ctx.Err(); err != nil {
		c.snapshot.Release()
		return nil, err
	}
	if e.weight == 0 {
		e.weight = e.table.Weight()
	}
	return c.finish(), nil
}

// keepGone is how many series that are gone are not worth forgetting.
const keepGone = 4096

// keepBulk is the same for huge keys, in bytes.
const keepBulk = 1 << 20

// muchGone reports whether a third of what the table holds is not there any
// more, or something huge may not be, or much of what is no series. Then it is
// cheaper, and much simpler, to learn the rest anew than to sort out the table.
func (e *Engine) muchGone() bool {
	gone := e.table.Len() - e.table.Live()
	return gone > keepGone && gone > e.table.Live()/2 || e.table.Lost() && e.table.Bulk() > keepBulk ||
		e.table.Released() && e.weight > 0 && e.table.Weight() > 2*e.weight+keepBulk
}

// reset forgets everything that was learnt, and with it the memory that it took to merge
// all that.
func (e *Engine) reset() {
	e.table, e.unmix, e.weight = series.NewTable(), false, 0
	e.free = make(chan *Snapshot, 2)
	e.memory = mergeMemory{first: map[series.ID]discover.Rule{}, latest: map[series.ID]float64{}}
	for _, s := range e.sources {
		s.files = map[string]*file{}
	}
}
