package collect

import (
	"context"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
	"gitlab-metrics-exporter/internal/series"
)

// readNew decodes the entries that are not known yet. What it learns holds
// even if it has to stop early: the next scrape goes on from there.
func (s *scanner) readNew(ctx context.Context, f *file) (*format.Damage, error) {
	w, source := s.window, (*series.Source)(nil)
	for ctx.Err() == nil {
		at := f.column.end
		if w.limit-at <= 4 {
			return nil, nil
		}
		_, damage, err := w.entry(f.column.layout, at)
		if err != nil {
			return nil, err
		}
		if damage != nil {
			if f.used > w.limit {
				damage = nil // the cut is the fault, not the entry that it cuts
			}
			return damage, nil
		}
		if source == nil {
			source = s.source(f)
			known := f.column.n
			defer func() { s.retain(f, known, source) }()
		}
		s.learnWindow(f, source)
	}
	return nil, nil // the collection fails as a whole
}

func (c *collection) source(f *file) *series.Source {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	origin := series.Origin{File: f.File, Labels: f.source.labels}
	if f.OwnCounts {
		origin.Bounds = everything
	}
	if f.store != nil {
		origin.Help, origin.Bounds = f.store.metric.Help, f.store.bounds()
	}
	return c.table.Source(origin)
}

// everything is the bucket that a histogram always has.
var everything = []string{"+Inf"}

// learnWindow learns the entries that lie wholly in the window, from the
// first that is not known on. Damage is left to the caller, who meets it next.
// Keys that the table knows, which are nearly all, are recognized side by side with
// other scanners.
func (s *scanner) learnWindow(f *file, source *series.Source) {
	w := s.window
	known := s.known(source)
	for at := f.column.end; at+5 <= w.end; at = f.column.end {
		e, damage := f.column.layout.At(w.slice(at, w.end), at, w.limit)
		if damage != nil || e.End == 0 || e.End > w.end {
			return
		}
		key := w.slice(e.Key, e.KeyTo)
		if f.store != nil {
			s.key = directfilestore.AppendKey(s.key[:0], f.Metric, f.store.kind, key)
			key = s.key
		}
		id := known.Find(key, source)
		if id == series.None {
			var err error
			if id, known, err = s.intern(key, source, f.parse); err != nil {
				f.addBadKey(e, err)
			}
		}
		last := w.slice(tailOffset(at, e.Value), e.Value+8)
		f.column.add(e, id, keyPrint(uint32(e.KeyTo-e.Key), last))
		s.values = append(s.values, frame.Float(last[len(last)-8:]))
		if s.stamps != nil {
			s.stamps = append(s.stamps, frame.Float(w.slice(e.Value+8, e.End)))
		}
	}
}

func (c *collection) known(source *series.Source) series.Known {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	return c.table.Known(source)
}

// intern returns the series of an entry whose key is not known, and what is known
// then.
func (c *collection) intern(key []byte, source *series.Source, parse series.ParseFunc) (series.ID, series.Known, error) {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	id, err := c.table.Intern(key, source, parse)
	return id, c.table.Known(source), err
}

// retain counts the entries of f as naming their series, but for the first known
// ones, which are counted.
func (s *scanner) retain(f *file, known int, source *series.Source) {
	s.tableLock.Lock()
	defer s.tableLock.Unlock()
	for _, run := range f.column.runs {
		n := int(run.n)
		if skip := min(known, n); skip < n {
			s.table.Retain(run.first+series.ID(skip), n-skip, source)
		}
		known -= min(known, n)
	}
}

// forget drops all that is known of f's content.
func (c *collection) forget(f *file) {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	if f.column.n > 0 && c.table.Mixings()+c.table.Torn() > 0 {
		c.unmix = true
	}
	for _, run := range f.column.runs {
		c.table.Release(run.first, int(run.n))
	}
	f.empty(f.Name)
}
