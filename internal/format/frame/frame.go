// Package frame finds the entries in metric files of all formats, which are
// framed alike.
//
// A file is a header and then entries, all integers in the order of the machine
// that wrote them, which is little-endian wherever these clients run:
//
//	offset 0   uint32  used: bytes of the file that hold data, header included;
//	                   0 in a new file, which means 8
//	offset 4   4 bytes without meaning
//	offset 8   entries, back to back, each starting on an 8-byte boundary:
//
//	+----------------+-----------+-----------------------+-------------------+-------------------+
//	| key len uint32 | key bytes | 1 to 8 bytes of space | value float64 (8) | timestamp (0 or 8)|
//	+----------------+-----------+-----------------------+-------------------+-------------------+
//
// The space fills the entry up so that the value is 8-aligned; there is always
// some. Bytes at or above used mean nothing: files grow by doubling. Formats
// differ in two points, which a [Layout] says: whether the length counts the
// space too, and whether a timestamp follows the value.
//
// The writer is another process. It stores a new entry first and advances
// used afterwards, so every entry below used is complete. Keys never change
// and never move; values change in place, without moving the file's mtime.
//
// What is deliberately like the clients' own readers: up to four bytes between
// the last entry and used are no entry; spacing bytes are not checked. What is
// deliberately not: one bad entry does not cost what stands before it; lengths are
// checked in 64 bits before anything is read.
package frame

import (
	"encoding/binary"
	"fmt"
	"math"

	"gitlab-metrics-exporter/internal/format"
)

const (
	// HeaderSize is where the first entry starts, in bytes.
	HeaderSize = 8

	lengthSize = 4
	valueSize  = 8

	// maxKey is the longest key that is read, in bytes. Writers can make keys
	// of up to 2 GiB; but a file full of holes can claim one, too, and a key has
	// to be in memory as a whole.
	maxKey = 16 << 20
)

// A Layout says how a format frames its entries. The zero value is that of keys
// whose length counts the space, and values without a timestamp.
type Layout struct {
	// Bare is true if the length is the key's alone.
	Bare bool

	// Stamped is true if a timestamp follows each value.
	Stamped bool
}

// Slack is what has to be added to a key and its length to find the value, once
// the sum is rounded down to a multiple of eight.
func (l Layout) Slack() int64 {
	if l.Bare {
		return 8
	}
	return 0
}

// ValueSize is how many bytes there are from a value to the next entry.
func (l Layout) ValueSize() int64 {
	if l.Stamped {
		return 2 * valueSize
	}
	return valueSize
}

// Used returns how many bytes of a file hold data, header included, given the
// file's first bytes. A header that is cut short belongs to a file that was
// created this moment and holds nothing.
func Used(header []byte) int64 {
	if len(header) < HeaderSize {
		return HeaderSize
	}
	return max(HeaderSize, int64(binary.LittleEndian.Uint32(header)))
}

// More reports whether there can be an entry at offset at of a file that is read up
// to a limit: a few bytes are none.
func More(at, limit int64) bool { return limit-at > lengthSize }

// ValueOffset returns where the value of the entry at offset at lies, given
// the length that the entry begins with and the [Layout.Slack].
func ValueOffset(at int64, length uint32, slack int64) int64 {
	return at + (lengthSize+int64(length)+slack)&^7
}

// An Entry says where the parts of one entry lie in its file, as offsets in
// bytes. The zero Entry stands for none.
type Entry struct {
	Key   int64 // first byte of the key
	KeyTo int64 // first byte after the key, and after the space if the length counts it
	Value int64 // first byte of the value
	End   int64 // first byte of the next entry
}

// At locates the entry that starts at offset at of a file that holds used
// bytes of data. head is the file's content from at on, at least four bytes
// unless used ends before. It returns the zero Entry at the end of the data,
// and a [format.Damage] if the entry would pass it.
func (l Layout) At(head []byte, at, used int64) (Entry, *format.Damage) {
	if !More(at, used) {
		return Entry{}, nil
	}
	length := binary.LittleEndian.Uint32(head)
	if length == 0 {
		// No writer does this, but holes in a file look like it: taking
		// them for entries would cost memory for nothing.
		return Entry{}, damage(at, "key length is 0")
	}
	if length > maxKey {
		return Entry{}, damage(at, "key length %d is more than %d", length, maxKey)
	}
	if !l.Bare && (lengthSize+length)%8 != 0 {
		return Entry{}, damage(at, "key length %d is no whole number of words", length)
	}
	value := ValueOffset(at, length, l.Slack())
	end := value + l.ValueSize()
	if end > used {
		return Entry{}, damage(at, "entry of %d bytes passes the end of the data, %d bytes away", end-at, used-at)
	}
	key := at + lengthSize
	return Entry{Key: key, KeyTo: key + int64(length), Value: value, End: end}, nil
}

// Float returns the number whose eight bytes b starts with.
func Float(b []byte) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// Stamp returns the timestamp behind the value whose bytes b starts with.
func Stamp(b []byte) float64 { return Float(b[valueSize:]) }

// Cut is the damage of a file that says it holds more than it has.
func Cut(used, size int64) *format.Damage {
	return &format.Damage{
		Reason: format.Truncated,
		Offset: -1,
		Detail: fmt.Sprintf("used is %d bytes but the file has %d", used, size),
	}
}

func damage(at int64, text string, args ...any) *format.Damage {
	return &format.Damage{Reason: format.BadEntry, Offset: at, Detail: fmt.Sprintf(text, args...)}
}
