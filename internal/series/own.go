package series

import (
	"errors"
	"math"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/format"
)

// Some formats count in each bucket of a histogram only what is in no smaller
// one, and keep no total count. Such a bucket implies series more: that of the total
// count, and buckets that are always there. Their values are found by adding up, see
// [Layout.Accumulate].

var errOwnCounts = errors.New("key is of a histogram that files of another format have, too, whose buckets count otherwise")

// otherCounts reports whether a series is one of a histogram that counts otherwise
// than the file at hand. It takes note of that: there are files that disagree.
func (t *Table) otherCounts(id ID, from *Source) bool {
	if t.records[id].kind.own == from.kind.own {
		return false
	}
	t.mix(id, from.kind.typ)
	return true
}

// imply numbers the series that come with a bucket or a sum, if id is one. The
// writer makes those of a label set one after the other; on a page a histogram is
// whole from the first on.
func (t *Table) imply(id ID, w wording, l line, from *Source) {
	family, rest, ok := ownPart(w, t.key.Labels)
	if !ok || family != string(pageName(t.key.Family)) || t.records[id].count != None {
		return
	}
	known := len(t.lines)
	l.name, l.bound = t.name([]byte(family+"_count")), t.bound(rest)
	total := t.id(l, t.explained(l.name, from), from)
	l.name = t.name([]byte(family + "_bucket"))
	sample := t.explained(l.name, from)
	if t.records[id].count = total; int(total) < known {
		return
	}
	for _, bound := range from.Bounds {
		of := wording{flags: rest.flags}
		of.note(format.Label{Name: leName, Value: []byte(bound)})
		of.bound = append(AppendEscaped(append(slices.Clone(rest.bound), `,le="`...), []byte(bound)), '"')
		if len(rest.bound) == 0 {
			of.bound = of.bound[1:]
		}
		l.bound = t.bound(of)
		bucket := t.id(l, sample, from)
		t.records[bucket].count = total
		t.declared[total] = append(t.declared[total], bucket)
	}
}

// ownPart returns the family of a bucket or a sum, and the last part of its text
// without the label le.
func ownPart(w wording, labels []format.Label) (family string, rest wording, ok bool) {
	if family, ok = strings.CutSuffix(string(w.name), "_bucket"); ok {
		if w.flags&hasLe == 0 || w.flags&badLe != 0 {
			return "", wording{}, false
		}
		return family, withoutLe(w, labels), true
	}
	family, ok = strings.CutSuffix(string(w.name), "_sum")
	return family, w, ok && w.flags&hasLe == 0
}

// withoutLe returns the last part of a bucket's text without the label le.
func withoutLe(w wording, labels []format.Label) wording {
	rest := wording{flags: noLe | noQuantile}
	for _, label := range labels {
		if string(label.Name) == "quantile" {
			rest.note(label)
		}
	}
	_, rest.bound = SplitBound(w.bound, "le")
	return rest
}

// A step is a bucket with its own count alone, and the total count it is part of.
type step struct{ bucket, count ID }

// steps returns the buckets among series in order, so that those of a label set
// ascend.
func (t *Table) steps(order []ID) (steps []step) {
	for _, id := range order {
		count := t.records[id].count
		if count != None && t.bounds[t.lines[id].bound].flags&hasLe != 0 {
			steps = append(steps, step{id, count})
		}
	}
	return steps
}

// Accumulate turns the values, by ID, of buckets that count only what is in no
// smaller one into those that pages show, and finds the total counts.
func (l *Layout) Accumulate(values []float64) {
	for _, step := range l.steps {
		values[step.count] = 0
	}
	for _, step := range l.steps {
		if own := values[step.bucket]; !math.IsNaN(own) { // else no file has the bucket, and it is merged by another rule than sum
			values[step.count] += own
		}
		values[step.bucket] = values[step.count]
	}
}
