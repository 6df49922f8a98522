package series

import (
	"bytes"
	"sync/atomic"
)

// An index finds numbered things by a hash of what they are. It is a hash
// table with open addressing and without pointers. The zero value is not
// ready: use newIndex.
//
// A copy of an index may be searched while things are added to the original. It
// may find some of those, too.
type index struct {
	slots []slot // a power of two of them, at most three quarters used
	used  int
}

// A slot is empty if it is 0; else its lower half is one more than the number of a
// thing, and its upper half the hash.
type slot struct{ atomic.Uint64 }

func newIndex() index { return index{slots: make([]slot, 64)} }

// find returns the number of the thing with this hash that is says yes to.
func (x *index) find(hash uint32, is func(number uint32) bool) (number uint32, ok bool) {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := x.slots[i].Load()
		if slot == 0 {
			return 0, false
		}
		if number := uint32(slot) - 1; uint32(slot>>32) == hash && is(number) {
			return number, true
		}
	}
}

// add adds a thing that is not there yet.
func (x *index) add(hash, number uint32) {
	if x.used*4 >= len(x.slots)*3 {
		old := x.slots
		x.slots = make([]slot, 2*len(old))
		// A page that is read first costs two faults, and the second interrupts the
		// other cores.
		clear(x.slots)
		for i := range old {
			if slot := old[i].Load(); slot != 0 {
				x.put(slot)
			}
		}
	}
	x.used++
	x.put(uint64(hash)<<32 | uint64(number+1))
}

func (x *index) put(new uint64) {
	mask := uint32(len(x.slots) - 1)
	at := uint32(new>>32) & mask
	for x.slots[at].Load() != 0 {
		at = (at + 1) & mask
	}
	x.slots[at].Store(new)
}

// texts numbers distinct byte strings from 0.
type texts struct {
	index index
	arena arena
	spans list[span]
}

// number returns the number of b, whose hash is given, adding it if need be.
func (t *texts) number(hash uint32, b []byte) uint32 {
	number, known := t.index.find(hash, func(n uint32) bool { return bytes.Equal(t.get(n), b) })
	if !known {
		number = t.spans.len
		t.spans.add(t.arena.add(b))
		t.index.add(hash, number)
	}
	return number
}

func (t *texts) get(number uint32) []byte { return t.arena.get(*t.spans.at(number)) }
