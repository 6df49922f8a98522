package exposition

import (
	"bytes"
	"math"
	"strconv"
)

// AppendValue appends a value in its shortest form, as Prometheus itself
// writes it; but minus zero stays what it is.
func AppendValue(dst []byte, value float64) []byte {
	switch {
	case value > 0 && value < 1e6 && value == math.Trunc(value):
		return strconv.AppendUint(dst, uint64(value), 10) // most values, three times as fast
	case math.IsInf(value, 1):
		return append(dst, "+Inf"...)
	}
	return strconv.AppendFloat(dst, value, 'g', -1, 64)
}

// appendFloat appends a value as OpenMetrics wants it: like AppendValue, but
// never like a whole number.
func appendFloat(dst []byte, value float64) []byte {
	start := len(dst)
	dst = AppendValue(dst, value)
	if math.IsInf(value, 0) || math.IsNaN(value) || bytes.ContainsAny(dst[start:], ".e") {
		return dst
	}
	return append(dst, ".0"...)
}

// appendCount appends a count, for which isCount is true, as OpenMetrics wants
// it: in digits.
func appendCount(dst []byte, value float64) []byte {
	return strconv.AppendUint(dst, uint64(value), 10)
}

// isCount reports whether value is a whole number that fits into 64 bits.
func isCount(value float64) bool {
	return value >= 0 && value < 1<<64 && value == math.Trunc(value)
}

// What is kept of bounds at most. Applications have a few dozen, and short ones.
const (
	maxNumbers   = 4096
	maxKeptBound = 64 // bytes
)

// A number is what a label le or quantile says.
type number struct {
	value float64
	text  string // in the one form that OpenMetrics knows
}

// numbers keeps bounds that were parsed: all histograms have the same few. The
// zero value is ready for use.
type numbers struct{ known map[string]number }

// of returns the number that text is; NaN if it is none.
func (n *numbers) of(text []byte) number {
	if known, ok := n.known[string(text)]; ok {
		return known
	}
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		value = math.NaN()
	}
	value += 0 // minus zero is the same bound as zero
	fresh := number{value, string(appendFloat(nil, value))}
	if len(n.known) >= maxNumbers || n.known == nil {
		n.known = map[string]number{}
	}
	if len(text) <= maxKeptBound {
		n.known[string(text)] = fresh
	}
	return fresh
}
