package exposition

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/series"
)

// Labels that histograms and summaries are arranged by.
const (
	leLabel       = "le"
	quantileLabel = "quantile"
)

// Suffixes of sample names.
const (
	bucketSuffix  = "_bucket"
	sumSuffix     = "_sum"
	countSuffix   = "_count"
	totalSuffix   = "_total"
	createdSuffix = "_created"
)

// A set is what a histogram or summary has for one label set.
type set struct {
	id     series.ID // one of its series
	rest   []byte    // the text of the labels that stand beside the bound, if any
	points []point   // by bound, ascending

	sum, count       float64
	hasSum, hasCount bool

	born time.Time // when all that counts was zero
	told bool      // the files tell
}

// A point is a bucket or a quantile. Bounds that are spelled differently but
// are the same number are one point: its values are added, as they would have
// been if the files had spelled it alike; but of buckets that were added up the
// last has what is in the others already.
type point struct {
	number
	count float64
	plain float64 // what of it was not added up
}

// sets cuts histograms and summaries into their label sets. The zero value is
// ready for use.
type sets struct {
	numbers numbers
	found   []set          // reused
	byRest  map[string]int // of the sets found but the first: where they are
}

// each calls yield for each label set of f, whose bounds must be numbers, until
// that returns false. The set must not be kept. It reports whether yield always
// returned true.
func (c *sets) each(s *collect.Snapshot, f *family, yield func(*set) bool) bool {
	for ids := f.Series; len(ids) > 0; {
		n := 1
		for n < len(ids) && s.Layout.SameLabels(ids[0], ids[n]) {
			n++
		}
		c.cut(s, f, ids[:n])
		for i := range c.found {
			if !yield(&c.found[i]) {
				return false
			}
		}
		ids = ids[n:]
	}
	return true
}

// cut finds the label sets among series that differ only in the last part of
// their labels. That is one set, unless somebody gave a histogram a label
// quantile, or a summary a label le.
func (c *sets) cut(s *collect.Snapshot, f *family, ids []series.ID) {
	c.found = c.found[:0]
	clear(c.byRest)
	born, told := s.Born(ids...)
	for _, id := range ids {
		bound, rest := series.SplitBound(s.Layout.PartText(s.Layout.Parts(id)[2]), f.bound)
		set := c.at(rest)
		set.id, set.born, set.told = id, born, told
		switch s.Layout.Name(id)[len(f.Name):] {
		case sumSuffix:
			set.sum, set.hasSum = s.Value(id), true
		case countSuffix:
			set.count, set.hasCount = s.Value(id), true
		default:
			set.add(c.numbers.of(bound), s.Value(id), s.Layout.OwnCounts(id))
		}
	}
}

// at returns the set with these labels beside the bound.
func (c *sets) at(rest []byte) *set {
	if n := len(c.found); n > 0 {
		if bytes.Equal(c.found[0].rest, rest) {
			return &c.found[0]
		}
		if i, ok := c.byRest[string(rest)]; ok {
			return &c.found[i]
		}
		if c.byRest == nil {
			c.byRest = map[string]int{}
		}
		c.byRest[string(rest)] = n
	}
	if len(c.found) < cap(c.found) {
		c.found = c.found[:len(c.found)+1]
	} else {
		c.found = append(c.found, set{})
	}
	fresh := &c.found[len(c.found)-1]
	*fresh = set{rest: rest, points: fresh.points[:0]}
	return fresh
}

// add adds a value to the point of its bound; addedUp says that it has in it all before
// it of which that is said, too.
func (s *set) add(bound number, value float64, addedUp bool) {
	plain := value
	if addedUp {
		plain = 0
	}
	if last := len(s.points) - 1; last >= 0 && s.points[last].value == bound.value {
		p := &s.points[last]
		if addedUp {
			p.count = p.plain
		}
		p.count, p.plain = p.count+value, p.plain+plain
		return
	}
	s.points = append(s.points, point{bound, value, plain})
}

// whole reports whether each label set of f has all that the readers of
// OpenMetrics and protobuf make up where it is missing: a sum, a count, and a
// histogram the bucket of everything; and counts that are whole numbers, which
// is all that these formats have. With rising, sums must be such that they can only
// rise, which OpenMetrics demands: not below zero, and not of values that may be; and
// quantiles must lie between 0 and 1, and have no value below zero.
func (c *sets) whole(s *collect.Snapshot, f *family, rising bool) bool {
	return c.each(s, f, func(set *set) bool {
		if !set.hasSum || !set.hasCount || !isCount(set.count) || rising && !(set.sum >= 0) {
			return false
		}
		if f.bound == quantileLabel {
			return !rising || !slices.ContainsFunc(set.points, func(p point) bool { return p.value < 0 || p.value > 1 || p.count < 0 })
		}
		for _, p := range set.points {
			if !isCount(p.count) {
				return false
			}
		}
		last := len(set.points) - 1
		return last >= 0 && strings.HasPrefix(set.points[last].text, "+") && !(rising && set.points[0].value < 0)
	})
}
