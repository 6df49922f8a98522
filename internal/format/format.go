// Package format holds the words that all on-disk formats share: what a key
// says, and what can be wrong with a file.
//
// Each format has a package of its own below this one, whose package comment
// is the format's document. Those packages turn bytes into entries and keys;
// none of them opens a file.
package format

import "fmt"

// A Key is what the key of one entry says: the series that the entry's value
// belongs to. Its slices may alias the bytes it was parsed from and are valid
// until those change or the Key is parsed into again; the zero value is ready
// for that.
type Key struct {
	Family []byte // name of the metric family
	Sample []byte // name of the sample: the family's name, or with _bucket, _sum, _count
	Labels []Label
	Help   []byte // help text of the family; nil if the format keeps none

	// Plain is true if no label value has a character below U+0020, a quote or
	// a backslash. It may be false though none has.
	Plain bool

	// Scratch holds unescaped text that the fields above refer to.
	Scratch []byte
}

// A Label is a label's name and value, unescaped.
type Label struct {
	Name, Value []byte

	// Raw is the name as it is in the file, if Name was spelled differently
	// since; else nil, as parsers leave it.
	Raw []byte

	// At is where Value begins in the raw key, if it stands there in quotes and
	// without escapes; else 0.
	At int
}

// A Reason names a kind of damage. It is a label value of our own metrics.
type Reason string

// The reasons why a file, or a part of it, is absent from the page.
const (
	BadName    Reason = "name"        // the name is not a metric file's
	Unreadable Reason = "unreadable"  // the system refuses to open or read it
	NotRegular Reason = "not_regular" // a directory, pipe, socket or device
	Truncated  Reason = "truncated"   // it says it holds more bytes than it has
	BadEntry   Reason = "entry"       // an entry does not fit its place; nothing after it can be found
	BadKey     Reason = "key"         // a key cannot be understood; only that entry is absent
)

// Reasons lists every reason.
var Reasons = []Reason{BadName, Unreadable, NotRegular, Truncated, BadEntry, BadKey}

// Damage is the error of every decoder: what is wrong with a file's content,
// and where. What stands before Offset is sound.
type Damage struct {
	Reason Reason
	Offset int64 // in bytes from the start of the file; -1 if it is the file as a whole
	Detail string
}

// Same reports whether two files' damage, or the lack of it, is the same fault.
// What it says in detail may change while a writer goes on.
func (d *Damage) Same(other *Damage) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d.Reason == other.Reason && d.Offset == other.Offset
}

func (d *Damage) Error() string {
	if d.Offset < 0 {
		return d.Detail
	}
	return fmt.Sprintf("offset %d: %s", d.Offset, d.Detail)
}
