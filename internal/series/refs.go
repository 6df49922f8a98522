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
		if r := t.record(id); r.refs > 0 && r.kind == from && r.count == None {
			r.refs++ // nothing else comes of it
		} else {
			t.retain(id, from)
		}
	}
}

func (t *Table) retain(id ID, kind kind) {
	t.hold(id)
	r := t.record(id)
	if r.kind != kind {
		t.mix(id, kind.typ)
	}
	if r.refs == 1 {
		for _, bucket := range t.declared[id].buckets {
			t.hold(bucket)
		}
	}
	if count := r.count; count != None {
		t.retain(count, kind)
	}
}

// Release takes back what [Table.Retain] counted.
func (t *Table) Release(first ID, n int) {
	if first == None {
		return
	}
	for id := first; id < first+ID(n); id++ {
		t.release(id)
	}
}

func (t *Table) release(id ID) {
	t.drop(id)
	r := t.record(id)
	if r.refs == 0 {
		for _, bucket := range t.declared[id].buckets {
			t.drop(bucket)
		}
	}
	if count := r.count; count != None {
		t.release(count)
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
	for total, with := range t.declared { // which nobody has to name
		if t.record(total).refs == 0 {
			continue
		}
		counts[first+int(total)] = 0
		for _, bucket := range with.buckets {
			counts[first+int(bucket)]--
		}
	}
	return counts
}
