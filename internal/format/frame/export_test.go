package frame

import "iter"

// All returns the entries of a whole file's content, in file order, by At
// alone: what the engine does piece by piece, for tests. If the file is damaged
// the sequence ends with a zero Entry and a [format.Damage]; the entries before it
// are sound.
func (l Layout) All(image []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if len(image) < HeaderSize {
			return
		}
		used := Used(image)
		limit := min(used, int64(len(image)))
		at := int64(HeaderSize)
		for {
			e, bad := l.At(image[min(at, limit):], at, limit)
			if bad != nil && used > limit {
				break // the cut is the fault, not the entry that it cuts
			}
			if bad != nil {
				yield(Entry{}, bad)
				return
			}
			if e.End == 0 {
				break
			}
			if !yield(e, nil) {
				return
			}
			at = e.End
		}
		if used > limit {
			yield(Entry{}, Cut(used, int64(len(image))))
		}
	}
}
