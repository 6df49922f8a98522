package clientmmap

import (
	"encoding/json"
	"io"

	"gitlab-metrics-exporter/internal/format/frame"
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
func AppendHeader(dst []byte, used int64) []byte { return frame.AppendHeader(dst, used) }

// AppendEntry appends an entry to dst, whose length is a multiple of eight.
func AppendEntry(dst, key []byte, value float64) []byte {
	return Layout.AppendEntry(dst, key, value, 0)
}

// A Writer adds entries to a new file, in the order of steps that makes them
// safe to read at any moment. It is not safe for concurrent use.
type Writer struct {
	file io.WriterAt
	used int64
	buf  []byte
}

// NewWriter returns a Writer to file, which must be empty.
func NewWriter(file io.WriterAt) *Writer { return &Writer{file: file, used: frame.HeaderSize} }

// Add adds an entry and returns the place of its value, for Set.
func (w *Writer) Add(key []byte, value float64) (at int64, err error) {
	w.buf = AppendEntry(w.buf[:0], key, value)
	if _, err := w.file.WriteAt(w.buf, w.used); err != nil {
		return 0, err
	}
	w.used += int64(len(w.buf))
	_, err = w.file.WriteAt(AppendHeader(nil, w.used), 0)
	return w.used - Layout.ValueSize(), err
}

// Set changes the value at a place that Add returned.
func (w *Writer) Set(at int64, value float64) error {
	w.buf = frame.AppendFloat(w.buf[:0], value)
	_, err := w.file.WriteAt(w.buf, at)
	return err
}
