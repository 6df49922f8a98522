// Package series turns the keys of entries into numbered series, each learnt
// once.
//
// The same key stands in every process's file, byte for byte, and in every
// scrape. A [Table] therefore learns a key when it first meets it and
// afterwards only looks it up:
//
//	key bytes ──▶ number of the key ──▶ ID of the series
//	                  (+ process, for gauges that keep processes apart)
//
// To learn a key is to parse it, unless it is like one that was: but for the bound of a
// histogram's bucket, see template, or for the values of labels, see pattern.
//
// A series is identified by its text as it stands on a page, up to the value:
// the sample name and the labels in one fixed order. Two keys that read the
// same (null and "", 1 and "1") are one series. The text is kept in parts that
// series share.
//
// A [Layout] is the order of all series on a page, and their families.
package series

import (
	"hash/maphash"
	"sync/atomic"

	"gitlab-metrics-exporter/internal/format"
)

// An ID is the number of a series in its [Table].
type ID uint32

// None is the ID of no series. Arrays by ID have a place for it, so that
// values without a series need no special case.
const None ID = 0

// A line is what identifies a series: its text, as numbers of its sample name and of
// three texts, and whether it counts on its own, see own.go. It never changes.
type line struct {
	name, labels, pid, bound uint32
	own                      bool
}

// A record is what a Table keeps of a series beside its text. Like all that is
// kept by series it has no pointers, so that the garbage collector passes by.
type record struct {
	sample uint32 // index into Table.samples
	refs   uint32 // entries that name this series, or imply it; 0 if it is gone
	total  uint32 // of a bucket with its own count alone, or a sum beside it: number of the total count
	kind   kind   // of the file that named it first
	placed bool   // it is in the order of the last layout
}

// A Table numbers series and knows which of them are still there.
//
// Methods of a Table must not be called concurrently. A [Layout], or a [Known], may
// be used while its Table goes on changing.
type Table struct {
	seed maphash.Seed

	keys     keys
	ofKey    []*list[atomic.Uint32] // by number of the space and by keyNo: its series without process, or None
	ofKeyPID map[uint64]ID          // by keyNo and number of the process
	spaces   map[space]uint32
	said     map[metric]string // of each, first; see differing
	pids     map[process]uint32

	texts   texts    // parts of lines; number 0 is the empty one
	bounds  []saying // by number of the text, as far as there are any; without flags it is not known
	names   []string // of samples
	nameNo  map[string]uint32
	lines   list[line] // by ID
	lineNo  index      // number = ID
	records list[record]

	helps    map[uint32]string // by sample
	differed int               // how often a sample's help was another than before, or what an origin says of a metric
	totals   []total           // that were ever implied; number 0 is none
	totalNo  map[ID]uint32
	owns     bool        // some series count on their own
	rivals   []rivals    // all that there ever were
	hidden   map[ID]bool // series that are there, but not on a page, of the last layout

	sampleNames, labelNames spellings

	samples  []sample
	sampleNo map[[2]uint32]uint32 // by number of the family's name and the sample's

	live      int            // records with refs
	lost      bool           // there was a series that is gone
	bulk      int            // bytes of huge keys
	keyBytes  int            // of all keys
	released  bool           // entries were there that are gone
	mixed     map[ID]typeSet // series that files of different kinds or families name: their types
	changed   bool           // the last layout no longer holds
	resort    bool           // nor does its order
	layout    *Layout
	homes     []string // by sample, of the last layout
	quantiles []bool   // the same, see ordering

	template template
	patterns patterns
	key      format.Key // reused
	text     []byte     // reused
	values   []stretch  // reused
}

// A sample is a sample name within its declared family.
type sample struct{ family, name string }

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{
		seed:     maphash.MakeSeed(),
		keys:     newKeys(),
		ofKeyPID: map[uint64]ID{},
		spaces:   map[space]uint32{},
		said:     map[metric]string{},
		pids:     map[process]uint32{},
		helps:    map[uint32]string{},
		totals:   make([]total, 1),
		totalNo:  map[ID]uint32{},
		texts:    texts{index: newIndex()},
		nameNo:   map[string]uint32{},
		lineNo:   newIndex(),
		sampleNo: map[[2]uint32]uint32{},
		mixed:    map[ID]typeSet{},
		layout:   &Layout{},
	}
	t.texts.number(t.hash(nil), nil)
	t.lines.next()
	t.records.next()
	return t
}

// Len returns the number of series that the table ever numbered, None
// included: the length of an array by ID.
func (t *Table) Len() int { return int(t.records.len) }

// Live returns the number of series that entries name, or imply.
func (t *Table) Live() int { return t.live }

// Mixed reports whether files of different kinds, or keys of different
// families, name the series. A series never stops being mixed.
func (t *Table) Mixed(id ID) bool {
	_, mixed := t.mixed[id]
	return mixed
}

// Mixings returns a number that grows whenever [Table.Mixed] becomes true of a
// series, and is 0 as long as it is true of none.
func (t *Table) Mixings() int { return len(t.mixed) }

// bulky is the length, in bytes, from which a key counts as huge.
const bulky = 4 << 10

// Bulk returns how many bytes, about, the table's huge keys have.
func (t *Table) Bulk() int { return t.bulk }

// Weight returns how many bytes, about, that takes which is not there once for each
// series: keys, of which any number may read the same, and what files are called whose
// keys are all bad.
func (t *Table) Weight() int {
	const each = 100 // about, of what is kept beside a key, and of the others
	return t.keyBytes + each*(int(t.keys.parts.len)+len(t.pids)+len(t.spaces)+len(t.said))
}

// Released reports whether there ever were entries that are gone now.
func (t *Table) Released() bool { return t.released }

// Lost reports whether there ever was a series that is gone now. If it comes
// back in a file of another kind, the table takes it for mixed.
func (t *Table) Lost() bool { return t.lost }

// AppendInitial appends to values what a merge starts from, for each ID from
// len(values) on.
func (t *Table) AppendInitial(values []float64) []float64 {
	for id := len(values); id < t.Len(); id++ {
		values = append(values, Neutral(t.records.at(uint32(id)).kind.rule))
	}
	return values
}

func (t *Table) line(id ID) *line     { return t.lines.at(uint32(id)) }
func (t *Table) record(id ID) *record { return t.records.at(uint32(id)) }
