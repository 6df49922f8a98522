package clientmmap

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
)

// AppendKey appends the key of an entry, as the gem makes it: names sorted by
// the caller, values strings, numbers, booleans or nil.
func AppendKey(dst []byte, family, sample string, names []string, values []any) ([]byte, error) {
	if names == nil {
		names, values = []string{}, []any{}
	}
	key, err := json.Marshal([]any{family, sample, names, values})
	return append(dst, key...), err
}

// AppendHeader appends the header of a file with used bytes of data, header
// included.
func AppendHeader(dst []byte, used int64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(used))
	return append(dst, 0, 0, 0, 0)
}

// AppendEntry appends an entry to dst, whose length is a multiple of eight.
func AppendEntry(dst, key []byte, value float64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(key)))
	dst = append(dst, key...)
	dst = append(dst, "        "[:8-len(dst)%8]...)
	return AppendValue(dst, value)
}

// AppendValue appends a value.
func AppendValue(dst []byte, value float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(value))
}

// A Writer adds entries to a new file, in the order of steps that makes them
// safe to read at any moment. It is not safe for concurrent use.
type Writer struct {
	file io.WriterAt
	used int64
	buf  []byte
}

// NewWriter returns a Writer to file, which must be empty.
func NewWriter(file io.WriterAt) *Writer { return &Writer{file: file, used: HeaderSize} }

// Add adds an entry and returns the place of its value, for Set.
func (w *Writer) Add(key []byte, value float64) (at int64, err error) {
	w.buf = AppendEntry(w.buf[:0], key, value)
	if _, err := w.file.WriteAt(w.buf, w.used); err != nil {
		return 0, err
	}
	w.used += int64(len(w.buf))
	_, err = w.file.WriteAt(AppendHeader(nil, w.used), 0)
	return w.used - valueSize, err
}

// Set changes the value at a place that Add returned.
func (w *Writer) Set(at int64, value float64) error {
	w.buf = AppendValue(w.buf[:0], value)
	_, err := w.file.WriteAt(w.buf, at)
	return err
}
