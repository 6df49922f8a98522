package status

import (
	"hash/maphash"
	"sync"
	"weak"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/series"
)

// maxFamilies is of how many families growth is remembered.
const maxFamilies = 4096

// growth remembers how many series each family had when it was first seen. It
// keeps no names, so that it is small whatever they are.
type growth struct {
	seed maphash.Seed

	mu    sync.Mutex
	last  weak.Pointer[series.Layout] // that was looked at
	total *int                        // of all series, at first
	first map[uint64]int              // series, by the hash of the family's name
}

func newGrowth() *growth { return &growth{seed: maphash.MakeSeed(), first: map[uint64]int{}} }

// note remembers the families that are new in a layout. Most scrapes have the
// layout of the one before: then there is nothing to do.
func (g *growth) note(layout *series.Layout) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := weak.Make(layout)
	if now == g.last {
		return
	}
	g.last = now
	if g.total == nil {
		g.total = new(layout.Len())
	}
	for _, family := range layout.Families {
		hash := maphash.String(g.seed, family.Name)
		if _, known := g.first[hash]; !known && len(g.first) < maxFamilies {
			g.first[hash] = len(family.Series)
		}
	}
}

// fill says in a report what has grown.
func (g *growth) fill(r *cardinality.Report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total != nil {
		r.Growth = new(r.Series - *g.total)
	}
	for i := range r.Families {
		f := &r.Families[i]
		if first, known := g.first[maphash.String(g.seed, f.Name)]; known {
			f.Growth = new(f.Series - first)
		}
	}
}
