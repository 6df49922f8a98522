package series

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
	if len(a.chunks) == 0 || len(b) > a.free {
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
