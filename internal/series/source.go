package series

import (
	"math"
	"strings"
	"sync/atomic"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

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

func kindOf(file discover.File) kind { return kind{file.Type, file.Rule, file.OwnCounts} }

// A space is a part of a directory in which a key without process is one series, and
// implies the same.
type space struct {
	format discover.Format // what is a key in one is none in another
	labels string          // that are added, as text
	own    bool            // see [discover.File.OwnCounts]
	saying string          // what is said of the metric beside its entries, if others say something else
}

// A metric is one of a DirectFileStore, in directories with the same labels.
type metric struct{ labels, name string }

// A process is one whose series are kept apart.
type process struct {
	space uint32
	pid   string
}

// Source starts a pass over the entries of a file.
func (t *Table) Source(o Origin) *Source {
	text, _, _ := wordLabels(nil, o.Labels, math.MaxInt, false)
	of := space{o.File.Format, string(text), o.File.OwnCounts, t.differing(metric{string(text), o.File.Metric}, o)}
	s := &Source{Origin: o, kind: kindOf(o.File), space: numberOf(t.spaces, of)}
	if int(s.space) == len(t.ofKey) {
		t.ofKey = append(t.ofKey, new(list[atomic.Uint32]))
		if of.saying != "" {
			t.differed++
		}
	}
	if o.File.PerProcess {
		s.process = numberOf(t.pids, process{s.space, o.File.PID})
	}
	return s
}

// differing returns what an origin says of a metric as one text, or "" if that is what
// was said first.
func (t *Table) differing(m metric, o Origin) string {
	if m.name == "" {
		return ""
	}
	now := strings.Join(o.Bounds, ",") + "\n" + o.Help
	first, known := t.said[m]
	if !known {
		t.said[m] = now
	} else if now != first {
		return now
	}
	return ""
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
