package series

import (
	"math"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/format"
)

// Some formats count in each bucket of a histogram only what is in no smaller
// one, and keep no total count. Such a bucket implies series more: that of the total
// count, and buckets that are always there. Their values are found by adding up, see
// [Layout.Accumulate].

// Files of both kinds can name series of one text. Their values cannot be added up,
// so those are series of their own, and a page has the ones that need no adding up:
// of the others the whole family is absent, as long as it has such a rival. That does
// not depend on which was met first.

// rivals are two series of one text, the first of which counts on its own.
type rivals struct{ own, other ID }

// noteRivals takes note of the rival of a series that is new, if it has one.
func (t *Table) noteRivals(id ID) {
	l := *t.line(id)
	if t.owns = t.owns || l.own; !t.owns {
		return // as in all directories of client-mmap
	}
	l.own = !l.own
	switch rival := t.findLine(l); {
	case rival == None:
	case l.own:
		t.rivals = append(t.rivals, rivals{rival, id})
	default:
		t.rivals = append(t.rivals, rivals{id, rival})
	}
}

// hide finds the series that have to give way to their rivals. It returns the families
// that disagree so.
func (t *Table) hide() (families map[string]bool) {
	t.hidden = nil
	families = map[string]bool{}
	for _, r := range t.rivals {
		if t.record(r.own).refs == 0 || t.record(r.other).refs == 0 {
			continue
		}
		if family := t.family(r.own); family == t.family(r.other) {
			families[family] = true
		}
		t.hideOne(r.own) // at least
	}
	for i := range t.lines.len {
		if len(families) > 0 && t.lines.at(i).own && families[t.family(ID(i))] {
			t.hideOne(ID(i))
		}
	}
	return families
}

func (t *Table) hideOne(id ID) {
	if t.hidden == nil {
		t.hidden = map[ID]bool{}
	}
	t.hidden[id] = true
}

// family returns the declared family of a series.
func (t *Table) family(id ID) string { return t.samples[t.record(id).sample].family }

// shown reports whether a series is on a page.
func (t *Table) shown(id ID) bool { return t.record(id).refs > 0 && !t.hidden[id] }

// imply numbers the series that come with a bucket or a sum, if id is one. The
// writer makes those of a label set one after the other; on a page a histogram is
// whole from the first on.
func (t *Table) imply(id ID, w wording, l line, from *Source) {
	family, rest, ok := ownPart(w, t.key.Labels)
	if !ok || family != string(pageName(t.key.Family)) {
		return
	}
	l.name, l.bound = t.name([]byte(family+"_count")), t.bound(rest)
	total := t.total(t.id(l, t.explained(l.name, from), from))
	t.record(id).total = total
	l.name = t.name([]byte(family + "_bucket"))
	t.declare(total, l, rest, from)
}

// A total is the series of a total count that is implied.
type total struct {
	id      ID
	implied int      // entries that imply it
	buckets []ID     // that are there as long as it is implied
	bounds  []string // that were said to be those of these buckets, last
}

// total numbers the total count whose series is id.
func (t *Table) total(id ID) uint32 {
	number, known := t.totalNo[id]
	if !known {
		number = uint32(len(t.totals))
		t.totals = append(t.totals, total{id: id})
		t.totalNo[id] = number
	}
	return number
}

// declare numbers the buckets that a source says are there with a total count. l is the
// line of such a bucket but for its bound, the last part of whose text begins with rest.
func (t *Table) declare(number uint32, l line, rest wording, from *Source) {
	sample := t.explained(l.name, from)
	total := &t.totals[number]
	if slices.Equal(total.bounds, from.Bounds) {
		return
	}
	total.bounds = from.Bounds
	for _, bound := range from.Bounds {
		of := wording{saying: rest.saying}
		of.note(format.Label{Name: leName, Value: []byte(bound)})
		of.bound = append(AppendEscaped(append(slices.Clone(rest.bound), `,le="`...), []byte(bound)), '"')
		if len(rest.bound) == 0 {
			of.bound = of.bound[1:]
		}
		l.bound = t.bound(of)
		bucket := t.id(l, sample, from)
		if slices.Contains(total.buckets, bucket) {
			continue
		}
		total.buckets = append(total.buckets, bucket)
		t.record(bucket).total = number
		if total.implied > 0 {
			t.hold(bucket)
		}
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
	rest := newWording()
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
		total := t.record(id).total
		if total != 0 && t.bounds[t.line(id).bound].flags&hasLe != 0 {
			steps = append(steps, step{id, t.totals[total].id})
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

// OwnCounts reports whether entries that name the series count on their own: its value
// is one that Accumulate found.
func (l *Layout) OwnCounts(id ID) bool { return l.line(id).own }
