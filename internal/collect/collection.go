package collect

import (
	"cmp"
	"context"
	"runtime/debug"
	"slices"
	"sync"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// A collection is one pass over the files.
type collection struct {
	sources  []*source
	files    []*file // of all sources, in order
	snapshot *Snapshot
	*Config
	mixings     int // of the table, at the start
	differences int // the same

	tableLock sync.Mutex // protects the next two
	table     *series.Table
	unmix     bool // a file was forgotten while files disagree

	mu     sync.Mutex // protects the next five
	next   int        // the next file to scan
	turn   int        // the next file to merge
	merged *file      // the last one
	failed *PanicError
	moved  sync.Cond // turn has moved, or a scanner failed

	mergeMemory // of the scanner whose turn it is
}

// mergeMemory is what merging has to remember of series that cannot just be added up.
type mergeMemory struct {
	first  map[series.ID]discover.Rule // of mixed series: that of the first file
	latest map[series.ID]float64       // of series merged by time: the greatest timestamp
}

func (e *Engine) pass(ctx context.Context) *collection {
	c := e.begin()
	c.run(ctx, e.scanners)
	e.unmix = e.unmix || c.unmix
	return c
}

// mixed reports whether the pass found files that disagree about a series.
func (c *collection) mixed() bool { return c.table.Mixings() != c.mixings }

// disagreed reports whether the pass found files that disagree about a series, or
// about how a name is spelled.
func (c *collection) disagreed() bool { return c.mixed() || c.table.Differences() != c.differences }

// begin notes which files there are, and forgets those that are gone.
func (e *Engine) begin() *collection {
	c := &collection{table: e.table, snapshot: e.newSnapshot(), sources: e.sources, Config: &e.Config, mergeMemory: e.memory}
	clear(c.first)
	clear(c.latest)
	c.moved.L = &c.mu
	for _, s := range e.sources {
		c.files = slices.Grow(c.files, len(s.names))
		for _, name := range s.names {
			if s.census.dead[name] == nil {
				c.files = append(c.files, s.file(name))
			}
		}
		if len(s.files) > len(s.names)-len(s.census.dead) {
			c.forgetGone(s)
		}
	}
	c.snapshot.values = c.table.AppendInitial(c.snapshot.values[:0])
	c.snapshot.births = c.snapshot.births[:0]
	c.mixings, c.differences = c.table.Mixings(), c.table.Differences()
	return c
}

// forgetGone forgets the files of a source that are not there any more, or do not
// count.
func (c *collection) forgetGone(s *source) {
	left := map[string]*file{} // for a map never shrinks
	for _, name := range s.names {
		if s.census.dead[name] == nil {
			left[name] = s.files[name]
		}
	}
	for name, f := range s.files {
		if left[name] == nil {
			c.forget(f)
		}
	}
	s.files = left
}

// run scans and merges all files, or as many as it can before ctx ends. All
// scanners have stopped when it returns. If one panics, so does run.
func (c *collection) run(ctx context.Context, scanners []*scanner) {
	var wait sync.WaitGroup
	for _, s := range scanners[:max(1, min(len(scanners), len(c.files)))] {
		s.collection = c
		wait.Go(func() { s.work(ctx) })
	}
	wait.Wait()
	longest := 0
	for _, f := range c.files {
		longest = max(longest, f.column.n)
	}
	for _, s := range scanners {
		s.collection = nil // which has the table, and the next may need fewer scanners
		s.keep(longest)
	}
	if c.failed != nil {
		panic(c.failed)
	}
}

// work scans files until there is none left, a batch at a time, and merges each
// batch when its turn has come.
func (s *scanner) work(ctx context.Context) {
	defer s.shrink()
	defer s.fail()
	for {
		from, to := s.take()
		if from == to {
			return
		}
		for from < to {
			from = s.scanAndMerge(ctx, from, to)
		}
	}
}

// fail, deferred, keeps a panic for run, and lets the other scanners stop.
func (c *collection) fail() {
	cause := recover()
	if cause == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = cmp.Or(c.failed, &PanicError{cause, debug.Stack()})
	c.moved.Broadcast()
}

// scanAndMerge scans files [from, to), or some of them, and merges these when their turn
// has come. It returns where it stopped.
func (s *scanner) scanAndMerge(ctx context.Context, from, to int) (end int) {
	end = s.scanSome(ctx, from, to)
	if !s.await(from) {
		return to // nobody wants them
	}
	for i, f := range s.files[from:end] {
		s.merge(f, s.found[i].values, s.found[i].stamps)
		if i > 0 && cap(s.found[i].values) > 2*batchEntries {
			s.found[i] = found{} // of a file that is large after all
		}
	}
	s.yield(end)
	return end
}

// scanSome scans files [from, to), or fewer if they have more entries than was thought
// when they were taken. It returns where it stopped.
func (s *scanner) scanSome(ctx context.Context, from, to int) (end int) {
	entries := 0
	for end = from; end < to && entries < batchEntries; end++ {
		found := &s.found[end-from]
		s.values, s.stamps, s.spare = found.values[:0], nil, found.spare
		if ctx.Err() == nil {
			s.scan(ctx, s.files[end])
		}
		found.values, found.stamps = s.values, s.stamps
		if s.stamps != nil {
			found.spare = s.stamps
		}
		entries += len(s.values)
	}
	return end
}

// keep lets the memory for files go that had far more entries than any has now.
func (s *scanner) keep(longest int) {
	for i := range s.found {
		if cap(s.found[i].values) > 2*max(longest, batchEntries) {
			s.found[i] = found{}
		}
	}
	s.values, s.stamps, s.spare = nil, nil, nil // which are one of these
}

// What a batch has at most. Waiting for one's turn costs more than to scan a small
// file; but what was found has to be kept until then.
const (
	batchFiles   = 16
	batchEntries = 4096
)

// take returns the next files to scan: several that are small, or seem to be, or one. A
// large one is always the first, so that of all in a batch one alone needs much room.
func (c *collection) take() (from, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from = c.next
	if c.failed != nil {
		return from, from
	}
	for entries := 0; c.next < len(c.files) && c.next < from+batchFiles && entries < batchEntries; c.next++ {
		n := c.expected(c.files[c.next])
		if n >= batchEntries && c.next > from {
			break
		}
		entries += n
	}
	return from, c.next
}

// expected returns how many entries a file has: as many as are known, or else, about, as
// the file of its kind has that was merged last. If there is none it may be large.
func (c *collection) expected(f *file) int {
	switch {
	case f.column.n > 0:
		return f.column.n
	case c.merged != nil && c.merged.sameKind(f):
		return c.merged.column.n
	}
	return batchEntries
}

// await waits until it is the turn of file i to be merged; yield passes the turn on
// to another. It is false if that never comes, because a scanner failed.
func (c *collection) await(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.turn != i && c.failed == nil {
		c.moved.Wait()
	}
	return c.failed == nil
}

func (c *collection) yield(to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn, c.merged = to, c.files[to-1]
	c.moved.Broadcast()
}

// finish completes the snapshot.
func (c *collection) finish() *Snapshot {
	s := c.snapshot
	s.Layout = c.table.Layout()
	s.values = c.table.AppendInitial(s.values)
	s.Layout.Accumulate(s.values)
	if c.someNeverSet() {
		s.Layout = s.Layout.Without(c.neverSet)
	}
	if c.Births {
		s.births = unborn(s.births, c.table.Len())
	}
	s.Dirs, s.Files = s.Dirs[:0], s.roomForFiles(c.sources)
	at := 0
	for i, source := range c.sources {
		s.Dirs = append(s.Dirs, source.info())
		for _, name := range source.names {
			var info File
			if source.census.dead[name] != nil {
				info = source.deadInfo(name)
			} else {
				info = c.files[at].info()
				at++
			}
			info.Dir = i
			s.Files = append(s.Files, info)
		}
	}
	return s
}
