package series

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/discover"
)

func TestResolve(t *testing.T) {
	const (
		untyped   = discover.Untyped
		counter   = discover.Counter
		gauge     = discover.Gauge
		histogram = discover.Histogram
		summary   = discover.Summary

		plain     = noLe | noQuantile  // labels that are no bound
		le        = hasLe | noQuantile // a number in le
		quantile  = noLe | hasQuantile
		someNoLe  = noLe | hasLe | noQuantile // some series have it, some have not
		wrongLe   = hasLe | noQuantile | badLe
		wrongQuan = noLe | hasQuantile | badQuantile
	)
	of := func(family, name string, flags flags, types ...discover.Type) use {
		u := use{sample: sample{family, name}, flags: flags, live: true}
		for _, typ := range types {
			u.types.add(typ)
		}
		return u
	}
	gone := func(u use) use {
		u.live = false
		return u
	}
	tests := []struct {
		name      string
		uses      []use
		homes     []string
		types     map[string]discover.Type // of the homes
		conflicts int
	}{
		{name: "nothing", homes: []string{}, types: map[string]discover.Type{}},
		{
			name:  "what one application writes",
			uses:  []use{of("c", "c", plain, counter), of("h", "h_bucket", le, histogram), of("h", "h_sum", plain, histogram), of("h", "h_count", plain, histogram), of("s", "s_sum", plain, summary), of("s", "s_count", plain, summary), of("g", "g", plain, gauge)},
			homes: []string{"c", "h", "h", "h", "s", "s", "g"},
			types: map[string]discover.Type{"c": counter, "h": histogram, "s": summary, "g": gauge},
		},
		{
			name:  "a summary with quantiles",
			uses:  []use{of("s", "s", quantile, summary), of("s", "s_sum", plain, summary)},
			homes: []string{"s", "s"},
			types: map[string]discover.Type{"s": summary},
		},
		{
			name:  "a type that is not known",
			uses:  []use{of("m", "m", plain, untyped)},
			homes: []string{"m"},
			types: map[string]discover.Type{"m": untyped},
		},
		{
			name:  "bounds mean nothing to other types",
			uses:  []use{of("c", "c", wrongLe|badQuantile, counter), of("g", "g", le, gauge)},
			homes: []string{"c", "g"},
			types: map[string]discover.Type{"c": counter, "g": gauge},
		},
		{
			name:  "uses that are gone",
			uses:  []use{gone(of("m", "m", plain, gauge)), of("m", "m", plain, counter), gone(of("h_sum", "h_sum", plain, counter)), of("h", "h_sum", plain, histogram)},
			homes: []string{"", "m", "", "h"},
			types: map[string]discover.Type{"m": counter, "h": histogram},
		},

		// Rule 1: types that disagree.
		{
			name:      "one sample in files of two types",
			uses:      []use{of("m", "m", plain, counter, gauge)},
			homes:     []string{"m"},
			types:     map[string]discover.Type{"m": untyped},
			conflicts: 1,
		},
		{
			name:      "two samples in files of two types",
			uses:      []use{of("h", "h", plain, counter), of("h", "h_sum", plain, histogram)},
			homes:     []string{"h", "h_sum"},
			types:     map[string]discover.Type{"h": untyped, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "histogram and summary",
			uses:      []use{of("h", "h_sum", plain, histogram, summary), of("h", "h_count", plain, histogram, summary)},
			homes:     []string{"h_sum", "h_count"},
			types:     map[string]discover.Type{"h_sum": untyped, "h_count": untyped},
			conflicts: 1,
		},
		{
			name:      "a known type and one that is not",
			uses:      []use{of("m", "m", plain, counter, untyped)},
			homes:     []string{"m"},
			types:     map[string]discover.Type{"m": untyped},
			conflicts: 1,
		},

		// Rule 2, first half: what a histogram or summary cannot hold.
		{
			name:      "a bucket without le",
			uses:      []use{of("h", "h_bucket", someNoLe, histogram), of("h", "h_sum", plain, histogram)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a bucket without a number in le",
			uses:      []use{of("h", "h_bucket", wrongLe, histogram)},
			homes:     []string{"h_bucket"},
			types:     map[string]discover.Type{"h_bucket": untyped},
			conflicts: 1,
		},
		{
			name:      "a sum with an le that is no number",
			uses:      []use{of("h", "h_bucket", le, histogram), of("h", "h_sum", wrongLe, histogram)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a sum with an le of its own",
			uses:      []use{of("h", "h_bucket", le, histogram), of("h", "h_sum", le, histogram)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a histogram's sample of its own name",
			uses:      []use{of("h", "h", plain, histogram), of("h", "h_bucket", le, histogram)},
			homes:     []string{"h", "h_bucket"},
			types:     map[string]discover.Type{"h": untyped, "h_bucket": untyped},
			conflicts: 1,
		},
		{
			name:      "a summary's sample without quantile",
			uses:      []use{of("s", "s", plain, summary), of("s", "s_sum", plain, summary)},
			homes:     []string{"s", "s_sum"},
			types:     map[string]discover.Type{"s": untyped, "s_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a quantile that is no number",
			uses:      []use{of("s", "s", wrongQuan, summary)},
			homes:     []string{"s"},
			types:     map[string]discover.Type{"s": untyped},
			conflicts: 1,
		},
		{
			name:  "a histogram's bad quantile, a summary's bad le",
			uses:  []use{of("h", "h_bucket", badQuantile, histogram), of("s", "s", badLe, summary)},
			homes: []string{"h", "s"},
			types: map[string]discover.Type{"h": histogram, "s": summary},
		},

		// Rule 2, second half: another family is called like a sample.
		{
			name:      "a counter called like a histogram's sum",
			uses:      []use{of("h", "h_bucket", le, histogram), of("h_sum", "h_sum", plain, counter)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_sum": counter},
			conflicts: 1,
		},
		{
			name:      "a gauge called like a histogram's count",
			uses:      []use{of("h_count", "h_count", plain, gauge), of("h", "h_sum", plain, histogram)},
			homes:     []string{"h_count", "h_sum"},
			types:     map[string]discover.Type{"h_count": gauge, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a counter called like a histogram's bucket",
			uses:      []use{of("h_bucket", "h_bucket", plain, counter), of("h", "h_sum", plain, histogram)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": counter, "h_sum": untyped},
			conflicts: 1,
		},
		{
			name:  "a summary has no buckets to be called like",
			uses:  []use{of("s_bucket", "s_bucket", plain, counter), of("s", "s_sum", plain, summary)},
			homes: []string{"s_bucket", "s"},
			types: map[string]discover.Type{"s_bucket": counter, "s": summary},
		},
		{
			name:      "a counter called like a summary's count",
			uses:      []use{of("s_count", "s_count", plain, counter), of("s", "s", quantile, summary)},
			homes:     []string{"s_count", "s"},
			types:     map[string]discover.Type{"s_count": counter, "s": untyped},
			conflicts: 1,
		},
		{
			name:  "counters may be called what they like",
			uses:  []use{of("c_sum", "c_sum", plain, counter), of("c", "c", plain, counter), of("c_sum_total", "c_sum_total", plain, counter)},
			homes: []string{"c_sum", "c", "c_sum_total"},
			types: map[string]discover.Type{"c_sum": counter, "c": counter, "c_sum_total": counter},
		},
		{
			name:      "a histogram called like another's sum",
			uses:      []use{of("h", "h_bucket", le, histogram), of("h_sum", "h_sum_bucket", le, histogram)},
			homes:     []string{"h_bucket", "h_sum"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_sum": histogram},
			conflicts: 1,
		},
		{
			// h_sum's own samples become families, which untypes what they
			// are called like, and so on.
			name: "a chain",
			uses: []use{
				of("h", "h_bucket", le, histogram), of("h_bucket", "h_bucket_sum", plain, summary),
				of("h_bucket_sum", "h_bucket_sum_count", plain, histogram), of("h_bucket_sum_count", "h_bucket_sum_count", plain, counter),
			},
			homes:     []string{"h_bucket", "h_bucket_sum", "h_bucket_sum_count", "h_bucket_sum_count"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h_bucket_sum": untyped, "h_bucket_sum_count": counter},
			conflicts: 3,
		},

		// Rule 3: a sample that its family does not have.
		{
			name:      "a counter's sum",
			uses:      []use{of("c", "c", plain, counter), of("c", "c_sum", plain, counter)},
			homes:     []string{"c", "c_sum"},
			types:     map[string]discover.Type{"c": counter, "c_sum": untyped},
			conflicts: 1,
		},
		{
			name:      "a name that has nothing to do with its family",
			uses:      []use{of("c", "d", plain, counter)},
			homes:     []string{"d"},
			types:     map[string]discover.Type{"d": untyped},
			conflicts: 1,
		},
		{
			name:      "a histogram keeps its type beside a strange sample",
			uses:      []use{of("h", "h_bucket", le, histogram), of("h", "h_total", plain, histogram)},
			homes:     []string{"h", "h_total"},
			types:     map[string]discover.Type{"h": histogram, "h_total": untyped},
			conflicts: 1,
		},
		{
			name:      "a summary's bucket",
			uses:      []use{of("s", "s_bucket", le, summary), of("s", "s_sum", plain, summary)},
			homes:     []string{"s_bucket", "s"},
			types:     map[string]discover.Type{"s_bucket": untyped, "s": summary},
			conflicts: 1,
		},
		{
			name:      "a strange sample moves in with a counter",
			uses:      []use{of("c", "c", plain, counter), of("x", "c", plain, gauge)},
			homes:     []string{"c", "c"},
			types:     map[string]discover.Type{"c": counter},
			conflicts: 1,
		},
		{
			name:      "a strange sample moves in with a histogram",
			uses:      []use{of("h", "h_bucket", le, histogram), of("x", "h", plain, gauge)},
			homes:     []string{"h_bucket", "h"},
			types:     map[string]discover.Type{"h_bucket": untyped, "h": untyped},
			conflicts: 2,
		},
		{
			name:      "a sample of another family's that is called like this one's sum",
			uses:      []use{of("h", "h_sum", plain, histogram), of("x", "h_sum", plain, gauge)},
			homes:     []string{"h_sum", "h_sum"},
			types:     map[string]discover.Type{"h_sum": untyped},
			conflicts: 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := resolve(tt.uses)
			if diff := cmp.Diff(tt.homes, got.homes); diff != "" {
				t.Errorf("homes: -want +got:\n%s", diff)
			}
			types := map[string]discover.Type{}
			for _, home := range got.homes {
				if home != "" {
					types[home] = got.types[home]
				}
			}
			if diff := cmp.Diff(tt.types, types); diff != "" {
				t.Errorf("types: -want +got:\n%s", diff)
			}
			if len(got.conflicts) != tt.conflicts {
				t.Errorf("conflicts %v, want %d", got.conflicts, tt.conflicts)
			}
		})
	}
}

func TestRankOf(t *testing.T) {
	tests := []struct {
		family, sample string
		want           uint8
	}{
		{"m", "m", rankPlain},
		{"m", "m_bucket", rankBucket},
		{"m", "m_sum", rankSum},
		{"m", "m_count", rankCount},
		{"m", "m_total", rankOther},
		{"m", "mm", rankOther},
		{"m", "n_sum", rankOther},
		{"m_sum", "m_sum", rankPlain},
		{"m_sum", "m", rankOther},
		{"m_sum", "m_sum_sum", rankSum},
	}
	for _, tt := range tests {
		if got := rankOf(tt.family, tt.sample); got != tt.want {
			t.Errorf("rankOf(%q, %q) is %d, want %d", tt.family, tt.sample, got, tt.want)
		}
	}
}
