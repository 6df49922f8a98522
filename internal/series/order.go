package series

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"gitlab-metrics-exporter/internal/discover"
)

// reorder returns the series that are on a page in order. The order of those that were in
// the last layout still holds if same is true: then only the others are
// sorted, and merged in.
func (t *Table) reorder(o *ordering, same bool) []ID {
	old := t.layout.order
	if !same {
		old = nil
		for i := range t.records.len {
			t.records.at(i).placed = false
		}
	}
	var fresh []ID
	for i := range t.records.len {
		r := t.records.at(i)
		shown := t.shown(ID(i))
		if shown && !r.placed {
			fresh = append(fresh, ID(i))
		}
		r.placed = shown
	}
	if len(fresh) > int(t.texts.spans.len)/4 {
		o.rankTexts()
	}
	o.sort(fresh)
	order := make([]ID, 0, t.live)
	for _, id := range old {
		if !t.record(id).placed {
			continue
		}
		for len(fresh) > 0 && o.compare(fresh[0], id) < 0 {
			order, fresh = append(order, fresh[0]), fresh[1:]
		}
		order = append(order, id)
	}
	return append(order, fresh...)
}

// An ordering compares series by their place on a page.
type ordering struct {
	t         *Table
	homes     []uint32 // by sample: the place of its family among all families
	ranks     []uint8  // by sample: its place within a label set of its family
	quantiles []bool   // by sample: it is that of a summary's quantiles
	texts     []uint32 // by text: its place among all texts, nil if that is not known
}

func (t *Table) ordering(r resolution) *ordering {
	homes := r.homes
	names := slices.Compact(slices.Sorted(slices.Values(homes)))
	o := &ordering{t: t, homes: make([]uint32, len(homes)), ranks: make([]uint8, len(homes)), quantiles: make([]bool, len(homes))}
	for i, home := range homes {
		at, _ := slices.BinarySearch(names, home)
		o.homes[i] = uint32(at)
		o.ranks[i] = rankOf(home, t.samples[i].name)
		o.quantiles[i] = o.ranks[i] == rankPlain && r.types[home] == discover.Summary
	}
	return o
}

// sort sorts series. Those of one label set mostly come one after the other, a
// dozen for a histogram, and in order: so label sets are sorted first.
func (o *ordering) sort(ids []ID) {
	type set struct{ from, to int }
	var sets []set
	old := slices.Clone(ids)
	for from, to := 0, 1; from < len(old); from, to = to, to+1 {
		for to < len(old) && o.compareSets(old[from], old[to]) == 0 {
			to++
		}
		sets = append(sets, set{from, to})
	}
	slices.SortFunc(sets, func(a, b set) int { return o.compareSets(old[a.from], old[b.from]) })
	for len(sets) > 0 {
		first, n := old[sets[0].from], 0
		for len(sets) > 0 && o.compareSets(first, old[sets[0].from]) == 0 {
			n += copy(ids[n:], old[sets[0].from:sets[0].to])
			sets = sets[1:]
		}
		slices.SortFunc(ids[:n], o.compareWithin)
		ids = ids[n:]
	}
}

// compare orders by family, then label set, then what a label set has.
func (o *ordering) compare(a, b ID) int {
	if c := o.compareSets(a, b); c != 0 {
		return c
	}
	return o.compareWithin(a, b)
}

// compareSets orders by family, then label set.
func (o *ordering) compareSets(a, b ID) int {
	if c := cmp.Compare(o.homes[o.t.record(a).sample], o.homes[o.t.record(b).sample]); c != 0 {
		return c
	}
	la, lb := o.t.line(a), o.t.line(b)
	if c := o.compareText(la.labels, lb.labels); c != 0 {
		return c
	}
	return o.compareText(la.pid, lb.pid)
}

// compareWithin orders series of a label set by sample name, then bound (a series
// without one, or without a number in it, last), then what is left.
func (o *ordering) compareWithin(a, b ID) int {
	ra, rb := o.t.record(a), o.t.record(b)
	la, lb := o.t.line(a), o.t.line(b)
	if c := cmp.Compare(o.ranks[ra.sample], o.ranks[rb.sample]); c != 0 {
		return c
	}
	if la.bound != lb.bound {
		a, b := &o.t.bounds[la.bound], &o.t.bounds[lb.bound]
		c := compareBounds(a.number, b.number)
		if o.quantiles[ra.sample] {
			c = compareBounds(a.quantile, b.quantile)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Or(o.compareText(la.bound, lb.bound), cmp.Compare(o.t.names[la.name], o.t.names[lb.name]))
}

// rankTexts sorts the texts. That pays if many series are to be sorted, because
// many share a text.
func (o *ordering) rankTexts() {
	sorted := make([]uint32, o.t.texts.spans.len)
	for i := range sorted {
		sorted[i] = uint32(i)
	}
	slices.SortFunc(sorted, o.compareText)
	o.texts = make([]uint32, len(sorted))
	for rank, text := range sorted {
		o.texts[text] = uint32(rank)
	}
}

func (o *ordering) compareText(a, b uint32) int {
	if a == b {
		return 0
	}
	if o.texts != nil {
		return cmp.Compare(o.texts[a], o.texts[b])
	}
	return bytes.Compare(o.t.texts.get(a), o.t.texts.get(b))
}

func compareBounds(a, b float64) int {
	switch aNaN, bNaN := math.IsNaN(a), math.IsNaN(b); {
	case aNaN && bNaN:
		return 0
	case aNaN:
		return 1
	case bNaN:
		return -1
	}
	return cmp.Compare(a, b)
}
