package series

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/format"
)

// Some formats count in each bucket of a histogram only what is in no smaller
// one, and keep no total count. Such a bucket implies a series more, that of the
// total count; and the values of both are found by adding up, see
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

// imply numbers the series that come with a bucket, if id is one.
func (t *Table) imply(id ID, w wording, bucket line, from *Source) {
	family, ok := strings.CutSuffix(string(w.name), "_bucket")
	if !ok || family != string(pageName(t.key.Family)) || w.flags&hasLe == 0 || w.flags&badLe != 0 || t.records[id].count != None {
		return
	}
	rest := withoutLe(w, t.key.Labels)
	count := line{name: t.name([]byte(family + "_count")), labels: bucket.labels, pid: bucket.pid, bound: t.bound(rest)}
	known := len(t.lines)
	total := t.id(count, t.sample(count.name), from)
	if t.records[id].count = total; int(total) < known {
		return
	}
	t.records[total].implied = true
	for _, bound := range from.Bounds {
		le := []byte(`le="` + string(AppendEscaped(nil, []byte(bound))) + `"`)
		if len(rest.bound) > 0 {
			le = slices.Concat(rest.bound, []byte(","), le)
		}
		of := wording{bound: le, flags: rest.flags}
		of.note(format.Label{Name: leName, Value: []byte(bound)})
		with := bucket
		with.bound = t.bound(of)
		known := len(t.lines)
		declared := t.id(with, t.records[id].sample, from)
		if int(declared) >= known {
			t.records[declared].implied = true
		}
		t.records[declared].count = total
		t.declared[total] = append(t.declared[total], declared)
	}
}

// withoutLe returns the last part of a bucket's text without the label le.
func withoutLe(w wording, labels []format.Label) wording {
	rest := wording{flags: noLe | noQuantile}
	for _, label := range labels {
		if string(label.Name) == "quantile" {
			rest.note(label)
		}
	}
	at := bytes.LastIndex(w.bound, []byte(`le="`)) // there is none in a number, and no bare quote in a value
	rest.bound = bytes.TrimSuffix(w.bound[:at], []byte(","))
	return rest
}

// A step is a bucket with its own count alone, and the total count it is part of.
type step struct{ bucket, count ID }

// steps returns the buckets among series in order, so that those of a label set
// ascend.
func (t *Table) steps(order []ID) (steps []step) {
	for _, id := range order {
		if count := t.records[id].count; count != None {
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
