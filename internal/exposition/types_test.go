package exposition_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/exposition"
)

// whole are the series of a histogram h with a bucket le that has as many as the last.
func whole(le string, sum, count float64) []entry {
	return []entry{{`["h","h_bucket",["le"],["` + le + `"]]`, count}, {`["h","h_bucket",["le"],["+Inf"]]`, count},
		{`["h","h_sum",[],[]]`, sum}, {`["h","h_count",[],[]]`, count}}
}

// quantile are the series of a summary s that has one.
func quantile(of string, value float64) []entry {
	return []entry{{`["s","s",["quantile"],["` + of + `"]]`, value}, {`["s","s_sum",[],[]]`, 3}, {`["s","s_count",[],[]]`, 2}}
}

// named are series with a value of 1, each the only one of its family.
func named(names ...string) (entries []entry) {
	for _, name := range names {
		entries = append(entries, entry{fmt.Sprintf("[%q,%q,[],[]]", name, name), 1})
	}
	return entries
}

// TestTypes: what a family is in each format; "" if it is in parts, or has another name.
func TestTypes(t *testing.T) {
	type files = map[string][]entry
	besides := func(counter string) files {
		return files{"counter_1-0.db": named(counter), "histogram_1-0.db": whole("1", 1, 1)}
	}
	for _, tt := range []struct {
		name                        string
		files                       files
		family                      string
		text, openMetrics, protobuf string
	}{
		{"nothing observed", files{"histogram_1-0.db": whole("1", 0, 0)}, "h", "histogram", "histogram", "histogram"},
		{"sum below zero", files{"histogram_1-0.db": whole("1", -1, 1)}, "h", "histogram", "", "histogram"},
		{"bucket below zero", files{"histogram_1-0.db": whole("-1", 1, 1)}, "h", "histogram", "", "histogram"},
		{"bucket of zero", files{"histogram_1-0.db": whole("0", 1, 1)}, "h", "histogram", "histogram", "histogram"},
		{"bucket of minus zero", files{"histogram_1-0.db": whole("-0", 1, 1)}, "h", "histogram", "histogram", "histogram"},
		{"no count", files{"histogram_1-0.db": whole("1", 1, 1)[:3]}, "h", "histogram", "", ""},
		{"no buckets", files{"histogram_1-0.db": whole("1", 1, 1)[2:]}, "h", "histogram", "", ""},
		{"the largest count", files{"histogram_1-0.db": whole("1", 1, 1<<63)}, "h", "histogram", "histogram", "histogram"},
		{"a count that is too large", files{"histogram_1-0.db": whole("1", 1, 1<<64)}, "h", "histogram", "", ""},
		{"half a count", files{"summary_1-0.db": {{`["s","s_sum",[],[]]`, 1}, {`["s","s_count",[],[]]`, 1.5}}}, "s", "summary", "", ""},
		{"a value of a quantile below zero", files{"summary_1-0.db": quantile("0.5", -5)}, "s", "summary", "unknown", "summary"},
		{"a value of a quantile of minus zero", files{"summary_1-0.db": quantile("0.5", math.Copysign(0, -1))}, "s", "summary", "summary", "summary"},
		{"a value of a quantile that is none", files{"summary_1-0.db": quantile("0.5", math.NaN())}, "s", "summary", "summary", "summary"},
		{"a quantile below zero", files{"summary_1-0.db": quantile("-0.1", 5)}, "s", "summary", "unknown", "summary"},
		{"a quantile of zero", files{"summary_1-0.db": quantile("-0", 5)}, "s", "summary", "summary", "summary"},
		{"a quantile of one", files{"summary_1-0.db": quantile("1e0", 5)}, "s", "summary", "summary", "summary"},
		{"a quantile above one", files{"summary_1-0.db": quantile("1.1", 5)}, "s", "summary", "unknown", "summary"},
		{"beside its time of creation", files{"histogram_1-0.db": whole("1", 1, 1), "gauge_max_1-0.db": named("h_created")}, "h", "histogram", "", "histogram"},
		{"a counter of zero", files{"counter_1-0.db": {{`["c_total","c_total",[],[]]`, 0}}}, "c", "", "counter", ""},
		{"a counter beside its time of creation", files{"counter_1-0.db": named("c_total"), "gauge_max_1-0.db": named("c_created")}, "c_total", "counter", "unknown", "counter"},
		{"a counter like a histogram's buckets", besides("h_bucket_total"), "h_bucket_total", "counter", "unknown", "counter"},
		{"a counter like a histogram's sum", besides("h_sum_total"), "h_sum_total", "counter", "unknown", "counter"},
		{"a counter like a histogram's count", besides("h_count_total"), "h_count_total", "counter", "unknown", "counter"},
		{"a counter like a histogram's time", besides("h_created_total"), "h_created_total", "counter", "unknown", "counter"},
		{"a counter whose name goes on from others", files{"counter_1-0.db": named("h_b_total"), "gauge_max_1-0.db": named("a", "b", "h", "h_b")},
			"h_b_total", "counter", "unknown", "counter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshot(t, tt.files)
			if got := typeOn(pageIn(t, s, exposition.Text), tt.family); got != tt.text {
				t.Errorf("text: %q, want %q", got, tt.text)
			}
			if got := typeOn(pageIn(t, s, exposition.OpenMetrics), tt.family); got != tt.openMetrics {
				t.Errorf("OpenMetrics: %q, want %q", got, tt.openMetrics)
			}
			families, err := decode(pageIn(t, s, exposition.Protobuf))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range families {
				if f.GetName() == tt.family {
					got = strings.ToLower(f.GetType().String())
				}
			}
			if got != tt.protobuf {
				t.Errorf("protobuf: %q, want %q", got, tt.protobuf)
			}
			compareFormats(t, tt.files)
		})
	}
}

// typeOn returns the type that a family has on a page of text, "" if there is none.
func typeOn(page []byte, family string) string {
	_, rest, _ := strings.Cut(string(page), "# TYPE "+family+" ")
	typ, _, _ := strings.Cut(rest, "\n")
	return typ
}
