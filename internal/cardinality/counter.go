package cardinality

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"

	"gitlab-metrics-exporter/internal/series"
)

// limits say what one report counts at most, so that a directory cannot make it
// take as much memory as it likes.
type limits struct {
	values int // of all labels together
	labels int
	shapes int // numbers of labels in all sets of them together
}

// usual takes about 25 MB at worst.
var usual = limits{values: 200_000, labels: 20_000, shapes: 100_000}

// topValues is how many values are named of each label.
const topValues = 3

// A counter counts the labels of a layout.
type counter struct {
	layout *series.Layout
	seed   maphash.Seed
	limits limits
	full   bool // there was more than they allow

	labels  []label
	numbers map[string]uint32 // of labels, by name
	values  map[uint64]*value // by hash: to take two for one is a chance of one in a billion

	shapes  []uint32          // by part: which label names it has
	names   [][]uint32        // by shape: numbers of the labels; shape 0 has none
	inNames int               // how many numbers that are
	ofNames map[string]uint32 // shapes, by the numbers as bytes
}

type label struct {
	name           string
	values, series int
}

// A value is a label's, as it stands on a page.
type value struct {
	label  uint32
	series uint32
	text   []byte
}

// newCounter counts the labels of all series in a layout.
func newCounter(layout *series.Layout, most limits) *counter {
	c := &counter{
		layout:  layout,
		seed:    maphash.MakeSeed(),
		limits:  most,
		numbers: map[string]uint32{},
		values:  map[uint64]*value{},
		shapes:  make([]uint32, layout.NumParts()),
		names:   [][]uint32{nil},
		ofNames: map[string]uint32{"": 0},
	}
	uses := make([]uint32, layout.NumParts())
	for _, family := range layout.Families {
		for _, id := range family.Series {
			for _, part := range layout.Parts(id) {
				uses[part]++
			}
		}
	}
	var names []uint32
	for part, n := range uses {
		if n > 0 {
			names = c.count(names[:0], series.Part(part), n)
			c.shapes[part] = c.shape(names)
		}
	}
	return c
}

// count counts the labels of a part that n series have. It appends their
// numbers to names.
func (c *counter) count(names []uint32, part series.Part, n uint32) []uint32 {
	for name, text := range c.layout.PartLabels(part) {
		number, ok := c.number(name)
		if !ok {
			c.full = true
			continue
		}
		names = append(names, number)
		c.labels[number].series += int(n)
		hash := maphash.Bytes(c.seed, text) ^ uint64(number+1)*0x9e3779b97f4a7c15
		if v := c.values[hash]; v != nil {
			v.series += n
			continue
		}
		if len(c.values) == c.limits.values {
			c.full = true
			continue
		}
		c.values[hash] = &value{number, n, text}
		c.labels[number].values++
	}
	return names
}

func (c *counter) number(name []byte) (number uint32, ok bool) {
	if number, ok = c.numbers[string(name)]; ok {
		return number, true
	}
	if len(c.labels) == c.limits.labels {
		return 0, false
	}
	number = uint32(len(c.labels))
	c.labels = append(c.labels, label{name: string(name)})
	c.numbers[string(name)] = number
	return number, true
}

// shape numbers a list of label names.
func (c *counter) shape(names []uint32) uint32 {
	var key []byte
	for _, name := range names {
		key = binary.LittleEndian.AppendUint32(key, name)
	}
	shape, known := c.ofNames[string(key)]
	if known {
		return shape
	}
	if c.inNames += len(names); c.inNames > c.limits.shapes {
		c.full = true
		return 0
	}
	shape = uint32(len(c.names))
	c.names = append(c.names, slices.Clone(names))
	c.ofNames[string(key)] = shape
	return shape
}

// labelsOf returns the names of the labels that series of a family have.
func (c *counter) labelsOf(ids []series.ID) []string {
	shapes, last := map[uint32]bool{}, [3]uint32{}
	for _, id := range ids {
		parts := c.layout.Parts(id)
		now := [3]uint32{c.shapes[parts[0]], c.shapes[parts[1]], c.shapes[parts[2]]}
		if now == last {
			continue // as most are
		}
		last = now
		for _, shape := range now {
			shapes[shape] = true
		}
	}
	names := map[string]bool{}
	for shape := range shapes {
		for _, number := range c.names[shape] {
			names[c.labels[number].name] = true
		}
	}
	sorted := slices.AppendSeq(make([]string, 0, len(names)), maps.Keys(names))
	slices.Sort(sorted)
	return sorted
}

// report returns what was counted, by name.
func (c *counter) report() []Label {
	top := make([][]*value, len(c.labels))
	for _, v := range c.values {
		top[v.label] = insert(top[v.label], v)
	}
	labels := make([]Label, len(c.labels))
	for i, l := range c.labels {
		labels[i] = Label{Name: l.name, Values: l.values, Series: l.series, Top: []Value{}}
		for _, v := range top[i] {
			labels[i].Top = append(labels[i].Top, Value{string(series.Unescape(v.text)), int(v.series)})
		}
	}
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	return labels
}

// insert keeps the values that most series have, in order.
func insert(top []*value, v *value) []*value {
	at, _ := slices.BinarySearchFunc(top, v, func(a, b *value) int {
		return cmp.Or(cmp.Compare(b.series, a.series), bytes.Compare(a.text, b.text))
	})
	top = slices.Insert(top, at, v)
	return top[:min(len(top), topValues)]
}
