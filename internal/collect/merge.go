package collect

import (
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// merge counts f's entries that are new, and merges the values of all. The caller has
// its turn.
func (c *collection) merge(f *file, values, stamps []float64) {
	c.tableLock.Lock()
	defer c.tableLock.Unlock()
	if f.counted < f.column.n {
		c.retain(f)
	}
	if len(values) != f.column.n {
		return // the collection was cut short, and fails; of a file that failed there are none
	}
	into := c.table.AppendInitial(c.snapshot.values)
	c.snapshot.values = into
	mixed := c.table.Mixings() > 0
	for _, run := range f.column.runs {
		switch {
		case mixed:
			c.mergeMixed(f.Rule, into, run.first, values[:run.n], stamps)
		case f.Rule == discover.MostRecent:
			c.mergeRecent(into, run.first, values[:run.n], stamps)
		default:
			series.Merge(f.Rule, into[run.first:], values[:run.n])
		}
		if c.Births {
			c.bear(f, run)
		}
		values = values[run.n:]
		if stamps != nil {
			stamps = stamps[run.n:]
		}
	}
}

// mergeRecent merges values by their timestamps, of which there may be none. The
// first of two files wins that say the same time.
func (c *collection) mergeRecent(into []float64, id series.ID, values, stamps []float64) {
	for i, value := range values {
		latest := c.latest[id]
		if i < len(stamps) && stamps[i] > latest {
			latest, into[id] = stamps[i], value
		}
		c.latest[id] = latest
		id++
	}
}

// mergeMixed is [series.Merge] for a directory where files of different kinds
// name the same series: the first file that names it decides on the rule.
func (c *collection) mergeMixed(rule discover.Rule, into []float64, id series.ID, values, stamps []float64) {
	for i := range values {
		by := rule
		if c.table.Mixed(id) {
			first, seen := c.first[id]
			if !seen {
				c.first[id], first = rule, rule
				into[id] = series.Neutral(rule) // whatever is there is what another rule starts from
			}
			by = first
		}
		if by == discover.MostRecent {
			c.mergeRecent(into, id, values[i:i+1], stamps[min(i, len(stamps)):])
		} else {
			series.Merge(by, into[id:], values[i:i+1])
		}
		id++
	}
}

// neverSet reports whether a series is merged by time, and no file has one for it.
func (c *collection) neverSet(id series.ID) bool {
	latest, timed := c.latest[id]
	return timed && latest == 0
}

func (c *collection) someNeverSet() bool {
	for _, latest := range c.latest {
		if latest == 0 {
			return true
		}
	}
	return false
}
