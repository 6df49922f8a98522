// Package detect finds out which format a metric file is in, from its first
// bytes. No format has a version, or a magic number.
//
// What tells formats apart is the first key. What tells the layouts of one
// format apart is that entries follow each other without a gap: whoever takes
// values for half or twice as long as they are, soon finds a length that is none,
// or a key that is none.
package detect

import (
	"bytes"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A Form is how a file's bytes are to be understood.
type Form struct {
	Format discover.Format
	Layout frame.Layout
}

// Layouts of formats, the newer first.
var (
	pythons = []frame.Layout{{Bare: true, Stamped: true}, {Bare: true}}
	stores  = []frame.Layout{{Stamped: true}, {}}
)

// Of returns the form of a file that begins with head and has used bytes of data,
// at least one entry; format is that if it is known, else [discover.NoFormat]. A
// file that is damaged from the start may be taken for anything.
func Of(head []byte, used int64, format discover.Format) Form {
	if format == discover.NoFormat {
		format = formatOf(firstKey(head, used))
	}
	switch format {
	case discover.Python:
		return Form{format, pick(pythons, head, used, isArray)}
	case discover.DirectFileStore:
		return Form{format, pick(stores, head, used, isQuery)}
	}
	return Form{discover.ClientMmap, clientmmap.Layout}
}

// firstKey returns the first key of a file that is not a DirectFileStore's; nil if
// it is not in head.
func firstKey(head []byte, used int64) []byte {
	if len(head) < frame.HeaderSize+4 {
		return nil
	}
	e, damage := clientmmap.Layout.At(head[frame.HeaderSize:], frame.HeaderSize, used)
	if damage != nil || e.KeyTo > int64(len(head)) {
		return nil
	}
	return head[e.Key:e.KeyTo]
}

// formatOf tells a JSON key of Python from one of the Ruby gem. Python has the
// labels in an object; or, before 0.4, in two lists, as the gem has them, but a
// space behind each comma.
func formatOf(key []byte) discover.Format {
	rest := bytes.TrimPrefix(key, []byte("["))
	spaced := false
	for range 2 {
		end := stringEnd(rest)
		if end < 0 || end == len(rest) || rest[end] != ',' {
			return discover.ClientMmap
		}
		rest = rest[end+1:]
		spaced = bytes.HasPrefix(rest, []byte(" "))
		rest = bytes.TrimLeft(rest, " ")
	}
	if bytes.HasPrefix(rest, []byte("{")) || spaced && bytes.HasPrefix(rest, []byte("[")) {
		return discover.Python
	}
	return discover.ClientMmap
}

// stringEnd returns where the JSON string ends that b starts with, -1 if there is
// none.
func stringEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// enough is how many entries are looked at, at most.
const enough = 64

// pick returns the first layout in which all is well, else the one in which the
// most entries are.
func pick(layouts []frame.Layout, head []byte, used int64, isKey func([]byte) bool) frame.Layout {
	best, most := layouts[0], -1
	for _, l := range layouts {
		n, sound := walk(l, head, used, isKey)
		if sound {
			return l
		}
		if n > most {
			best, most = l, n
		}
	}
	return best
}

// walk returns how many entries there are in head as the layout has it, and
// whether nothing contradicts it.
func walk(l frame.Layout, head []byte, used int64, isKey func([]byte) bool) (n int, sound bool) {
	at, size := int64(frame.HeaderSize), int64(len(head))
	for n = range enough {
		if at == used || at+4 > size {
			return n, true
		}
		e, damage := l.At(head[at:], at, used)
		if damage != nil || e.End == 0 {
			return n, false
		}
		if e.Value > size {
			return n, true
		}
		key := head[e.Key:e.Value]
		bare := bytes.TrimRight(key, " ")
		if l.Bare && int64(len(bare)) > e.KeyTo-e.Key || !l.Bare && len(bare) == len(key) || !isKey(bare) {
			return n, false
		}
		at = e.End
	}
	return enough, true
}

func isArray(key []byte) bool {
	return bytes.HasPrefix(key, []byte("[")) && bytes.HasSuffix(key, []byte("]"))
}

// isQuery reports whether a key, without the space behind it, is made of what a
// query string may have.
func isQuery(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
