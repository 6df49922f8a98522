package directfilestore_test

import (
	"slices"
	"testing"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
)

func TestInfer(t *testing.T) {
	type inference = directfilestore.Inference
	var (
		unknown        = inference{}
		counter        = inference{discover.Counter, directfilestore.Sum, true}
		gauge          = inference{discover.Gauge, directfilestore.All, true}
		histogram      = inference{discover.Histogram, directfilestore.Sum, true}
		summary        = inference{discover.Summary, directfilestore.Sum, true}
		apartHistogram = inference{discover.Histogram, directfilestore.All, true}
		apartSummary   = inference{discover.Summary, directfilestore.All, true}
	)
	tests := []struct {
		name   string
		metric string
		keys   []string
		want   inference
	}{
		{"no keys", "m", nil, unknown},
		{"no keys, by its name", "m_total", nil, counter},
		{"no labels", "m", []string{"    "}, unknown},
		{"labels", "m", []string{"a=1 ", "a=2 "}, unknown},
		{"counter", "m_total", []string{"a=1 "}, counter},
		{"name ends in total", "mtotal", []string{"a=1 "}, unknown},

		{"gauge", "m", []string{"a=1&pid=7 "}, gauge},
		{"gauge, pid first", "m", []string{"pid=7&z=1 "}, gauge},
		{"gauge, some keys", "m", []string{"a=1 ", "a=1&pid=7 ", "a=2 "}, gauge},
		{"gauge whose name ends in _total", "m_total", []string{"pid=7 "}, gauge},
		{"names that end in pid", "m", []string{"ppid=7&rapid=1 "}, unknown},

		{"histogram", "m", []string{"le=0.5 ", "le=sum "}, histogram},
		{"histogram with labels", "m", []string{"a=1&le=%2BInf&z=1 ", "a=1&le=sum&z=1 "}, histogram},
		{"histogram whose name ends in _total", "m_total", []string{"le=sum "}, histogram},
		{"histogram by process", "m", []string{"le=1&pid=7 ", "le=sum&pid=7 "}, apartHistogram},
		{"histogram, another key with pid", "m", []string{"a=1&pid=7 ", "le=sum "}, histogram},
		{"of two types the first", "m", []string{"quantile=sum ", "le=sum "}, summary},
		{"of two types the first label", "m", []string{"le=sum&quantile=sum "}, histogram},
		{"of two types the first label, the other way round", "m", []string{"quantile=sum&le=sum "}, summary},
		{"buckets alone", "m", []string{"le=1 "}, unknown},
		{"longer value", "m", []string{"le=sum2 "}, unknown},
		{"longer name", "m", []string{"ale=sum "}, unknown},
		{"value that contains it", "m", []string{"a=le%3Dsum "}, unknown},

		{"summary by its count", "m", []string{"quantile=count "}, summary},
		{"summary by its sum", "m", []string{"a=1&quantile=sum "}, summary},
		{"summary by process", "m", []string{"pid=7&quantile=sum "}, apartSummary},
		{"quantile", "m", []string{"quantile=0.5 "}, unknown},

		{"what is no query string", "m", []string{"", "&", "=", "\x00\xff%", "&&&"}, unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var keys [][]byte
			for _, key := range tt.keys {
				keys = append(keys, []byte(key))
			}
			if got := directfilestore.Infer(tt.metric, slices.Values(keys)); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// However many keys there are, they cost no memory.
func TestInferDoesNotAllocateByKey(t *testing.T) {
	allocations := func(n int) float64 {
		keys := slices.Repeat([][]byte{[]byte("a=1&pid=7 "), []byte("a=1&le=0.5&pid=7 "), []byte("    ")}, n)
		seq := slices.Values(keys)
		return testing.AllocsPerRun(10, func() { directfilestore.Infer("m_total", seq) })
	}
	if one, many := allocations(1), allocations(1000); one != many {
		t.Errorf("%v allocations with 3 keys, %v with 3000", one, many)
	}
}

func TestKindOf(t *testing.T) {
	want := map[discover.Type]directfilestore.Kind{
		discover.Untyped: plain, discover.Counter: plain, discover.Gauge: plain,
		discover.Histogram: histogram, discover.Summary: summary,
	}
	for typ, kind := range want {
		if got := directfilestore.KindOf(typ); got != kind {
			t.Errorf("kind of a %s is %d, want %d", typ, got, kind)
		}
	}
}
