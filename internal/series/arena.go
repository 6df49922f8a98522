package series

import "bytes"

// chunkSize is how much an arena grows by, in bytes. Growing by whole chunks
// instead of by doubling leaves no garbage and at most one chunk unused.
const chunkSize = 256 << 10

// An arena holds byte strings, one after the other, in chunks that never move
// and never change once written. So readers need no lock for strings that
// they were told of, while more are added.
type arena struct {
	chunks [][]byte // each at its full length from the start
	free   int      // bytes not yet used at the end of the last chunk
}

// A span says where in an arena a byte string lies.
type span struct{ chunk, from, to uint32 }

func (a *arena) add(b []byte) span {
	if len(b) > a.free {
		size := max(chunkSize, len(b))
		a.chunks = append(a.chunks, make([]byte, size))
		a.free = size
	}
	last := a.chunks[len(a.chunks)-1]
	from := len(last) - a.free
	copy(last[from:], b)
	a.free -= len(b)
	return span{uint32(len(a.chunks) - 1), uint32(from), uint32(from + len(b))}
}

func (a *arena) get(s span) []byte { return a.chunks[s.chunk][s.from:s.to:s.to] }

// A set numbers distinct byte strings from 0, in the order of their arrival.
// It is a hash table with open addressing that holds no pointers but to its
// arena's chunks. The zero value is not ready: use newSet.
type set struct {
	arena arena
	spans []span
	slots []slot // a power of two of them, at most three quarters used
}

// A slot is empty if next is 0; else it stands for the string number next-1.
type slot struct{ hash, next uint32 }

func newSet() set { return set{slots: make([]slot, 64)} }

func (s *set) get(number uint32) []byte { return s.arena.get(s.spans[number]) }

// find returns the number of b, whose hash is given.
func (s *set) find(hash uint32, b []byte) (number uint32, ok bool) {
	mask := uint32(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := s.slots[i]
		if slot.next == 0 {
			return 0, false
		}
		if slot.hash == hash && bytes.Equal(s.get(slot.next-1), b) {
			return slot.next - 1, true
		}
	}
}

// add adds b, which must not be in the set, and returns its number.
func (s *set) add(hash uint32, b []byte) uint32 {
	if len(s.spans)*4 >= len(s.slots)*3 {
		s.grow()
	}
	s.spans = append(s.spans, s.arena.add(b))
	number := uint32(len(s.spans) - 1)
	s.put(slot{hash: hash, next: number + 1})
	return number
}

func (s *set) grow() {
	old := s.slots
	s.slots = make([]slot, 2*len(old))
	for _, slot := range old {
		if slot.next != 0 {
			s.put(slot)
		}
	}
}

func (s *set) put(new slot) {
	mask := uint32(len(s.slots) - 1)
	at := new.hash & mask
	for s.slots[at].next != 0 {
		at = (at + 1) & mask
	}
	s.slots[at] = new
}
