package series

import "gitlab-metrics-exporter/internal/discover"

// A series is there as long as entries name it, or imply it: these are counted. One
// that is gone keeps its number, until everything is learnt anew.

// Retain counts n entries of a file that name series numbered one after the other,
// one each, until [Table.Release].
func (t *Table) Retain(first ID, n int, of discover.File) {
	if first == None {
		return
	}
	from := kindOf(of)
	for id := first; id < first+ID(n); id++ {
		if r := t.record(id); r.refs > 0 && r.kind == from && r.total == 0 {
			r.refs++ // nothing else comes of it
		} else {
			t.retain(id, from)
		}
	}
}

func (t *Table) retain(id ID, kind kind) {
	t.hold(id)
	t.compare(id, kind)
	number := t.record(id).total
	if number == 0 {
		return
	}
	total := &t.totals[number]
	t.compare(total.id, kind)
	if total.implied++; total.implied == 1 {
		t.hold(total.id)
		for _, bucket := range total.buckets {
			t.hold(bucket)
		}
	}
}

// compare notes if a file of the given kind is of another than the one that named the
// series first.
func (t *Table) compare(id ID, kind kind) {
	if t.record(id).kind != kind {
		t.mix(id, kind.typ)
	}
}

// Release takes back what [Table.Retain] counted.
func (t *Table) Release(first ID, n int) {
	t.released = true
	if first == None {
		return
	}
	for id := first; id < first+ID(n); id++ {
		t.release(id)
	}
}

func (t *Table) release(id ID) {
	t.drop(id)
	number := t.record(id).total
	if number == 0 {
		return
	}
	total := &t.totals[number]
	if total.implied--; total.implied == 0 {
		t.drop(total.id)
		for _, bucket := range total.buckets {
			t.drop(bucket)
		}
	}
}

// hold counts one reason more for a series to be there, and nothing else; drop
// takes that back.
func (t *Table) hold(id ID) {
	r := t.record(id)
	if r.refs++; r.refs == 1 {
		t.live++
		t.changed = true
	}
}

func (t *Table) drop(id ID) {
	r := t.record(id)
	if r.refs--; r.refs == 0 {
		t.live--
		t.lost, t.changed = true, true
	}
}

// AppendEntries appends to counts, for each ID, the number of entries that name
// the series.
func (t *Table) AppendEntries(counts []uint32) []uint32 {
	first := len(counts)
	for i := range t.records.len {
		counts = append(counts, t.records.at(i).refs)
	}
	for _, total := range t.totals {
		if total.implied == 0 {
			continue
		}
		counts[first+int(total.id)]--
		for _, bucket := range total.buckets {
			counts[first+int(bucket)]--
		}
	}
	return counts
}
