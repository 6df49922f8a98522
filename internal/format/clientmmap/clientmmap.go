// Package clientmmap decodes the files of the Ruby gem prometheus-client-mmap.
//
// A file is a header and then entries, all integers in the order of the
// machine that wrote them, which is little-endian wherever the gem runs:
//
//	offset 0   uint32  used: bytes of the file that hold data, header included;
//	                   0 in a new file, which means 8
//	offset 4   4 bytes without meaning
//	offset 8   entries, back to back, each starting on an 8-byte boundary:
//
//	+----------------+-----------+-----------------------+-------------------+
//	| key len uint32 | key bytes | 1 to 8 bytes of space | value float64 (8) |
//	+----------------+-----------+-----------------------+-------------------+
//
// The space fills the entry up so that the value is 8-aligned; there is always
// some. Bytes at or above used mean nothing: files grow by doubling.
//
// The key is a JSON array that names one series. The label names are sorted,
// and label values that are not strings stand bare:
//
//	["http_seconds","http_seconds_bucket",["code","le"],[200,"0.5"]]
//	   family          sample name          label names   label values
//
// The writer is another process. It stores a new entry first and advances
// used afterwards, so every entry below used is complete. Keys never change
// and never move; values change in place, by one aligned 8-byte store, without
// moving the file's mtime.
//
// What is deliberately like the gem's own reader (version 1.x): up to four
// bytes between the last entry and used are no entry; spacing bytes are not
// checked. What is deliberately not: one bad key or entry does not cost the
// rest of the file; lengths are checked in 64 bits before anything is read.
package clientmmap

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

// Used returns how many bytes of a file hold data, header included, given the
// file's first bytes. A header that is cut short belongs to a file that was
// created this moment and holds nothing.
func Used(header []byte) int64 {
	if len(header) < HeaderSize {
		return HeaderSize
	}
	return max(HeaderSize, int64(binary.LittleEndian.Uint32(header)))
}

// ValueOffset returns where the value of the entry at offset at lies, given
// the length of its key.
func ValueOffset(at int64, keyLen uint32) int64 {
	return at + (lengthSize+int64(keyLen)+8)&^7
}

// An Entry says where the parts of one entry lie in its file, as offsets in
// bytes. The zero Entry stands for none.
type Entry struct {
	Key   int64 // first byte of the key
	KeyTo int64 // first byte after the key
	Value int64 // first byte of the value
	End   int64 // first byte of the next entry
}

// At locates the entry that starts at offset at of a file that holds used
// bytes of data. head is the file's content from at on, at least four bytes
// unless used ends before. It returns the zero Entry at the end of the data,
// and a [format.Damage] if the entry would pass it.
func At(head []byte, at, used int64) (Entry, *format.Damage) {
	left := used - at
	if left <= lengthSize {
		return Entry{}, nil
	}
	keyLen := binary.LittleEndian.Uint32(head)
	if keyLen == 0 {
		// No writer does this, but holes in a file look like it: taking
		// them for entries would cost memory for nothing.
		return Entry{}, damage(at, "key length is 0")
	}
	if keyLen > maxKey {
		return Entry{}, damage(at, "key length %d is more than %d", keyLen, maxKey)
	}
	value := ValueOffset(at, keyLen)
	if value+valueSize > used {
		return Entry{}, damage(at, "entry of %d bytes passes the end of the data, %d bytes away", value+valueSize-at, left)
	}
	key := at + lengthSize
	return Entry{Key: key, KeyTo: key + int64(keyLen), Value: value, End: value + valueSize}, nil
}

// Float returns the value whose eight bytes b starts with.
func Float(b []byte) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

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
