package collect

import (
	"math"
	"time"

	"gitlab-metrics-exporter/internal/series"
)

// What is kept of a series instead of a time. Both make sense of "the earliest".
const (
	never   = math.MaxInt64 // no file has the series
	unknown = math.MinInt64 // the file system does not tell the birth of one
)

// Born returns a time when summed series were all zero, and since when their
// values have been counted: the birth of the oldest file that one of them is in. It
// is false if that is not known, because a file system does not tell, files
// disagree about one of the series, or the engine was not asked to keep births.
//
// A file is born empty, and what is not in a file adds nothing, so the sum over
// the files that are there now was zero when the oldest of them was born. That
// does not hold for files which were copied or restored with their content.
func (s *Snapshot) Born(ids ...series.ID) (at time.Time, ok bool) {
	if s.births == nil {
		return time.Time{}, false
	}
	first := int64(never)
	for _, id := range ids {
		first = min(first, s.births[id])
	}
	return time.Unix(0, first), first != never && first != unknown
}

// unborn appends what stands for no birth up to n series.
func unborn(births []int64, n int) []int64 {
	for len(births) < n {
		births = append(births, never)
	}
	return births
}

// bear takes the birth of a file into account for the series of a run. The
// caller has its turn, and may read the table.
func (c *collection) bear(f *file, run run) {
	born := f.id.born
	if born == 0 {
		born = unknown
	}
	c.snapshot.births = unborn(c.snapshot.births, c.table.Len())
	births := c.snapshot.births[run.first:][:run.n]
	mixed := c.table.Mixings() > 0
	for i := range births {
		births[i] = min(births[i], born)
		if mixed && c.table.Mixed(run.first+series.ID(i)) {
			births[i] = unknown
		}
	}
}
