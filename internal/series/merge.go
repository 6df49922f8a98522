package series

import (
	"math"

	"gitlab-metrics-exporter/internal/discover"
)

// Neutral is the value that Merge leaves as it is when it merges it with
// another: so the first value of a series is no special case. Minus zero is
// that of addition, to the bit; plain zero would turn -0 into 0.
func Neutral(rule discover.Rule) float64 {
	if rule == discover.Sum {
		return math.Copysign(0, -1)
	}
	return math.NaN()
}

// Merge merges values, of as many consecutive IDs, into those that have been
// merged so far, by rule.
func Merge(rule discover.Rule, into, values []float64) {
	into = into[:len(values)]
	switch rule {
	case discover.Sum:
		for i, value := range values {
			into[i] += value
		}
	case discover.Last:
		copy(into, values)
	default:
		for i, value := range values {
			into[i] = pick(rule, into[i], value)
		}
	}
}

// pick is the smaller or larger of two values; a NaN gives way to a number.
func pick(rule discover.Rule, old, new float64) float64 {
	if math.IsNaN(old) || rule == discover.Min && new < old || rule == discover.Max && new > old {
		return new
	}
	return old
}
