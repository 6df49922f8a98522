// Package directfilestore decodes what the files of the Ruby gem
// prometheus-client, the official client, say in its DirectFileStore.
//
// Each process has one file for each metric:
//
//	metric_<name>___<pid>.bin
//
// The name is what stands before the last three underscores in a row. A file
// is a header and then entries, all integers in the order of the machine that
// wrote them:
//
//	offset 0   int32    used: bytes of the file that hold data, header
//	                    included; 0 in a new file, which means 8
//	offset 4   4 bytes without meaning
//	offset 8   entries, back to back, each starting on an 8-byte boundary:
//
//	+----------------+---------------------------+-------------------+-----------------------+
//	| key len uint32 | key, then 1 to 8 spaces   | value float64 (8) | timestamp float64 (8) |
//	+----------------+---------------------------+-------------------+-----------------------+
//
// The length counts the spaces, which fill the entry up so that the value is
// 8-aligned; there is always one. Version 2.1.0 added the timestamp. Nothing in a
// file says which layout it has: an entry of 1.0.0 to 2.0.0 ends after the
// value. The timestamp is what CLOCK_MONOTONIC said in seconds when the value
// was last written. Processes of one boot can be compared by it; a file can
// outlive the boot, and then it means nothing. Bytes at or above used mean
// nothing either: a file begins with 1 MiB, mostly a hole, and grows by
// doubling.
//
// The key is the labels as a query string, sorted by name, each name and value
// escaped as for CGI: a space is +, and all but ASCII letters, digits and
// "-._~" are %XX, byte by byte. A series without labels has an empty key, of
// four spaces.
//
//	code=200&path=%2Fusers%2F7
//
// The writer is another process. It writes the new entry, with value 0, then
// used, and then the value. Keys never change and never move. A process that
// gets the pid of one that has ended goes on with its file.
//
// Labels that the client adds say what a value is:
//
//	le=0.5, le=%2BInf       observations of a histogram that fell into this very bucket; they are not cumulated
//	le=sum                  sum of a histogram
//	quantile=count, =sum    count and sum of a summary
//	pid=7                   the process, of a metric that keeps processes apart
//
// What else a page needs is not in the files: the metric's type and help, how
// the values of processes add up (see [Aggregation]), and which buckets were
// declared: of a series with labels only those stand in a file that a value
// fell into. An application can write that beside its metrics, once, as a
// document that [ParseMetadata] reads. Without it [Infer] says what keys give
// away.
package directfilestore

import "gitlab-metrics-exporter/internal/discover"

// A Kind says how the keys of a metric read. The zero value is Plain.
type Kind uint8

// The kinds.
const (
	Plain     Kind = iota // labels are labels: counters, gauges, untyped
	Histogram             // le=sum is the sum; other values of le are buckets
	Summary               // quantile=count and quantile=sum are no quantiles
)

// KindOf returns how the keys of a metric of the given type read.
func KindOf(t discover.Type) Kind {
	switch t {
	case discover.Histogram:
		return Histogram
	case discover.Summary:
		return Summary
	}
	return Plain
}

// An Aggregation says how the values that processes have for one series become
// one. The application chooses it for each metric; the zero value is Sum.
type Aggregation uint8

// The aggregations.
const (
	Sum        Aggregation = iota
	Max                    // the largest
	Min                    // the smallest
	All                    // kept apart by the label pid, which is in the key
	MostRecent             // the one with the latest timestamp; for gauges
)

var aggregationNames = [...]string{"sum", "max", "min", "all", "most_recent"}

// String returns the name that the client has for the aggregation.
func (a Aggregation) String() string { return aggregationNames[a] }

// defaultAggregation returns what the client does with a metric for which the
// application chose nothing.
func defaultAggregation(t discover.Type) Aggregation {
	if t == discover.Gauge {
		return All
	}
	return Sum
}
