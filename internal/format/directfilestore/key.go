package directfilestore

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf8"

	"gitlab-metrics-exporter/internal/format"
)

// What can be wrong with a key.
var (
	errKind   = errors.New("key has no metric before it")
	errNoName = errors.New("metric has an empty name")
	errUTF8   = errors.New("key is not valid UTF-8")
	errShape  = errors.New("key is not a query string of labels")
	errEscape = errors.New("key has a % without two hexadecimal digits")
	errLabel  = errors.New("key has an empty label name")
	errTwice  = errors.New("key has the label le or quantile twice")
)

// AppendKey appends the key raw of an entry, as it stands in a file of the
// metric, in a form that says which metric it is of: many metrics have equal
// keys. [ParseKey] takes it apart. The metric's name has no NUL, as no file
// name has.
func AppendKey(dst []byte, metric string, kind Kind, raw []byte) []byte {
	dst = append(dst, byte(kind))
	dst = append(dst, metric...)
	dst = append(dst, 0)
	return append(dst, bytes.TrimRight(raw, " ")...)
}

// ParseKey parses raw, which AppendKey made, into key. The result aliases raw.
// On error key is undefined.
//
// The family is the metric. A histogram's or summary's key without the label
// that the client adds to it, which it never writes, is a sample with the
// metric's own name.
func ParseKey(raw []byte, key *format.Key) error {
	key.Labels, key.Help, key.Scratch, key.Plain = key.Labels[:0], nil, key.Scratch[:0], false
	if len(raw) == 0 || raw[0] > byte(Summary) {
		return errKind
	}
	end := bytes.IndexByte(raw[1:], 0) + 1
	if end == 0 {
		return errKind
	}
	if key.Family = raw[1:end]; len(key.Family) == 0 {
		return errNoName
	}
	if !utf8.Valid(key.Family) {
		return errUTF8
	}
	if bytes.IndexByte(raw[end+1:], 0) >= 0 {
		return errShape // no writer does this, but a hole in the file would cost memory for nothing
	}
	if err := parseLabels(raw, end+1, key); err != nil {
		return err
	}
	key.Plain = !slices.ContainsFunc(key.Labels, func(l format.Label) bool { return special(l.Value) })
	return nameSample(Kind(raw[0]), key)
}

// parseLabels parses the query string that begins at offset at of raw.
func parseLabels(raw []byte, at int, key *format.Key) error {
	for more := at < len(raw); more; {
		end := len(raw)
		n := bytes.IndexByte(raw[at:], '&')
		if more = n >= 0; more {
			end = at + n
		}
		equals := bytes.IndexByte(raw[at:end], '=')
		if equals < 0 || bytes.IndexByte(raw[at:end], ';') >= 0 {
			return errShape // ; would divide labels, too, so the client escapes it
		}
		label, err := parseLabel(raw[at:at+equals], raw[at+equals+1:end], key)
		if err != nil {
			return err
		}
		key.Labels = append(key.Labels, label)
		at = end + 1
	}
	return nil
}

func parseLabel(name, value []byte, key *format.Key) (l format.Label, err error) {
	if l.Name, err = unescape(name, key); err != nil {
		return l, err
	}
	if len(l.Name) == 0 {
		return l, errLabel
	}
	l.Value, err = unescape(value, key)
	return l, err
}

// unescape returns what text stands for: text itself if there are no escapes
// in it, else bytes of the scratch buffer.
func unescape(text []byte, key *format.Key) ([]byte, error) {
	if bytes.IndexByte(text, '%') >= 0 || bytes.IndexByte(text, '+') >= 0 {
		start := len(key.Scratch)
		out, ok := appendUnescaped(key.Scratch, text)
		if !ok {
			return nil, errEscape
		}
		key.Scratch, text = out, out[start:len(out):len(out)]
	}
	if !utf8.Valid(text) {
		return nil, errUTF8
	}
	return text, nil
}

func appendUnescaped(dst, text []byte) (_ []byte, ok bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if len(text)-i < 3 {
				return dst, false
			}
			high, low := hex(text[i+1]), hex(text[i+2])
			if high < 0 || low < 0 {
				return dst, false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, true
}

// hex returns the value of a hexadecimal digit, or -1.
func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// special reports whether b has a character that needs an escape on a page.
func special(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == '"' || c == '\\' {
			return true
		}
	}
	return false
}

// nameSample gives the key its sample's name, and removes the label that told
// it, unless it is a bucket's bound.
func nameSample(kind Kind, key *format.Key) error {
	key.Sample = key.Family
	pseudo := [...]string{Histogram: "le", Summary: "quantile"}[kind]
	if pseudo == "" {
		return nil
	}
	is := func(l format.Label) bool { return string(l.Name) == pseudo }
	at := slices.IndexFunc(key.Labels, is)
	if at < 0 {
		return nil
	}
	if slices.ContainsFunc(key.Labels[at+1:], is) {
		return errTwice
	}
	switch value := key.Labels[at].Value; {
	case string(value) == "sum":
		key.Labels = slices.Delete(key.Labels, at, at+1)
		appendSample(key, "_sum")
	case kind == Summary && string(value) == "count":
		key.Labels = slices.Delete(key.Labels, at, at+1)
		appendSample(key, "_count")
	case kind == Histogram:
		appendSample(key, "_bucket")
	}
	return nil
}

// appendSample makes the sample's name the family's with suffix.
func appendSample(key *format.Key, suffix string) {
	start := len(key.Scratch)
	key.Scratch = append(append(key.Scratch, key.Family...), suffix...)
	key.Sample = key.Scratch[start:len(key.Scratch):len(key.Scratch)]
}
