package series

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

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

// patterns are the patterns of keys, by what those begin with: see opening. The zero
// value has none.
type patterns struct {
	known map[string]*candidate
	bytes int // that they take, about
}

// A candidate is what is known of keys with one opening.
type candidate struct {
	parsed  int      // how many of them there were
	pattern *pattern // of one of these, or nil
	bytes   int      // that it takes, about
}

// What patterns may take at most: their number, and their memory, about, in bytes. No
// application has as many metrics that are worth it.
const (
	maxPatterns     = 1024
	maxPatternBytes = 1 << 20
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
	t.template.set(raw, le, from, l, p.sample, 0)
	return t.id(l, p.sample, from)
}

// find returns the pattern of a key if it is known, and where the key's values are, in
// the memory of values. Then the key is as good JSON as the one that the pattern was found
// in: what it has instead is plain text, too, between the same quotes.
func (p *patterns) find(raw []byte, from *Source, values []stretch) (*pattern, []stretch) {
	values = values[:0]
	c := p.known[string(opening(raw))]
	if c == nil || c.pattern == nil || c.pattern.of != from.setting() || format.Plain(raw) < len(raw) || !utf8.Valid(raw) {
		return nil, values
	}
	literals := c.pattern.literals
	if !bytes.HasPrefix(raw, literals[0]) {
		return nil, values
	}
	at := len(literals[0])
	for _, literal := range literals[1:] {
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
	return c.pattern, values
}

// note takes note of the pattern of the key raw, which was parsed into key and arranged,
// and is the given line. It does so of the second, fourth, eighth key with one opening: if
// keys have ever other patterns, or none that fits a second one, that costs next to
// nothing.
func (p *patterns) note(raw []byte, key *format.Key, from *Source, l line, sample uint32) {
	open := opening(raw)
	if len(open) == 0 || from.kind.own {
		return // no JSON, or a key that implies series, which have to be found
	}
	c := p.candidate(open)
	if c == nil {
		return
	}
	if c.parsed++; c.parsed < 2 || c.parsed&(c.parsed-1) != 0 {
		return
	}
	values := variable(key)
	more := 250 + 2*len(raw) + 100*len(key.Labels) - c.bytes
	if len(values) == 0 || p.bytes+more > maxPatternBytes {
		return
	}
	p.bytes, c.bytes = p.bytes+more, c.bytes+more
	c.pattern = newPattern(raw, key, values)
	c.pattern.of, c.pattern.name, c.pattern.bound, c.pattern.sample = from.setting(), l.name, l.bound, sample
}

// candidate returns the one for keys with an opening, or nil if there is no room for it.
func (p *patterns) candidate(opening []byte) *candidate {
	if c := p.known[string(opening)]; c != nil {
		return c
	}
	more := 100 + len(opening)
	if len(p.known) == maxPatterns || p.bytes+more > maxPatternBytes {
		return nil
	}
	if p.known == nil {
		p.known = map[string]*candidate{}
	}
	c := new(candidate)
	p.known[string(opening)] = c
	p.bytes += more
	return c
}

// newPattern returns what of a pattern is to be found in the key itself.
func newPattern(raw []byte, key *format.Key, values []format.Label) *pattern {
	p := &pattern{le: -1, literals: make([][]byte, 0, len(values)+1)}
	raw = bytes.Clone(raw)
	at := 0
	for i, label := range values {
		p.literals = append(p.literals, raw[at:label.At])
		at = label.At + len(label.Value)
		if string(label.Name) == "le" {
			p.le = i
		}
	}
	p.literals = append(p.literals, raw[at:])
	rest := p.labels.write(key.Labels, 0, values)
	p.pid.write(rest, 1, values)
	return p
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
