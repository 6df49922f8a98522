package series

// A list is an array that grows by chunks, which never move: so growing copies
// nothing and leaves no garbage. Who has a copy of a list may read what it has while
// the original grows. The zero value is an empty list.
type list[T any] struct {
	chunks []*[chunkLen]T
	len    uint32
}

// chunkLen is how many elements a chunk of a list has.
const chunkLen = 1024

// at returns the element i, which must be less than the length.
func (l *list[T]) at(i uint32) *T { return &l.chunks[i/chunkLen][i%chunkLen] }

// next adds an element, which is zero, and returns it.
func (l *list[T]) next() *T {
	if l.len%chunkLen == 0 {
		l.chunks = append(l.chunks, new([chunkLen]T))
	}
	l.len++
	return l.at(l.len - 1)
}

func (l *list[T]) add(element T) { *l.next() = element }
