package series

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// A keyNo is the number of a key in its [Table]; 0 is that of none.
type keyNo uint32

// Known is what a [Table] knew of keys when it was asked, for the entries of one
// file. It may be searched while the table learns more: what is known never changes.
type Known struct {
	keys keys
	ids  list[atomic.Uint32] // by keyNo, empty if processes are kept apart
}

// Known returns what the table knows for entries of a source.
func (t *Table) Known(from *Source) Known {
	k := Known{keys: t.keys}
	if !from.File.PerProcess {
		k.ids = *t.ofKey[from.space]
	}
	return k
}

// Find returns the series of the next entry of the source, whose key is raw, or None.
func (k *Known) Find(raw []byte, from *Source) ID {
	key, _ := k.keys.find(raw, from.last)
	if uint32(key) >= k.ids.len {
		return None
	}
	id := ID(k.ids.at(uint32(key)).Load())
	if id != None {
		from.last = key
	}
	return id
}

// keys numbers distinct keys from 1. A copy may be searched while keys are added to
// the original.
//
// A histogram's keys differ at their very end, in the bound. So a key that
// begins like the one before it is kept as a length of that and its own end: a
// quarter of the memory, for one comparison more.
type keys struct {
	seed  maphash.Seed
	index index // of the place in parts
	arena arena
	parts list[keyParts] // by keyNo-1

	// By keyNo: that which came after it, in the file that was searched last, or 0. Any
	// number will do, so that copies may change them.
	next list[atomic.Uint32]

	whole uint32 // place of the last key that is kept as a whole
}

// keyParts is a key: the first shared bytes of the key at the place like, which is
// kept as a whole, and then its own.
type keyParts struct {
	like, shared uint32
	own          span
}

// find returns the number of the key raw; or 0, and its hash.
//
// It tries first the key that came after the one before in another file: processes
// meet their metrics in much the same order, and a histogram's keys always come in
// the same. That spares nine in ten look-ups.
func (k *keys) find(raw []byte, after keyNo) (number keyNo, hash uint32) {
	next := k.next.at(uint32(after))
	if guess := next.Load(); guess > 0 && k.is(guess-1, raw) {
		return keyNo(guess), 0
	}
	hash = uint32(maphash.Bytes(k.seed, raw))
	place, known := k.index.find(hash, func(n uint32) bool { return k.is(n, raw) })
	if !known {
		return 0, hash
	}
	next.Store(place + 1)
	return keyNo(place + 1), 0
}

func (k *keys) is(place uint32, b []byte) bool {
	if place >= k.parts.len {
		return false // it is newer than this copy
	}
	p := k.parts.at(place)
	shared := int(p.shared)
	if len(b) != shared+int(p.own.to-p.own.from) || !bytes.Equal(b[shared:], k.arena.get(p.own)) {
		return false
	}
	return shared == 0 || bytes.Equal(b[:shared], k.arena.get(k.parts.at(p.like).own)[:shared])
}

func newKeys() keys {
	k := keys{seed: maphash.MakeSeed(), index: newIndex()}
	k.next.next() // of no key
	return k
}

// add adds raw, which find did not, and which comes after another key in its file.
func (k *keys) add(raw []byte, hash uint32, after keyNo) keyNo {
	place := k.parts.len
	p := keyParts{like: k.whole}
	if place > 0 {
		p.shared = uint32(commonPrefix(k.arena.get(k.parts.at(k.whole).own), raw))
	}
	if int(p.shared) < len(raw)/2 {
		p, k.whole = keyParts{}, place
	}
	p.own = k.arena.add(raw[p.shared:])
	k.parts.add(p)
	k.next.next()
	k.index.add(hash, place)
	k.next.at(uint32(after)).CompareAndSwap(0, place+1)
	return keyNo(place + 1)
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
