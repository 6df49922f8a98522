package collect

import (
	"encoding/binary"
	"slices"

	"gitlab-metrics-exporter/internal/format/frame"
	"gitlab-metrics-exporter/internal/series"
)

// A column is what is known of the entries of one file: where each value is
// and which series it belongs to. About five bytes an entry are all that is kept
// between scrapes.
type column struct {
	layout frame.Layout
	blocks []*block
	runs   []run
	n      int    // entries
	end    int64  // where the next entry will start
	check  uint64 // see [column.values]
}

// Columns grow by blocks: growing by doubling would leave up to half unused.
const blockLen = 256

// A block holds the places of values; files are at most 4 GiB.
type block [blockLen]uint32

// A run is a number of entries, one after the other, whose series are
// numbered one after the other, too. Most are: series are numbered as they are
// met, and processes meet their metrics in much the same order. Entries without
// a series are a run each.
type run struct {
	first series.ID
	n     uint32
}

// precedes reports whether the series of the next entry makes the run longer.
func (r *run) precedes(id series.ID) bool {
	return r.first+series.ID(r.n) == id && r.first != series.None
}

func newColumn(l frame.Layout) column { return column{layout: l, end: frame.HeaderSize} }

// add adds the entry e, whose key is told apart by print.
func (c *column) add(e frame.Entry, id series.ID, print uint64) {
	if i := uint(c.n) % blockLen; i == 0 {
		// Written before it is looked at: else a fresh page of memory costs two
		// faults, and the second one interrupts the other cores.
		c.blocks = append(c.blocks, &block{uint32(e.Value)})
	} else {
		c.blocks[len(c.blocks)-1][i] = uint32(e.Value)
	}
	if last := len(c.runs) - 1; last >= 0 && c.runs[last].precedes(id) {
		c.runs[last].n++
	} else {
		c.runs = append(c.runs, run{id, 1})
	}
	c.n++
	c.end = e.End
	c.check = fold(c.check, print)
}

// values appends the value of each entry to dst, and its timestamp to stamps
// unless that is nil. It reports whether the file still holds the entries that the
// column knows; if not, what it returns means nothing.
//
// To decide that it compares every key's length with what the value's place
// says, and a checksum over the length and the last 8 to 15 bytes of every key,
// which share a cache line with what is read anyway. What can slip through is a
// file with the same device, inode and birth time whose keys have the same
// lengths and the same ends, one by one, but differ before: a file wiped and
// rewritten in place, between two scrapes, to the same plan.
func (c *column) values(w *window, dst, stamps []float64) (values, times []float64, same bool) {
	dst = slices.Grow(dst, c.n)[:c.n]
	var into []float64
	if stamps != nil {
		stamps = slices.Grow(stamps, c.n)[:c.n]
	}
	at, check, done := int64(frame.HeaderSize), uint64(0), 0
	for _, b := range c.blocks {
		n := min(c.n-done, blockLen)
		if stamps != nil {
			into = stamps[done : done+n]
		}
		var ok bool
		if at, check, ok = b.values(w, c.layout, at, check, dst[done:done+n], into); !ok {
			return dst, stamps, false
		}
		done += n
	}
	return dst, stamps, check == c.check
}

// values is [column.values] for the entries of one block, the first of which
// starts at at.
func (b *block) values(w *window, l frame.Layout, at int64, check uint64, dst, stamps []float64) (int64, uint64, bool) {
	for places := b[:len(dst)]; len(places) > 0; {
		if first := int64(places[0]) + l.ValueSize(); !w.holds(at, first) && w.load(at, int(first-at)) != nil {
			return at, check, false
		}
		n := w.count(places, l)
		var ok bool
		if check, ok = readValues(w.slice(at, w.end), at, l, places[:n], check, dst); !ok {
			return at, check, false
		}
		if stamps != nil {
			for i, value := range places[:n] {
				stamps[i] = frame.Stamp(w.slice(int64(value), w.end))
			}
			stamps = stamps[n:]
		}
		at = int64(places[n-1]) + l.ValueSize()
		places, dst = places[n:], dst[n:]
	}
	return at, check, true
}

// count returns how many entries the window holds the rest of, given the places of
// their values.
func (w *window) count(places []uint32, l frame.Layout) int {
	n := len(places) // mostly
	for n > 0 && int64(places[n-1])+l.ValueSize() > w.end {
		n--
	}
	return n
}

// readValues is the loop that a warm scrape consists of: it puts the values at places,
// in the file, into dst, and folds the entries' prints into the checksum. The first
// of the entries starts at at, and with buf; ok is false if one is not as long as it was.
func readValues(buf []byte, at int64, l frame.Layout, places []uint32, check uint64, dst []float64) (folded uint64, ok bool) {
	slack, size := l.Slack(), l.ValueSize()
	dst = dst[:len(places)]
	from := int64(0)
	for i, place := range places {
		value := int64(place) - at
		length := binary.LittleEndian.Uint32(buf[from:])
		if frame.ValueOffset(from, length, slack) != value {
			return check, false
		}
		if value-from < tailSize { // which no client writes
			check = fold(check, keyPrint(length, buf[from:value+8]))
			dst[i] = frame.Float(buf[value:])
		} else {
			// The same, faster: nothing of it need be checked one by one.
			last := (*[tailSize + 8]byte)(buf[value-tailSize:])
			check = fold(check, keyPrint(length, last[:]))
			dst[i] = frame.Float(last[tailSize:])
		}
		from = value + size
	}
	return check, true
}

// tailSize is how many bytes before a value go into the print of the key, at most.
const tailSize = 16

// tailOffset returns where the last bytes of the key of the entry at at begin
// that go into its print. It does not depend on what is in the file, so that the
// processor need not wait for that.
func tailOffset(at, value int64) int64 { return max(at, value-tailSize) }

// keyPrint tells keys apart by their length and their last bytes. last begins
// at the tailOffset, and ends with the value, which is left out. What it takes
// in never changes while the entry is there.
func keyPrint(length uint32, last []byte) uint64 {
	const spread = 0xff51afd7ed558ccd
	first := binary.LittleEndian.Uint64(last)
	second := binary.LittleEndian.Uint64(last[len(last)-16:])
	return (first*spread^second)*spread ^ uint64(length)
}

// fold adds a key's print to a checksum. Multiplying by an odd number loses
// nothing: one difference is never undone by equal keys after it.
func fold(check, print uint64) uint64 { return (check ^ print) * 0x9e3779b97f4a7c15 }
