// Package series turns the keys of entries into numbered series, each parsed
// once.
//
// The same key stands in every process's file, byte for byte, and in every
// scrape. A [Table] therefore parses a key when it first meets it and
// afterwards only looks it up:
//
//	key bytes ──▶ number of the key ──▶ ID of the series
//	                  (+ process, for gauges that keep processes apart)
//
// A series is identified by its text as it stands on a page, up to the value:
// the sample name and the labels in one fixed order. Two keys that read the
// same (null and "", 1 and "1") are one series. The text is kept in parts that
// series share.
//
// A [Layout] is the order of all series on a page, and their families.
package series

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync/atomic"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

// An ID is the number of a series in its [Table].
type ID uint32

// None is the ID of no series. Arrays by ID have a place for it, so that
// values without a series need no special case.
const None ID = 0

// A ParseFunc parses the key of an entry of one on-disk format.
type ParseFunc func(raw []byte, key *format.Key) error

// An Origin is what is known of all entries of a file beside what they say
// themselves.
type Origin struct {
	File   discover.File
	Labels []format.Label // that every series gets, for the sake of its directory
	Help   string         // of the families, "" if keys say it, or nobody does
	Bounds []string       // of buckets that every histogram has, whether an entry names them or not
}

// A Source is one pass over the entries of one file, in file order. It is an
// Origin in the terms of one [Table]. Get it from [Table.Source].
type Source struct {
	Origin
	kind    kind
	space   uint32 // number of the space
	process uint32 // number of the process in it, if processes are kept apart
	last    keyNo  // of the known key that came last, 0 if there is none
}

// kind is how a file's entries are read.
type kind struct {
	typ  discover.Type
	rule discover.Rule
	own  bool // see [discover.File.OwnCounts]
}

// A line is the text of one series: numbers of its sample name and of three
// texts. It never changes.
type line struct{ name, labels, pid, bound uint32 }

// A record is what a Table keeps of a series beside its text. Like all that is
// kept by series it has no pointers, so that the garbage collector passes by.
type record struct {
	sample uint32 // index into Table.samples
	refs   uint32 // entries that name this series, or imply it; 0 if it is gone
	count  ID     // of a bucket with its own count alone, or a sum beside it: the series of the total count
	kind   kind   // of the file that named it first
	placed bool   // it is in the order of the last layout
}

// A Table numbers series and knows which of them are still there.
//
// Methods of a Table must not be called concurrently. A [Layout] may be used
// while its Table goes on changing.
type Table struct {
	seed maphash.Seed

	keys     keys
	ofKey    [][]atomic.Uint32 // by number of the space and by keyNo: its series without process, or None
	ofKeyPID map[uint64]ID     // by keyNo and number of the process
	spaces   map[space]uint32
	pids     map[process]uint32

	texts   texts            // parts of lines; number 0 is the empty one
	bounds  map[uint32]bound // by number of the text
	names   []string         // of samples
	nameNo  map[string]uint32
	lines   []line // by ID
	lineNo  index  // number = ID
	records []record
	initial []float64

	helps     map[string]string // by family
	tornHelps int               // how often a family's was another than before
	declared  map[ID][]ID       // by total count that was implied: buckets that are there with it

	sampleNames, labelNames spellings

	samples  []sample
	sampleNo map[[2]uint32]uint32 // by number of the family's name and the sample's

	live    int            // records with refs
	lost    bool           // there was a series that is gone
	bulk    int            // bytes of huge keys
	mixed   map[ID]typeSet // series that files of different kinds or families name: their types
	changed bool           // the last layout no longer holds
	resort  bool           // nor does its order
	layout  *Layout
	homes   []string // by sample, of the last layout

	template template
	key      format.Key // reused
	text     []byte     // reused
}

// A space is a part of a directory in which a key without process is one series.
type space struct {
	labels string // that are added, as text
	own    bool   // see [discover.File.OwnCounts]
}

// A process is one whose series are kept apart.
type process struct {
	space uint32
	pid   string
}

// A sample is a sample name within its declared family.
type sample struct{ family, name string }

// A bound is what the label le or quantile says.
type bound struct {
	value float64 // NaN if it is no number
	flags flags
}

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{
		seed:     maphash.MakeSeed(),
		keys:     newKeys(),
		ofKeyPID: map[uint64]ID{},
		spaces:   map[space]uint32{},
		pids:     map[process]uint32{},
		helps:    map[string]string{},
		declared: map[ID][]ID{},
		texts:    texts{index: newIndex()},
		bounds:   map[uint32]bound{},
		nameNo:   map[string]uint32{},
		lines:    make([]line, 1),
		lineNo:   newIndex(),
		records:  make([]record, 1),
		initial:  make([]float64, 1),
		sampleNo: map[[2]uint32]uint32{},
		mixed:    map[ID]typeSet{},
		layout:   &Layout{},
	}
	t.part(nil)
	return t
}

// Source starts a pass over the entries of a file.
func (t *Table) Source(o Origin) *Source {
	text, _, _ := wordLabels(nil, o.Labels, math.MaxInt, false)
	s := &Source{Origin: o, kind: kind{o.File.Type, o.File.Rule, o.File.OwnCounts}, space: numberOf(t.spaces, space{string(text), o.File.OwnCounts})}
	if int(s.space) == len(t.ofKey) {
		t.ofKey = append(t.ofKey, nil)
	}
	if o.File.PerProcess {
		s.process = numberOf(t.pids, process{s.space, o.File.PID})
	}
	return s
}

// numberOf returns the number of a thing, which is the next one if it has none.
func numberOf[T comparable](numbers map[T]uint32, thing T) uint32 {
	number, known := numbers[thing]
	if !known {
		number = uint32(len(numbers))
		numbers[thing] = number
	}
	return number
}

// Intern returns the series that the next entry of the source belongs to, whose key
// is raw. The error is that of parse, or says why a key makes no series.
func (t *Table) Intern(raw []byte, from *Source, parse ParseFunc) (ID, error) {
	key := t.keys.find(raw, from.last)
	id := t.find(key, from)
	if id == None {
		var err error
		if id, err = t.learn(raw, from, parse); err != nil {
			return None, err
		}
		if key == 0 {
			key = t.keys.add(raw, from.last)
			if len(raw) >= bulky {
				t.bulk += len(raw)
			}
		}
		t.note(key, from, id)
	}
	from.last = key
	return id, nil
}

func (t *Table) hash(b []byte) uint32 { return uint32(maphash.Bytes(t.seed, b)) }

// find returns the series that was noted for a key, or None.
func (t *Table) find(key keyNo, from *Source) ID {
	if from.File.PerProcess {
		return t.ofKeyPID[uint64(key)<<32|uint64(from.process)]
	}
	if known := t.ofKey[from.space]; int(key) < len(known) {
		return ID(known[key].Load())
	}
	return None
}

func (t *Table) note(key keyNo, from *Source, id ID) {
	if from.File.PerProcess {
		t.ofKeyPID[uint64(key)<<32|uint64(from.process)] = id
		return
	}
	known := t.ofKey[from.space]
	for int(key) >= len(known) {
		known = append(known, atomic.Uint32{})
	}
	known[key].Store(uint32(id))
	t.ofKey[from.space] = known
}

// learn returns the series that the key raw names, numbering it if it is new.
func (t *Table) learn(raw []byte, from *Source, parse ParseFunc) (ID, error) {
	if le, ok := t.template.bound(raw, from); ok {
		l := t.template.line
		t.text = append(append(append(t.text[:0], `le="`...), le...), '"')
		w := wording{bound: t.text, flags: noLe | noQuantile}
		w.note(format.Label{Name: leName, Value: le})
		l.bound = t.bound(w)
		id := t.id(l, t.template.sample, from)
		if t.otherCounts(id, from) {
			return None, errOwnCounts
		}
		if from.kind.own && w.flags&hasLe != 0 && w.flags&badLe == 0 {
			t.records[id].count = t.template.count
		}
		return id, nil
	}
	if err := parse(raw, &t.key); err != nil {
		return None, err
	}
	inFile := t.key.Sample
	w, text, err := word(t.text[:0], &t.key, from.Origin)
	t.text = text
	if err != nil {
		return None, err
	}
	t.spell(inFile)
	l := line{name: t.name(w.name), labels: t.part(w.labels), pid: t.part(w.pid), bound: t.bound(w)}
	sample := t.sample(l.name)
	id := t.id(l, sample, from)
	if t.otherCounts(id, from) {
		return None, errOwnCounts
	}
	t.explain(sample, from)
	if from.kind.own {
		t.imply(id, w, l, from)
	}
	t.template.note(raw, &t.key, from, l, sample, t.records[id].count)
	return id, nil
}

// spell takes note of what names the key has, whose sample is called so in the
// file.
func (t *Table) spell(sample []byte) {
	torn := t.Torn()
	if len(t.key.Sample) != len(classic(sample, true)) {
		sample = nil // it got a new name, not another spelling
	}
	t.sampleNames.note(t.key.Sample, sample)
	for _, label := range t.key.Labels {
		t.labelNames.note(label.Name, label.Raw)
	}
	if t.Torn() != torn {
		t.changed = true
	}
}

// bound numbers the last part of a series' text, and keeps what it says.
func (t *Table) bound(w wording) uint32 {
	number := t.part(w.bound)
	if _, known := t.bounds[number]; !known {
		t.bounds[number] = bound{w.value, w.flags}
	}
	return number
}

// id returns the series with the text l, numbering it if it is new.
func (t *Table) id(l line, sample uint32, from *Source) ID {
	hash := t.hashLine(l)
	if number, known := t.lineNo.find(hash, func(n uint32) bool { return t.lines[n] == l }); known {
		t.rename(ID(number), sample)
		return ID(number)
	}
	id := ID(len(t.lines))
	t.lineNo.add(hash, uint32(id))
	t.lines = append(t.lines, l)
	t.records = append(t.records, record{sample: sample, kind: from.kind})
	t.initial = append(t.initial, Neutral(from.kind.rule))
	return id
}

func (t *Table) hashLine(l line) uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint32(b[0:], l.name)
	binary.LittleEndian.PutUint32(b[4:], l.labels)
	binary.LittleEndian.PutUint32(b[8:], l.pid)
	binary.LittleEndian.PutUint32(b[12:], l.bound)
	return t.hash(b[:])
}

// part numbers a part of a series' text.
func (t *Table) part(text []byte) uint32 {
	return t.texts.number(t.hash(text), text)
}

func (t *Table) name(name []byte) uint32 {
	number, known := t.nameNo[string(name)]
	if !known {
		number = uint32(len(t.names))
		t.names = append(t.names, string(name))
		t.nameNo[string(name)] = number
	}
	return number
}

// sample numbers a sample name within the family that t.key declares. A key
// without a family declares the sample's own.
func (t *Table) sample(name uint32) uint32 {
	family := name
	if declared := pageName(t.key.Family); len(declared) > 0 {
		family = t.name(declared)
	}
	number, known := t.sampleNo[[2]uint32{family, name}]
	if !known {
		number = uint32(len(t.samples))
		t.samples = append(t.samples, sample{t.names[family], t.names[name]})
		t.sampleNo[[2]uint32{family, name}] = number
	}
	return number
}

// rename settles which family a series belongs to if keys disagree: the first
// by name, so that it does not depend on which key was met first.
func (t *Table) rename(id ID, name uint32) {
	r := &t.records[id]
	if r.sample == name {
		return
	}
	t.mix(id, r.kind.typ)
	if t.samples[name].family < t.samples[r.sample].family {
		r.sample = name
		t.changed, t.resort = true, true
	}
}

// mix notes that files of different kinds or families name the series, one
// of them of the given type.
func (t *Table) mix(id ID, typ discover.Type) {
	before := t.mixed[id]
	types := before
	types.add(t.records[id].kind.typ)
	types.add(typ)
	if types != before {
		t.mixed[id] = types
		t.changed = true
	}
}

// Len returns the number of series that the table ever numbered, None
// included: the length of an array by ID.
func (t *Table) Len() int { return len(t.records) }

// Live returns the number of series that entries name.
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
const bulky = 64 << 10

// Bulk returns how many bytes, about, the table's huge keys have.
func (t *Table) Bulk() int { return t.bulk }

// Lost reports whether there ever was a series that is gone now. If it comes
// back in a file of another kind, the table takes it for mixed.
func (t *Table) Lost() bool { return t.lost }

// AppendInitial appends to values what a merge starts from, for each ID from
// len(values) on.
func (t *Table) AppendInitial(values []float64) []float64 {
	return append(values, t.initial[len(values):]...)
}
