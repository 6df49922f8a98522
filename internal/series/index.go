package series

import (
	"bytes"
	"encoding/binary"
)

// An index finds numbered things by a hash of what they are. It is a hash
// table with open addressing and without pointers. The zero value is not
// ready: use newIndex.
type index struct {
	slots []slot // a power of two of them, at most three quarters used
	used  int
}

// A slot is empty if next is 0; else it stands for the thing number next-1.
type slot struct{ hash, next uint32 }

func newIndex() index { return index{slots: make([]slot, 64)} }

// find returns the number of the thing with this hash that is says yes to.
func (x *index) find(hash uint32, is func(number uint32) bool) (number uint32, ok bool) {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := x.slots[i]
		if slot.next == 0 {
			return 0, false
		}
		if slot.hash == hash && is(slot.next-1) {
			return slot.next - 1, true
		}
	}
}

// add adds a thing that is not there yet.
func (x *index) add(hash, number uint32) {
	if x.used*4 >= len(x.slots)*3 {
		old := x.slots
		x.slots = make([]slot, 2*len(old))
		for _, slot := range old {
			if slot.next != 0 {
				x.put(slot)
			}
		}
	}
	x.used++
	x.put(slot{hash: hash, next: number + 1})
}

func (x *index) put(new slot) {
	mask := uint32(len(x.slots) - 1)
	at := new.hash & mask
	for x.slots[at].next != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = new
}

// texts numbers distinct byte strings from 0.
type texts struct {
	index index
	arena arena
	spans []span
}

// number returns the number of b, whose hash is given, adding it if need be.
func (t *texts) number(hash uint32, b []byte) uint32 {
	number, known := t.index.find(hash, func(n uint32) bool { return bytes.Equal(t.get(n), b) })
	if !known {
		number = uint32(len(t.spans))
		t.spans = append(t.spans, t.arena.add(b))
		t.index.add(hash, number)
	}
	return number
}

func (t *texts) get(number uint32) []byte { return t.arena.get(t.spans[number]) }

// keys numbers distinct keys from 0.
//
// A histogram's keys differ at their very end, in the bound. So a key that
// begins like the one before it is kept as a length of that and its own end: a
// quarter of the memory, for one comparison more.
type keys struct {
	index index
	arena arena
	parts []keyParts // by number
	whole uint32     // number of the last key that is kept as a whole
}

// keyParts is a key: the first shared bytes of the key number like, which is
// kept as a whole, and then its own.
type keyParts struct {
	like, shared uint32
	own          span
}

func (k *keys) is(number uint32, b []byte) bool {
	p := k.parts[number]
	shared := int(p.shared)
	if len(b) != shared+int(p.own.to-p.own.from) || !bytes.Equal(b[shared:], k.arena.get(p.own)) {
		return false
	}
	return shared == 0 || bytes.Equal(b[:shared], k.arena.get(k.parts[p.like].own)[:shared])
}

func (k *keys) find(hash uint32, b []byte) (number uint32, ok bool) {
	return k.index.find(hash, func(n uint32) bool { return k.is(n, b) })
}

// add adds b, which must not be there, and returns its number.
func (k *keys) add(hash uint32, b []byte) uint32 {
	number := uint32(len(k.parts))
	p := keyParts{like: k.whole}
	if number > 0 {
		p.shared = uint32(commonPrefix(k.arena.get(k.parts[k.whole].own), b))
	}
	if int(p.shared) < len(b)/2 {
		p, k.whole = keyParts{}, number
	}
	p.own = k.arena.add(b[p.shared:])
	k.parts = append(k.parts, p)
	k.index.add(hash, number)
	return number
}

func commonPrefix(a, b []byte) int {
	i, n := 0, min(len(a), len(b))
	for i+8 <= n && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
