package cardinality

import "gitlab-metrics-exporter/internal/collect"

// OfWithin is Of with limits.
func OfWithin(s *collect.Snapshot, values, labels, shapes int) *Report {
	return of(s, limits{values, labels, shapes})
}
