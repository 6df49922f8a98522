// Package collect reads a directory of metric files and adds them up: the
// engine behind every scrape.
//
// It decodes once and afterwards only reads values. What it keeps between
// scrapes is a [series.Table] of all distinct series, and for each file a
// column of (where the value is, which series it belongs to), eight bytes an
// entry. A scrape then
//
//  1. lists the directory,
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
// entries or series.
//
// A file that is damaged, or cannot be read, is absent from there on and
// described in the snapshot; it never fails the scrape.
package collect

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/series"
)

// ErrNoDirectory is returned by [Engine.Collect] if the engine was given no
// directory.
var ErrNoDirectory = errors.New("no metrics directory is configured")

// An Engine collects one directory. Its methods may be called concurrently;
// collections then follow each other.
type Engine struct {
	dir  string
	busy chan struct{}  // holds one token while a collection runs
	free chan *Snapshot // released, to be used again

	// The rest belongs to the collection that runs.
	table    *series.Table
	files    map[string]*file
	scanners []*scanner
}

// maxScanners is how many files are read at once at most: one for each core,
// and one more, because scanners wait for their turn. More than that only share
// out the memory's bandwidth, and each costs a window.
const maxScanners = 5

// New returns an engine for dir, which may not exist yet. An empty dir stands
// for none.
func New(dir string) *Engine {
	e := &Engine{
		dir:  dir,
		busy: make(chan struct{}, 1),
		free: make(chan *Snapshot, 2),
	}
	for range min(runtime.GOMAXPROCS(0)+1, maxScanners) {
		e.scanners = append(e.scanners, &scanner{window: newWindow()})
	}
	e.reset()
	return e
}

// Dir returns the directory.
func (e *Engine) Dir() string { return e.dir }

// Collect reads the directory as it is now. The error is that of ctx, or says
// that the directory cannot be listed. The caller releases the snapshot.
func (e *Engine) Collect(ctx context.Context) (*Snapshot, error) {
	if e.dir == "" {
		return nil, ErrNoDirectory
	}
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return e.collect(ctx)
}

func (e *Engine) collect(ctx context.Context) (*Snapshot, error) {
	names, err := discover.Names(e.dir)
	if err != nil {
		return nil, err
	}
	if e.mostlyGone() {
		e.reset()
	}
	c := e.pass(ctx, names)
	if c.unmix || c.mixed() && c.table.Lost() {
		// Files are gone that disagreed with others about a series, or only
		// would if they were still there. Which file said what is not kept, so
		// learn anew from what is left.
		c.snapshot.Release()
		e.reset()
		c = e.pass(ctx, names)
	}
	if c.mixed() {
		// Files that were merged before it was known that they disagree were
		// merged too simply. Now it is known.
		c.snapshot.Release()
		c = e.pass(ctx, names)
	}
	if err := ctx.Err(); err != nil {
		c.snapshot.Release()
		return nil, err
	}
	return c.finish(), nil
}

// keepGone is how many series that are gone are not worth forgetting.
const keepGone = 4096

// keepBulk is the same for huge keys, in bytes.
const keepBulk = 1 << 20

// mostlyGone reports whether most of what the table holds is not there any
// more, or something huge may not be. Then it is cheaper, and much simpler, to
// learn the rest anew than to sort out the table.
func (e *Engine) mostlyGone() bool {
	gone := e.table.Len() - e.table.Live()
	return gone > keepGone && gone > e.table.Live() || e.table.Lost() && e.table.Bulk() > keepBulk
}

// reset forgets everything that was learnt.
func (e *Engine) reset() {
	e.table = series.NewTable()
	e.files = map[string]*file{}
}

// A collection is one pass over the files.
type collection struct {
	files    []*file
	snapshot *Snapshot
	mixings  int // of the table, at the start

	tableLock sync.RWMutex // protects the next two
	table     *series.Table
	unmix     bool // a file was forgotten while files disagree

	mu    sync.Mutex // protects the next three
	next  int        // the next file to scan
	turn  int        // the next file to merge
	moved sync.Cond  // turn has moved

	first map[series.ID]discover.Rule // belongs to the scanner whose turn it is
}

func (e *Engine) pass(ctx context.Context, names []string) *collection {
	c := e.begin(names)
	c.run(ctx, e.scanners)
	return c
}

// mixed reports whether the pass found files that disagree about a series.
func (c *collection) mixed() bool { return c.table.Mixings() != c.mixings }

// begin notes which files there are, and forgets those that are gone.
func (e *Engine) begin(names []string) *collection {
	c := &collection{table: e.table, snapshot: e.newSnapshot(), files: make([]*file, len(names))}
	c.moved.L = &c.mu
	for i, name := range names {
		f := e.files[name]
		if f == nil {
			f = newFile(filepath.Join(e.dir, name), name)
			e.files[name] = f
		}
		c.files[i] = f
	}
	if len(e.files) > len(names) {
		there := make(map[string]bool, len(names))
		for _, name := range names {
			there[name] = true
		}
		for name, f := range e.files {
			if !there[name] {
				c.forget(f)
				delete(e.files, name)
			}
		}
	}
	c.snapshot.values = c.table.AppendInitial(c.snapshot.values[:0])
	c.mixings = c.table.Mixings()
	return c
}

// run scans and merges all files, or as many as it can before ctx ends. All
// scanners have stopped when it returns.
func (c *collection) run(ctx context.Context, scanners []*scanner) {
	var wait sync.WaitGroup
	for _, s := range scanners[:max(1, min(len(scanners), len(c.files)))] {
		s.collection = c
		wait.Go(func() { s.work(ctx) })
	}
	wait.Wait()
}

// work scans files until there is none left, and merges each when its turn
// has come.
func (s *scanner) work(ctx context.Context) {
	defer s.window.shrink()
	for {
		i := s.take()
		if i >= len(s.files) {
			return
		}
		f := s.files[i]
		if ctx.Err() == nil {
			s.scan(ctx, f)
		}
		s.await(i)
		s.merge(f, s.values)
		s.pass()
	}
}

// take returns the next file to scan.
func (c *collection) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next - 1
}

// await waits until it is the turn of file i to be merged; pass ends its turn.
func (c *collection) await(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.turn != i {
		c.moved.Wait()
	}
}

func (c *collection) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn++
	c.moved.Broadcast()
}

// merge merges the values of f's entries. The caller has its turn.
func (c *collection) merge(f *file, values []float64) {
	if len(values) != f.column.n {
		return // the collection was cut short, and fails
	}
	c.tableLock.RLock()
	defer c.tableLock.RUnlock()
	into := c.table.AppendInitial(c.snapshot.values)
	c.snapshot.values = into
	mixed := c.table.Mixings() > 0
	f.column.ids(func(ids []series.ID) {
		if mixed {
			c.mergeMixed(f.Rule, into, ids, values)
		} else {
			series.Merge(f.Rule, into, ids, values)
		}
		values = values[len(ids):]
	})
}

// mergeMixed is [series.Merge] for a directory where files of different kinds
// name the same series: the first file that names it decides on the rule.
func (c *collection) mergeMixed(rule discover.Rule, into []float64, ids []series.ID, values []float64) {
	if c.first == nil {
		c.first = map[series.ID]discover.Rule{}
	}
	for i, id := range ids {
		rule := rule
		if c.table.Mixed(id) {
			first, seen := c.first[id]
			if !seen {
				c.first[id], first = rule, rule
				into[id] = values[i]
				continue
			}
			rule = first
		}
		into[id] = series.MergeOne(rule, false, into[id], values[i])
	}
}

// finish completes the snapshot.
func (c *collection) finish() *Snapshot {
	s := c.snapshot
	s.Layout = c.table.Layout()
	s.Files = s.Files[:0]
	for _, f := range c.files {
		s.Files = append(s.Files, f.info())
	}
	return s
}

func (f *file) info() File {
	info := File{
		File: f.File, Size: f.id.sizeBytes, Used: f.used,
		Entries: f.column.n - f.badKeys, BadKeys: f.badKeys, Damage: f.damage,
	}
	if info.Damage == nil {
		info.Damage = f.badKey
	}
	return info
}

// A Snapshot is a directory at one moment: every series' merged value, and
// what there is to say of each file. It does not change until it is released.
type Snapshot struct {
	Layout *series.Layout
	Files  []File // in byte order of their names

	values []float64 // by series.ID
	home   chan *Snapshot
}

// A File describes a metric file as it was found.
type File struct {
	discover.File
	Size    int64 // in bytes; 0 if it could not be opened
	Used    int64 // bytes that hold data, header included, as the file says
	Entries int   // that are on the page
	BadKeys int   // entries that are absent because of their key

	// Damage is what is wrong with the file, nil if nothing is: first of all
	// why it ends early, else its first bad key.
	Damage *format.Damage
}

// Value returns the merged value of a series in the snapshot's layout.
func (s *Snapshot) Value(id series.ID) float64 { return s.values[id] }

func (e *Engine) newSnapshot() *Snapshot {
	select {
	case s := <-e.free:
		return s
	default:
		return &Snapshot{home: e.free}
	}
}

// Release gives the snapshot's memory back to its engine. It must not be used
// afterwards.
func (s *Snapshot) Release() {
	s.Layout = nil
	select {
	case s.home <- s:
	default:
	}
}
