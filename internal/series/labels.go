package series

import (
	"bytes"
	"iter"
)

// A Part is the number of a text that series share: some of their labels. Part
// 0 has none.
type Part uint32

// Parts returns the parts that the labels of a series consist of, in order. Who
// counts labels counts parts first: there are far fewer of them than series.
func (l *Layout) Parts(id ID) [3]Part {
	line := l.line(id)
	return [...]Part{Part(line.labels), Part(line.pid), Part(line.bound)}
}

// NumParts returns the number of parts, part 0 included: the length of an array
// by Part.
func (l *Layout) NumParts() int { return int(l.texts.spans.len) }

// PartLabels returns the labels of a part, names and values as they stand on a
// page: escaped (see [Unescape]). They must not be changed; they never do.
func (l *Layout) PartLabels(part Part) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		var name, value []byte
		for rest := l.texts.get(uint32(part)); len(rest) > 0; {
			if name, value, rest = CutLabel(rest); !yield(name, value) {
				return
			}
		}
	}
}

// Labels returns the labels of a series, names and values unescaped, in the
// order in which they stand on a page. They must not be changed.
func (l *Layout) Labels(id ID) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for _, part := range l.Parts(id) {
			for name, value := range l.PartLabels(part) {
				if !yield(name, Unescape(value)) {
					return
				}
			}
		}
	}
}

// CutLabel takes the first label off the text of labels, a="x",b="y".
func CutLabel(text []byte) (name, value, rest []byte) {
	equals := bytes.IndexByte(text, '=')
	name, text = text[:equals], text[equals+2:] // past the quote
	end := QuoteIn(text)
	value, rest = text[:end:end], text[end+1:]
	if len(rest) > 0 {
		rest = rest[1:] // a comma
	}
	return name, value, rest
}

// SplitBound takes the label called name, le or quantile, out of the last part of a
// series' labels. The value is empty if there is none.
func SplitBound(part []byte, name string) (value, rest []byte) {
	if len(part) == 0 {
		return nil, nil
	}
	const start = `quantile="`
	quantile, le := part, []byte(nil)
	if part[0] == 'q' {
		// The label le, if there is one, comes behind quantile.
		end := len(start) + QuoteIn(part[len(start):]) + 1
		if quantile = part[:end]; end < len(part) {
			le = part[end+1:]
		}
	} else {
		quantile, le = nil, part
	}
	bound, rest := le, quantile
	if name == "quantile" {
		bound, rest = quantile, le
	}
	if len(bound) == 0 {
		return nil, rest
	}
	return bound[len(name)+2 : len(bound)-1], rest
}

// QuoteIn returns where the first quote is in text that is not escaped.
func QuoteIn(text []byte) int {
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
}

// Unescape returns what text, as it stands between quotes on a page, means:
// text itself, if it has no escapes.
func Unescape(text []byte) []byte {
	at := bytes.IndexByte(text, '\\')
	if at < 0 {
		return text
	}
	plain := append(make([]byte, 0, len(text)), text[:at]...)
	for ; at < len(text); at++ {
		c := text[at]
		if c == '\\' {
			at++
			if c = text[at]; c == 'n' {
				c = '\n'
			}
		}
		plain = append(plain, c)
	}
	return plain
}
