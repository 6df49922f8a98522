package series_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// bits makes values comparable to the bit; all NaN are one.
func bits(values []float64) []uint64 {
	var b []uint64
	for _, v := range values {
		if math.IsNaN(v) {
			v = math.NaN()
		}
		b = append(b, math.Float64bits(v))
	}
	return b
}

var files = map[discover.Rule]string{
	discover.Sum:  "counter_1-0.db",
	discover.Min:  "gauge_min_1-0.db",
	discover.Max:  "gauge_max_1-0.db",
	discover.Last: "gauge_all_1-0.db",
}

// merge merges values into one series, all in one call or each in its own.
func merge(t tb, rule discover.Rule, calls int, values []float64) float64 {
	t.Helper()
	table := series.NewTable()
	id := intern(t, table, entry{files[rule], key("m", "m")})[0]
	into := table.AppendInitial(nil)
	for part := range slices.Chunk(values, max(1, len(values)/calls)) {
		for i := range part {
			series.Merge(rule, into[id:], part[i:i+1])
		}
	}
	return into[id]
}

func TestMerge(t *testing.T) {
	const sum, least, most, last = discover.Sum, discover.Min, discover.Max, discover.Last
	nan, inf, zero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	tests := []struct {
		name   string
		rule   discover.Rule
		values []float64
		want   float64
	}{
		{"sum", sum, []float64{1, 2, 3}, 6},
		{"sum of one", sum, []float64{0.1}, 0.1},
		{"sum is taken from left to right", sum, []float64{1e16, 1, -1e16}, 0},
		{"sum in another order", sum, []float64{1e16, -1e16, 1}, 1},
		{"sum rounds at each step", sum, []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 0.6},
		{"sum of -0", sum, []float64{zero}, zero},
		{"sum of -0 and -0", sum, []float64{zero, zero}, zero},
		{"sum of -0 and 0", sum, []float64{zero, 0}, 0},
		{"sum of 0", sum, []float64{0}, 0},
		{"sum with NaN", sum, []float64{1, nan, 1}, nan},
		{"sum of infinities", sum, []float64{inf, -inf}, nan},
		{"sum that overflows", sum, []float64{math.MaxFloat64, math.MaxFloat64}, inf},

		{"min", least, []float64{2, 1, 3}, 1},
		{"min of one", least, []float64{5}, 5},
		{"min with NaN first", least, []float64{nan, 1}, 1},
		{"min with NaN last", least, []float64{1, nan}, 1},
		{"min with NaN between", least, []float64{2, nan, 1}, 1},
		{"min of NaN", least, []float64{nan, nan}, nan},
		{"min of infinities", least, []float64{inf, -inf}, -inf},
		{"min of +Inf", least, []float64{inf}, inf},
		{"min of zeros keeps the first", least, []float64{0, zero}, 0},
		{"min of -0", least, []float64{zero, 0}, zero},

		{"max", most, []float64{2, 3, 1}, 3},
		{"max of one below zero", most, []float64{-5}, -5},
		{"max with NaN first", most, []float64{nan, -1}, -1},
		{"max with NaN last", most, []float64{-1, nan}, -1},
		{"max of NaN", most, []float64{nan}, nan},
		{"max of infinities", most, []float64{-inf, inf}, inf},
		{"max of -Inf", most, []float64{-inf}, -inf},
		{"max of zeros keeps the first", most, []float64{zero, 0}, zero},

		{"last", last, []float64{3, 1, 2}, 2},
		{"last is NaN", last, []float64{3, nan}, nan},
		{"last after NaN", last, []float64{nan, 3}, 3},
		{"last is -0", last, []float64{0, zero}, zero},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, calls := range []int{1, len(tt.values)} {
				got := merge(t, tt.rule, calls, tt.values)
				if diff := cmp.Diff(bits([]float64{tt.want}), bits([]float64{got})); diff != "" {
					t.Errorf("in %d calls: got %v, want %v", calls, got, tt.want)
				}
			}
		})
	}
}

// Starting from the first value, not from a neutral one, comes to the same, to
// the bit.
func TestMergeFromFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom([]discover.Rule{discover.Sum, discover.Min, discover.Max, discover.Last}).Draw(t, "rule")
		number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}))
		values := rapid.SliceOfN(number, 1, 10).Draw(t, "values")
		want := merge(t, rule, 1, values)
		got := []float64{values[0]}
		for _, v := range values[1:] {
			series.Merge(rule, got, []float64{v})
		}
		if diff := cmp.Diff(bits([]float64{want}), bits(got)); diff != "" {
			t.Errorf("from the first %v, from the neutral one %v", got, want)
		}
	})
}
