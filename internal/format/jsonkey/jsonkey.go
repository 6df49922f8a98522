// Package jsonkey reads the keys of metric files: JSON arrays that begin with
// the names of a family and of a sample and go on with labels, as the gem
// prometheus-client-mmap and Python's prometheus_client write them.
//
// It is strict JSON of that shape. It is ours because every distinct key of a
// directory goes through it in a cold scrape, and general parsers take several
// times as long.
package jsonkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"gitlab-metrics-exporter/internal/format"
)

// What can be wrong with a key, beside its shape.
var (
	errUTF8    = errors.New("key is not valid UTF-8")
	errString  = errors.New("key has a string that is not valid JSON")
	errValue   = errors.New("key has a label value that is not valid JSON")
	errLabels  = errors.New("key has a different number of label names and values")
	errNoName  = errors.New("key has an empty sample name")
	errNoLabel = errors.New("key has an empty label name")
)

// A Reader reads a key front to back. Every method skips white space first. An
// error is the end of it, and leaves the key undefined.
type Reader struct {
	rest  []byte
	key   *format.Key
	size  int   // of the whole key
	plain int   // how many of its first bytes are neither escapes nor need one
	shape error // of a key that is JSON, perhaps, but has another shape
}

// Open resets key and reads the beginning of raw into it, up to and with the
// comma after the sample's name. What key is given aliases raw. The error for
// a key of another shape is shape, here and in all methods.
func Open(raw []byte, key *format.Key, shape error) (r Reader, err error) {
	key.Labels, key.Help, key.Scratch, key.Plain = key.Labels[:0], nil, key.Scratch[:0], true
	if !utf8.Valid(raw) {
		return r, errUTF8
	}
	r = Reader{rest: raw, key: key, size: len(raw), plain: format.Plain(raw), shape: shape}
	if !r.Take('[') {
		return r, shape
	}
	if key.Family, err = r.Text(); err != nil {
		return r, err
	}
	if !r.Take(',') {
		return r, shape
	}
	if key.Sample, err = r.Text(); err != nil {
		return r, err
	}
	if !r.Take(',') {
		return r, shape
	}
	return r, nil
}

// Close reads the end of the key.
func (r *Reader) Close() error {
	if !r.Take(']') {
		return r.shape
	}
	if r.space(); len(r.rest) != 0 {
		return r.shape
	}
	if len(r.key.Sample) == 0 {
		return errNoName
	}
	return nil
}

// Lists reads the labels of a key that has their names and their values apart,
// in two arrays.
func (r *Reader) Lists() error {
	if err := r.items('[', ']', r.labelName); err != nil {
		return err
	}
	if !r.Take(',') {
		return r.shape
	}
	n := 0
	if err := r.items('[', ']', func() error { n++; return r.listedValue(n - 1) }); err != nil {
		return err
	}
	if n != len(r.key.Labels) {
		return errLabels
	}
	return nil
}

func (r *Reader) listedValue(i int) error {
	if i >= len(r.key.Labels) {
		return errLabels
	}
	return r.labelValue(&r.key.Labels[i])
}

// Object reads the labels of a key that has them as one object. Names are not
// compared: an object with one name twice gives two labels, as lists do.
func (r *Reader) Object() error {
	return r.items('{', '}', func() error {
		if err := r.labelName(); err != nil {
			return err
		}
		if !r.Take(':') {
			return r.shape
		}
		return r.labelValue(&r.key.Labels[len(r.key.Labels)-1])
	})
}

// items reads what stands between two brackets, calling item at each of it.
func (r *Reader) items(open, end byte, item func() error) error {
	if !r.Take(open) {
		return r.shape
	}
	if r.Take(end) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if r.Take(end) {
			return nil
		}
		if !r.Take(',') {
			return r.shape
		}
	}
}

// labelName reads the name of one more label.
func (r *Reader) labelName() error {
	name, err := r.Text()
	if err == nil && len(name) == 0 {
		err = errNoLabel
	}
	r.key.Labels = append(r.key.Labels, format.Label{Name: name})
	return err
}

// labelValue reads the value of l. One that is no string is its JSON text, and
// null is empty.
func (r *Reader) labelValue(l *format.Label) (err error) {
	if r.Next() == '"' {
		at, unescaped := r.at()+1, len(r.key.Scratch)
		l.Value, err = r.text()
		if len(r.key.Scratch) == unescaped {
			l.At = at
		} else {
			r.key.Plain = false
		}
		return err
	}
	end := bareEnd(r.rest)
	l.Value, r.rest = r.rest[:end], r.rest[end:]
	if !json.Valid(l.Value) {
		return errValue
	}
	l.Value = bytes.TrimSpace(l.Value)
	// Arrays and objects may have quotes, or be spread over lines.
	r.key.Plain = r.key.Plain && format.Plain(l.Value) == len(l.Value) && bytes.IndexByte(l.Value, '"') < 0
	if string(l.Value) == "null" {
		l.Value = nil
	}
	return nil
}

// at returns where rest begins in the key.
func (r *Reader) at() int { return r.size - len(r.rest) }

// bareEnd returns where the value that b starts with ends: at the first comma
// or closing bracket that is in no string and no inner array or object.
func bareEnd(b []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '[' || c == '{':
			depth++
		case depth == 0 && (c == ',' || c == ']' || c == '}'):
			return i
		case c == ']' || c == '}':
			depth--
		}
	}
	return len(b)
}

// Text reads a string.
func (r *Reader) Text() ([]byte, error) {
	if r.Next() != '"' {
		return nil, r.shape
	}
	return r.text()
}

// text reads the string that rest starts with. A string without escapes
// aliases the key; others are unescaped into the scratch buffer.
func (r *Reader) text() ([]byte, error) {
	b := r.rest[1:]
	if i := bytes.IndexByte(b, '"'); i < 0 {
		return nil, errString
	} else if r.at()+1+i <= r.plain {
		r.rest = b[i+1:]
		return b[:i], nil
	}
	for i, c := range b {
		switch {
		case c == '"':
			r.rest = b[i+1:]
			return b[:i], nil
		case c == '\\':
			return r.unescape(b, i)
		case c < ' ':
			return nil, errString
		}
	}
	return nil, errString
}

// unescape reads the string that b starts with, its opening quote gone, and
// whose first escape is at from.
func (r *Reader) unescape(b []byte, from int) ([]byte, error) {
	start := len(r.key.Scratch)
	out := append(r.key.Scratch, b[:from]...)
	for i := from; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			r.key.Scratch, r.rest = out, b[i+1:]
			return out[start:len(out):len(out)], nil
		case c < ' ':
			return nil, errString
		case c != '\\':
			out = append(out, c)
			i++
		default:
			size := 0
			if out, size = appendEscape(out, b[i:]); size == 0 {
				return nil, errString
			}
			i += size
		}
	}
	return nil, errString
}

// appendEscape appends what the escape at the start of b stands for. It
// returns the escape's length, 0 if it is none of JSON's. Half of a surrogate
// pair stands for U+FFFD.
func appendEscape(dst, b []byte) ([]byte, int) {
	if len(b) < 2 {
		return dst, 0
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return append(dst, c), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	}
	r := hexRune(b)
	if r < 0 {
		return dst, 0
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(dst, r), 6
	}
	if pair := utf16.DecodeRune(r, hexRune(b[6:])); pair != utf8.RuneError {
		return utf8.AppendRune(dst, pair), 12
	}
	return utf8.AppendRune(dst, utf8.RuneError), 6
}

// hexRune returns the code unit of an escape of the form \uXXXX at the start
// of b, or -1 if there is none.
func hexRune(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

func (r *Reader) space() {
	for len(r.rest) > 0 {
		switch r.rest[0] {
		case ' ', '\t', '\n', '\r':
			r.rest = r.rest[1:]
		default:
			return
		}
	}
}

// Next returns the next byte without reading it, 0 at the end.
func (r *Reader) Next() byte {
	if r.space(); len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// Take reads c; it reports whether c was there.
func (r *Reader) Take(c byte) bool {
	r.space()
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}
