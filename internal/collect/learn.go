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
	w := s.window
	l := learner{collection: s.collection}
	for ctx.Err() == nil {
		at := f.column.end
		if !frame.More(at, w.limit) {
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
		if l.source == nil {
			l.start(f)
		}
		s.learnWindow(f, &l)
	}
	return nil, nil // the collection fails as a whole
}

// learnWindow learns the entries that lie wholly in the window, from the
// first that is not known on. Damage is left to the caller, who meets it next.
func (s *scanner) learnWindow(f *file, l *learner) {
	defer l.share()
	w := s.window
	for at := f.column.end; frame.More(at, w.end); at = f.column.end {
		e, damage := f.column.layout.At(w.slice(at, w.end), at, w.limit)
		if damage != nil || e.End == 0 || e.End > w.end {
			return
		}
		key := w.slice(e.Key, e.KeyTo)
		if f.store != nil {
			s.key = directfilestore.AppendKey(s.key[:0], f.Metric, f.store.kind, key)
			key = s.key
		}
		id, err := l.find(key, f.parse)
		if err != nil {
			f.addBadKey(e, err)
		}
		last := w.slice(tailOffset(at, e.Value), e.Value+8)
		f.column.add(e, id, keyPrint(uint32(e.KeyTo-e.Key), last))
		s.values = append(s.values, frame.Float(last[len(last)-8:]))
		if s.stamps != nil {
			s.stamps = append(s.stamps, frame.Stamp(w.slice(e.Value, e.End)))
		}
	}
}

// A learner finds the series of new entries of one file. Keys that the table knows,
// which are nearly all, are recognized side by side with other scanners. From one that
// is new on to the next that is not, the learner has the table to itself: new ones
// come in crowds.
type learner struct {
	*collection
	source *series.Source
	known  series.Known
	alone  bool // the table is locked
}

func (l *learner) start(f *file) {
	l.tableLock.Lock()
	defer l.tableLock.Unlock()
	l.source = l.table.Source(l.origin(f))
	l.known = l.table.Known(l.source)
}

// find returns the series of the next entry, whose key is given.
func (l *learner) find(key []byte, parse series.ParseFunc) (series.ID, error) {
	if !l.alone {
		if id := l.known.Find(key, l.source); id != series.None {
			return id, nil
		}
		l.tableLock.Lock()
		l.alone = true
	}
	id, fresh, err := l.table.Intern(key, l.source, parse)
	if !fresh {
		l.share()
	}
	return id, err
}

// share lets others use the table.
func (l *learner) share() {
	if l.alone {
		l.alone = false
		defer l.tableLock.Unlock()
		l.known = l.table.Known(l.source)
	}
}

// origin returns what is known of all entries of f.
func (c *collection) origin(f *file) series.Origin {
	origin := series.Origin{File: f.File, Labels: f.source.labels}
	if f.store != nil {
		origin.Help = f.store.metric.Help
	}
	switch {
	case !f.OwnCounts:
	case f.store != nil:
		origin.Bounds = f.store.bounds()
	default:
		origin.Bounds = everything
	}
	return origin
}

// everything is the bucket that a histogram always has.
var everything = []string{"+Inf"}

// retain counts the entries of f that are not counted yet as naming their series.
func (c *collection) retain(f *file) {
	known := f.counted
	for _, run := range f.column.runs {
		n := int(run.n)
		if skip := min(known, n); skip < n {
			c.table.Retain(run.first+series.ID(skip), n-skip, f.File)
		}
		known -= min(known, n)
	}
	f.counted = f.column.n
}

// forget drops all that is known of f's content.
func (c *collection) forget(f *file) {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	if f.column.n > 0 && c.table.Mixings()+c.table.Differences() > 0 {
		c.unmix = true
	}
	for _, run := range f.column.runs {
		n := min(int(run.n), f.counted)
		c.table.Release(run.first, n)
		f.counted -= n
	}
	f.empty(f.Name)
}
