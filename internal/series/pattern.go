package series

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"gitlab-metrics-exporter/internal/format"
)

// A pattern is what keys have in common that differ in nothing but the values of labels.
// One of them was parsed, and says what the others mean but for these values. A large
// directory has tens of thousands of keys, and a few hundred patterns.
type pattern struct {
	of       setting
	literals [][]byte // what a key has before, between and behind the values
	name     uint32
	sample   uint32
	labels   recipe
	pid      recipe
	bound    uint32 // unless keys have the label le
	le       int    // which value is that of the label le, -1 if there is none
}

// A setting is what the meaning of a key depends on beside the key.
type setting struct {
	kind       kind
	space      uint32
	perProcess bool
	process    uint32
}

func (s *Source) setting() setting { return setting{s.kind, s.space, s.File.PerProcess, s.process} }

// A recipe says how a part of a series' text is made: of literals, and behind each but
// the last of one of the key's values.
type recipe struct {
	literals [][]byte
	values   []int
}

// A stretch is where in a key a value lies.
type stretch struct{ from, to int }

// patterns are the patterns of keys, by what those begin with: see opening. If there are
// several for one opening, it is the one that was met last.
type patterns map[string]*pattern

// How many patterns are kept at most, and of how long keys, in bytes.
const (
	maxPatterns   = 512
	maxPatternKey = 2048
)

// opening returns the names of the family and the sample as a key begins with them, up
// to the fourth quote; nothing if it does not.
func opening(raw []byte) []byte {
	at := 0
	for range 4 {
		n := bytes.IndexByte(raw[at:], '"') + 1
		if n == 0 {
			return nil
		}
		at += n
	}
	return raw[:at]
}

// learnAlike is learn for a key of a known pattern. It returns None for others.
func (t *Table) learnAlike(raw []byte, from *Source) ID {
	var p *pattern
	if p, t.values = t.patterns.find(raw, from, t.values); p == nil {
		return None
	}
	l := line{name: p.name, bound: p.bound}
	t.text = p.labels.append(t.text[:0], raw, t.values)
	l.labels = t.part(t.text)
	t.text = p.pid.append(t.text[:0], raw, t.values)
	l.pid = t.part(t.text)
	if p.le < 0 {
		return t.id(l, p.sample, from)
	}
	le := t.values[p.le]
	l.bound = t.bucket(raw[le.from:le.to])
	t.template.set(raw, le, from, l, p.sample, None)
	return t.id(l, p.sample, from)
}

// find returns the pattern of a key if it is known, and where the key's values are, in
// the memory of values. Then the key is as good JSON as the one that the pattern was found
// in: what it has instead is plain text, too, between the same quotes.
func (p patterns) find(raw []byte, from *Source, values []stretch) (*pattern, []stretch) {
	values = values[:0]
	like := p[string(opening(raw))]
	if like == nil || like.of != from.setting() || !simple(raw) || !bytes.HasPrefix(raw, like.literals[0]) {
		return nil, values
	}
	at := len(like.literals[0])
	for _, literal := range like.literals[1:] {
		to := at + bytes.IndexByte(raw[at:], '"')
		if to < at || !bytes.HasPrefix(raw[to:], literal) {
			return nil, values
		}
		values = append(values, stretch{at, to})
		at = to + len(literal)
	}
	if at < len(raw) {
		return nil, values
	}
	return like, values
}

// note takes note of the pattern of the key raw, which was parsed into key and arranged,
// and is the given line.
func (p *patterns) note(raw []byte, key *format.Key, from *Source, l line, sample uint32) {
	if from.kind.own || len(raw) > maxPatternKey {
		return // such a key implies series that have to be found, or is one of few
	}
	values := variable(key)
	if len(values) == 0 {
		return
	}
	if *p == nil || len(*p) == maxPatterns {
		*p = patterns{}
	}
	fresh := &pattern{of: from.setting(), name: l.name, sample: sample, bound: l.bound, le: -1}
	(*p)[string(opening(raw))] = fresh
	at := 0
	for i, label := range values {
		fresh.literals = append(fresh.literals, bytes.Clone(raw[at:label.At]))
		at = label.At + len(label.Value)
		if string(label.Name) == "le" {
			fresh.le = i
		}
	}
	fresh.literals = append(fresh.literals, bytes.Clone(raw[at:]))
	rest := fresh.labels.write(key.Labels, 0, values)
	fresh.pid.write(rest, 1, values)
}

// variable returns the labels whose values may be others in keys of the same pattern, in
// the order in which they stand in the key.
func variable(key *format.Key) (labels []format.Label) {
	for _, label := range key.Labels {
		if string(label.Name) == "quantile" {
			return nil // it shares a part with le
		}
		if label.At > 0 {
			labels = append(labels, label)
		}
	}
	slices.SortFunc(labels, func(a, b format.Label) int { return cmp.Compare(a.At, b.At) })
	return labels
}

// write writes the recipe of the text of the first labels, those whose place is not
// behind last: see wordLabels. It returns the other labels.
func (r *recipe) write(labels []format.Label, last int, values []format.Label) (rest []format.Label) {
	var literal []byte
	for ; len(labels) > 0 && place(labels[0].Name) <= last; labels = labels[1:] {
		label := labels[0]
		if literal != nil {
			literal = append(literal, ',')
		}
		literal = append(append(literal, label.Name...), '=', '"')
		if label.At == 0 {
			literal = AppendEscaped(literal, label.Value)
		} else {
			r.literals = append(r.literals, literal)
			r.values = append(r.values, slices.IndexFunc(values, func(v format.Label) bool { return v.At == label.At }))
			literal = nil
		}
		literal = append(literal, '"')
	}
	r.literals = append(r.literals, literal)
	return labels
}

// append appends the text for the key raw to dst.
func (r *recipe) append(dst, raw []byte, values []stretch) []byte {
	for i, value := range r.values {
		v := values[value]
		dst = append(append(dst, r.literals[i]...), raw[v.from:v.to]...)
	}
	return append(dst, r.literals[len(r.values)]...)
}

// simple reports whether b is ASCII without control characters and backslashes. It looks
// at eight bytes at a time: for each of them the first term borrows into its highest bit
// if it is a backslash, and the second one if it is less than a space.
func simple(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		if ((x^ones*'\\')-ones|(x-ones*' ')|x)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}
