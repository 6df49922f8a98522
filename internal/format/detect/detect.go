// Package detect finds out which format a metric file is in, from its first
// bytes. No format has a version, or a magic number.
//
// What tells the layouts of entries apart is that entries follow each other
// without a gap: whoever takes values for half or twice as long as they are, soon
// finds a length that is none. What tells formats of one layout apart is how keys
// are written.
package detect

import (
	"bytes"
	"cmp"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A Form is how a file's bytes are to be understood.
type Form struct {
	Format discover.Format
	Layout frame.Layout
}

// Forms that there are. Of two in which a file makes as much sense, it is in the
// first.
var (
	mmap   = Form{discover.ClientMmap, clientmmap.Layout}
	python = []Form{{discover.Python, frame.Layout{Bare: true, Stamped: true}}, {discover.Python, frame.Layout{Bare: true}}}
	store  = []Form{{discover.DirectFileStore, frame.Layout{Stamped: true}}, {discover.DirectFileStore, frame.Layout{}}}
	db     = append([]Form{mmap}, python...)
)

// Of returns the form of a file that begins with head and has used bytes of data,
// at least one entry; format is that if it is known, else [discover.NoFormat], and
// the file not a DirectFileStore's. It is not certain if head is too short to tell.
// A file that is damaged from the start may be taken for anything.
func Of(head []byte, used int64, format discover.Format) (form Form, certain bool) {
	switch format {
	case discover.ClientMmap:
		return mmap, true
	case discover.Python:
		return pick(python, head, used)
	case discover.DirectFileStore:
		return pick(store, head, used)
	}
	return pick(db, head, used)
}

// pick returns the form in which most makes sense.
func pick(forms []Form, head []byte, used int64) (best Form, certain bool) {
	var most sense
	best, certain = forms[0], true
	for _, form := range forms {
		s := makeSense(form, head, used)
		switch c := s.compare(most); {
		case c > 0:
			best, most, certain = form, s, true
		case c == 0 && s.framed:
			certain = false
		}
	}
	return best, certain
}

// sense is how much sense a file makes in a form.
type sense struct {
	keys, entries int  // that are written as in the format; and all
	framed        bool // the entries follow each other
}

func (s sense) compare(other sense) int {
	if c := cmp.Compare(s.keys, other.keys); c != 0 || s.framed == other.framed {
		return cmp.Or(c, cmp.Compare(s.entries, other.entries))
	}
	if s.framed {
		return 1
	}
	return -1
}

// Enough is how many entries are looked at, at most. A file that begins with as many
// is in their form whatever follows.
const Enough = 32

// makeSense looks at the entries that are in head.
func makeSense(form Form, head []byte, used int64) (s sense) {
	l, at, size := form.Layout, int64(frame.HeaderSize), int64(len(head))
	for s.entries < Enough && at != used && at+4 <= size {
		e, damage := l.At(head[at:], at, used)
		if damage != nil || e.End == 0 {
			return s
		}
		whole := e.Value <= size
		key := head[e.Key:min(e.KeyTo, size)]
		bare := bytes.TrimRight(key, " ")
		if whole && !l.Bare && len(bare) == len(key) {
			return s // there is no space in the key
		}
		s.entries++
		if isKey(form.Format, bare) {
			s.keys++
		}
		if !whole {
			break
		}
		at = e.End
	}
	s.framed = true
	return s
}

// isKey reports whether a key, or its beginning, is written as in a format.
func isKey(format discover.Format, key []byte) bool {
	if format == discover.DirectFileStore {
		return isQuery(key)
	}
	return styleOf(key) == format
}

// styleOf tells a JSON key of Python from one of the Ruby gem. Python has the
// labels in an object; or, before 0.4, in two lists, as the gem has them, but a
// space behind each comma. NoFormat is neither.
func styleOf(key []byte) discover.Format {
	rest, ok := bytes.CutPrefix(key, []byte("["))
	if !ok {
		return discover.NoFormat
	}
	spaced := false
	for range 2 {
		end := stringEnd(rest)
		if end < 0 || end == len(rest) || rest[end] != ',' {
			return discover.NoFormat
		}
		rest = rest[end+1:]
		spaced = bytes.HasPrefix(rest, []byte(" "))
		rest = bytes.TrimLeft(rest, " ")
	}
	switch {
	case bytes.HasPrefix(rest, []byte("{")), spaced && bytes.HasPrefix(rest, []byte("[")):
		return discover.Python
	case bytes.HasPrefix(rest, []byte("[")):
		return discover.ClientMmap
	}
	return discover.NoFormat
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
