package directfilestore

import (
	"bytes"
	"iter"
	"strings"

	"gitlab-metrics-exporter/internal/discover"
)

// An Inference is what keys and a name give away about a metric. The zero
// value is of one about which nothing is known.
type Inference struct {
	Type        discover.Type
	Aggregation Aggregation

	// Known is false if the type and the aggregation could be any. Nobody may
	// add up such values: they can be the largest of something. To keep them
	// apart by process is always true.
	Known bool
}

// Infer says what a metric is, for which there is no [Metadata], by its name
// and by keys of its entries, as they stand in its files:
//
//	a key has le=sum                           histogram, summed
//	a key has quantile=count or quantile=sum   summary, summed
//	else some key has a label pid              gauge, kept apart by pid
//	else the name ends in _total               counter, summed
//
// Of the first two the first key decides that says either, and in it the first label.
// A histogram or summary with a label pid is kept apart by it. The client keeps
// the label pid for itself. The others are guesses, though good ones: a counter
// may have a label le, and nothing keeps an application from taking the largest
// of several totals.
func Infer(metric string, keys iter.Seq[[]byte]) Inference {
	pid := false
	for raw := range keys {
		typ, apart := classify(raw)
		if typ != discover.Untyped {
			return Inference{typ, aggregation(apart), true}
		}
		pid = pid || apart
	}
	switch {
	case pid:
		return Inference{discover.Gauge, All, true}
	case strings.HasSuffix(metric, "_total"):
		return Inference{discover.Counter, Sum, true}
	}
	return Inference{}
}

func aggregation(apart bool) Aggregation {
	if apart {
		return All
	}
	return Sum
}

// classify returns which type a key can only be of, else Untyped, and whether it
// keeps processes apart.
func classify(raw []byte) (typ discover.Type, apart bool) {
	rest := bytes.TrimRight(raw, " ")
	for more := true; more; {
		label := rest
		n := bytes.IndexByte(rest, '&')
		if more = n >= 0; more {
			label, rest = rest[:n], rest[n+1:]
		}
		switch {
		case typ == discover.Untyped && string(label) == "le=sum":
			typ = discover.Histogram
		case typ == discover.Untyped && (string(label) == "quantile=count" || string(label) == "quantile=sum"):
			typ = discover.Summary
		case bytes.HasPrefix(label, pidEquals):
			apart = true
		}
	}
	return typ, apart
}

var pidEquals = []byte("pid=")
