package clientmmap

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"gitlab-metrics-exporter/internal/format"
)

// What can be wrong with a key.
var (
	errUTF8    = errors.New("key is not valid UTF-8")
	errShape   = errors.New("key is not a JSON array of family, sample, label names and label values")
	errString  = errors.New("key has a string that is not valid JSON")
	errValue   = errors.New("key has a label value that is not valid JSON")
	errLabels  = errors.New("key has a different number of label names and values")
	errNoName  = errors.New("key has an empty sample name")
	errNoLabel = errors.New("key has an empty label name")
)

// ParseKey parses raw, the key of an entry, into key. The result aliases raw.
// On error key is undefined.
//
// Label values that are not strings are what the gem prints for them: null is
// empty, everything else is its JSON text.
func ParseKey(raw []byte, key *format.Key) error {
	if !utf8.Valid(raw) {
		return errUTF8
	}
	p := parser{rest: raw, key: key, plain: plain(raw), size: len(raw)}
	key.Labels, key.Help, key.Scratch, key.Plain = key.Labels[:0], nil, key.Scratch[:0], p.plain
	if err := p.parse(); err != nil {
		return err
	}
	if len(key.Sample) == 0 {
		return errNoName
	}
	return nil
}

// A parser reads a key front to back. It is strict JSON of one shape; it is
// ours because every distinct key of a directory goes through it in a cold
// scrape, and general parsers take several times as long.
type parser struct {
	rest  []byte
	key   *format.Key
	plain bool // no string has an escape, or a character that needs one
	size  int  // of the whole key
}

// plain reports whether b has neither backslashes nor characters below
// U+0020, eight bytes at a time: for each byte the first term borrows into its
// highest bit if it is 0 after the exclusive or, or less than a space.
func plain(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		y := x ^ ones*'\\'
		if ((y-ones)&^y|(x-ones*' ')&^x)&high != 0 {
			return false
		}
	}
	for _, c := range b[i:] {
		if c < ' ' || c == '\\' {
			return false
		}
	}
	return true
}

func (p *parser) parse() (err error) {
	if !p.take('[') {
		return errShape
	}
	if p.key.Family, err = p.name(); err != nil {
		return err
	}
	if !p.take(',') {
		return errShape
	}
	if p.key.Sample, err = p.name(); err != nil {
		return err
	}
	if !p.take(',') {
		return errShape
	}
	if err := p.list(p.labelName); err != nil {
		return err
	}
	if !p.take(',') {
		return errShape
	}
	n := 0
	if err := p.list(func() error { n++; return p.labelValue(n - 1) }); err != nil {
		return err
	}
	if n != len(p.key.Labels) {
		return errLabels
	}
	if !p.take(']') {
		return errShape
	}
	if p.space(); len(p.rest) != 0 {
		return errShape
	}
	return nil
}

// list parses a JSON array, calling item at each of its items.
func (p *parser) list(item func() error) error {
	if !p.take('[') {
		return errShape
	}
	if p.take(']') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if p.take(']') {
			return nil
		}
		if !p.take(',') {
			return errShape
		}
	}
}

func (p *parser) labelName() error {
	name, err := p.name()
	if err == nil && len(name) == 0 {
		err = errNoLabel
	}
	p.key.Labels = append(p.key.Labels, format.Label{Name: name})
	return err
}

func (p *parser) labelValue(i int) (err error) {
	if i >= len(p.key.Labels) {
		return errLabels
	}
	value := &p.key.Labels[i].Value
	if p.space(); len(p.rest) > 0 && p.rest[0] == '"' {
		if p.plain {
			p.key.Labels[i].At = p.size - len(p.rest) + 1
		}
		*value, err = p.text()
		return err
	}
	end := bareEnd(p.rest)
	*value, p.rest = p.rest[:end], p.rest[end:]
	p.key.Plain = p.key.Plain && bytes.IndexByte(*value, '"') < 0 // strings within arrays and objects
	if !json.Valid(*value) {
		return errValue
	}
	if *value = bytes.TrimSpace(*value); string(*value) == "null" {
		*value = nil
	}
	return nil
}

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
		case depth == 0 && (c == ',' || c == ']'):
			return i
		case c == ']' || c == '}':
			depth--
		}
	}
	return len(b)
}

func (p *parser) name() ([]byte, error) {
	if p.space(); len(p.rest) == 0 || p.rest[0] != '"' {
		return nil, errShape
	}
	return p.text()
}

// text parses the JSON string that rest starts with. A string without
// escapes aliases the key; others are unescaped into the scratch buffer.
func (p *parser) text() ([]byte, error) {
	b := p.rest[1:]
	if p.plain {
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return nil, errString
		}
		p.rest = b[i+1:]
		return b[:i], nil
	}
	for i, c := range b {
		switch {
		case c == '"':
			p.rest = b[i+1:]
			return b[:i], nil
		case c == '\\':
			return p.unescape(b, i)
		case c < ' ':
			return nil, errString
		}
	}
	return nil, errString
}

// unescape parses the string that b starts with, its opening quote gone, and
// whose first escape is at from.
func (p *parser) unescape(b []byte, from int) ([]byte, error) {
	start := len(p.key.Scratch)
	out := append(p.key.Scratch, b[:from]...)
	for i := from; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			p.key.Scratch, p.rest = out, b[i+1:]
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

func (p *parser) space() {
	for len(p.rest) > 0 {
		switch p.rest[0] {
		case ' ', '\t', '\n', '\r':
			p.rest = p.rest[1:]
		default:
			return
		}
	}
}

// take skips space and then c; it reports whether c was there.
func (p *parser) take(c byte) bool {
	p.space()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}
