package directfilestore_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
)

type (
	metadata = directfilestore.Metadata
	metric   = directfilestore.Metric
)

func TestParseMetadata(t *testing.T) {
	tests := []struct {
		name string
		data string
		want metadata
	}{
		{"no metrics", `{"version":1,"metrics":[]}`, metadata{}},
		{"no list", `{"version":1}`, metadata{}},
		{"everything", `{"version":1,"metrics":[
			{"name":"http_seconds","type":"histogram","help":"How long\n\"requests\" take","aggregation":"sum","buckets":[0.1,1,10]}]}`,
			metadata{"http_seconds": {Type: discover.Histogram, Help: "How long\n\"requests\" take", Buckets: []string{"0.1", "1", "10"}}}},
		{"types and what they are summed by", `{"version":1,"metrics":[
			{"name":"u","type":"untyped"},{"name":"c","type":"counter"},{"name":"g","type":"gauge"},
			{"name":"h","type":"histogram"},{"name":"s","type":"summary"}]}`,
			metadata{
				"u": {Type: discover.Untyped}, "c": {Type: discover.Counter},
				"g": {Type: discover.Gauge, Aggregation: directfilestore.All},
				"h": {Type: discover.Histogram}, "s": {Type: discover.Summary},
			}},
		{"aggregations", `{"version":1,"metrics":[
			{"name":"a","type":"gauge","aggregation":"sum"},{"name":"b","type":"gauge","aggregation":"max"},
			{"name":"c","type":"gauge","aggregation":"min"},{"name":"d","type":"gauge","aggregation":"all"},
			{"name":"e","type":"gauge","aggregation":"most_recent"},{"name":"f","type":"counter","aggregation":"max"}]}`,
			metadata{
				"a": {Type: discover.Gauge, Aggregation: directfilestore.Sum},
				"b": {Type: discover.Gauge, Aggregation: directfilestore.Max},
				"c": {Type: discover.Gauge, Aggregation: directfilestore.Min},
				"d": {Type: discover.Gauge, Aggregation: directfilestore.All},
				"e": {Type: discover.Gauge, Aggregation: directfilestore.MostRecent},
				"f": {Type: discover.Counter, Aggregation: directfilestore.Max},
			}},
		{"bounds keep their text", `{"version":1,"metrics":[
			{"name":"h","type":"histogram","buckets":["-1","0.0",1.0e-07,"1.0e-06",0.10,"1",1.5E0,"1.0e+16"]}]}`,
			metadata{"h": {Type: discover.Histogram, Buckets: []string{"-1", "0.0", "1.0e-07", "1.0e-06", "0.10", "1", "1.5E0", "1.0e+16"}}}},
		{"no bounds", `{"version":1,"metrics":[{"name":"h","type":"histogram","buckets":[]}]}`,
			metadata{"h": {Type: discover.Histogram}}},
		{"null", `{"version":1,"metrics":[{"name":"g","type":"gauge","help":null,"aggregation":null,"buckets":null}]}`,
			metadata{"g": {Type: discover.Gauge, Aggregation: directfilestore.All}}},
		{"unknown fields", `{"version":1,"by":"me","metrics":[{"name":"c","type":"counter","labels":["a"],"unit":{}}]}`,
			metadata{"c": {Type: discover.Counter}}},
		{"odd names", `{"version":1,"metrics":[{"name":"_","type":"counter"},{"name":":a:B_9","type":"counter"}]}`,
			metadata{"_": {Type: discover.Counter}, ":a:B_9": {Type: discover.Counter}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := directfilestore.ParseMetadata([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseMetadataRefuses(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"nothing", ``, "unexpected end of JSON input"},
		{"no JSON", `metrics`, "invalid character"},
		{"half of it", `{"version":1,"metrics":[`, "unexpected end of JSON input"},
		{"more than it", `{"version":1}{}`, "after top-level value"},
		{"a list", `[]`, "cannot unmarshal array"},
		{"null", `null`, "version is 0, not 1"},
		{"no version", `{"metrics":[]}`, "version is 0, not 1"},
		{"another version", `{"version":2,"metrics":[]}`, "version is 2, not 1"},
		{"version as text", `{"version":"1"}`, "version"},
		{"metrics no list", `{"version":1,"metrics":{}}`, "metrics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refusesMetadata(t, tt.data, tt.want) })
	}
}

// Each message says which metric is wrong.
func TestParseMetadataRefusesMetrics(t *testing.T) {
	const name = "name is not letters, digits, underscores and colons, the first no digit"
	tests := []struct{ name, metric, want string }{
		{"not an object", `7`, `metric 2, "": json: cannot unmarshal number`},
		{"no name", `{"type":"gauge"}`, `metric 2, "": ` + name},
		{"null", `null`, `metric 2, "": ` + name},
		{"a name with a space", `{"name":"a b","type":"gauge"}`, `metric 2, "a b": ` + name},
		{"a name with a line break", `{"name":"a\n","type":"gauge"}`, `metric 2, "a\n": ` + name},
		{"a name that begins with a digit", `{"name":"9a","type":"gauge"}`, `metric 2, "9a": ` + name},
		{"a name beyond ASCII", `{"name":"ä","type":"gauge"}`, `metric 2, "ä": ` + name},
		{"a name that is none", `{"name":7,"type":"gauge"}`, `metric 2, "": json: cannot unmarshal number`},
		{"a name twice", `{"name":"first","type":"gauge"}`, `metric 2, "first": name comes twice`},
		{"no type", `{"name":"m"}`, `metric 2, "m": type "" is not known`},
		{"a type that is none", `{"name":"m","type":7}`, `metric 2, "m": json: cannot unmarshal number`},
		{"another type", `{"name":"m","type":"Gauge"}`, `metric 2, "m": type "Gauge" is not known`},
		{"another aggregation", `{"name":"m","type":"gauge","aggregation":"avg"}`, `metric 2, "m": aggregation "avg" is not known`},
		{"an empty aggregation", `{"name":"m","type":"gauge","aggregation":""}`, `metric 2, "m": aggregation "" is not known`},
		{"the most recent of a counter", `{"name":"m","type":"counter","aggregation":"most_recent"}`,
			`metric 2, "m": aggregation most_recent is for gauges, not for a counter`},
		{"most_recent of a histogram", `{"name":"m","type":"histogram","aggregation":"most_recent"}`,
			`metric 2, "m": aggregation most_recent is for gauges, not for a histogram`},
		{"most_recent of a summary", `{"name":"m","type":"summary","aggregation":"most_recent"}`,
			`metric 2, "m": aggregation most_recent is for gauges, not for a summary`},
		{"twice, the second time of another type", `{"name":"first","type":"?"}`, `metric 2, "first": type "?" is not known`},
		{"help that is no text", `{"name":"m","type":"gauge","help":[]}`, `metric 2, "m": json: cannot unmarshal array`},
		{"buckets of a gauge", `{"name":"m","type":"gauge","buckets":[]}`, `metric 2, "m": a gauge has no buckets`},
		{"buckets no list", `{"name":"m","type":"histogram","buckets":1}`, `metric 2, "m": json: cannot unmarshal number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refusesMetadata(t, `{"version":1,"metrics":[{"name":"first","type":"gauge"},`+tt.metric+`]}`, tt.want)
		})
	}
}

func TestParseMetadataRefusesBuckets(t *testing.T) {
	tests := []struct{ buckets, want string }{
		{`["x"]`, `bucket "x" is not a finite number`},
		{`[""]`, `bucket "" is not a finite number`},
		{`[" 1"]`, `bucket " 1" is not a finite number`},
		{`["1/2"]`, `bucket "1/2" is not a finite number`},
		{`[1,"+Inf"]`, `bucket "+Inf" is not a finite number`},
		{`["Infinity"]`, `bucket "Infinity" is not a finite number`},
		{`["-Inf",1]`, `bucket "-Inf" is not a finite number`},
		{`["NaN"]`, `bucket "NaN" is not a finite number`},
		{`[1e999]`, `bucket "1e999" is not a finite number`},
		{`[null]`, `bucket "null" is not a finite number`},
		{`[true]`, `bucket "true" is not a finite number`},
		{`[[1]]`, `bucket "[1]" is not a finite number`},
		{`[2,1]`, `bucket "1" does not come after the one before it`},
		{`[1,2,"2.0"]`, `bucket "2.0" does not come after the one before it`},
		{`[10,"9"]`, `bucket "9" does not come after the one before it`},
	}
	for _, tt := range tests {
		refusesMetadata(t, `{"version":1,"metrics":[{"name":"h","type":"histogram","buckets":`+tt.buckets+`}]}`,
			`metric 1, "h": `+tt.want)
	}
}

func refusesMetadata(t *testing.T, data, want string) {
	t.Helper()
	got, err := directfilestore.ParseMetadata([]byte(data))
	if err == nil {
		t.Errorf("%s is parsed as %+v, want error %q", data, got, want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error is %q, want %q", data, err, want)
	}
}

// FuzzParseMetadata checks that what is parsed keeps all promises, and says the
// same when it is written again.
func FuzzParseMetadata(f *testing.F) {
	for _, metrics := range []string{
		``, `{"name":"c","type":"counter","help":"h"}`, `{"name":"g","type":"gauge","aggregation":"most_recent"}`,
		`{"name":"h","type":"histogram","aggregation":"all","buckets":["0.1",1,1e3]}`, `{"name":"s","type":"summary","x":[{}]}`,
		`{"name":"u","type":"untyped","aggregation":null}`, `{"name":"a","type":"gauge"},{"name":"a","type":"gauge"}`,
		`{"name":"h","type":"histogram","buckets":[2,1]}`, `{"name":"h","type":"histogram","buckets":["NaN","0x1p-2"]}`, `null`,
	} {
		f.Add([]byte(`{"version":1,"metrics":[` + metrics + `]}`))
	}
	name := regexp.MustCompile(`\A[a-zA-Z_:][a-zA-Z0-9_:]*\z`)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := directfilestore.ParseMetadata(data)
		if err != nil {
			if m != nil {
				t.Errorf("there is an error and %+v", m)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatal("it is not JSON")
		}
		for n, metric := range m {
			if !name.MatchString(n) {
				t.Errorf("name %q", n)
			}
			checkMetric(t, metric)
		}
		again, err := directfilestore.ParseMetadata(written(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("-first +again:\n%s", diff)
		}
	})
}

func checkMetric(t *testing.T, m metric) {
	t.Helper()
	if m.Type > discover.Summary || m.Aggregation > directfilestore.MostRecent {
		t.Errorf("type %d, aggregation %d", m.Type, m.Aggregation)
	}
	if m.Aggregation == directfilestore.MostRecent && m.Type != discover.Gauge {
		t.Errorf("the most recent %s", m.Type)
	}
	if m.Buckets != nil && m.Type != discover.Histogram {
		t.Errorf("buckets of a %s", m.Type)
	}
	last := math.Inf(-1)
	for _, text := range m.Buckets {
		bound, err := strconv.ParseFloat(text, 64)
		if err != nil || !(bound > last) || math.IsInf(bound, 1) {
			t.Errorf("buckets are %q", m.Buckets)
		}
		last = bound
	}
}

// written is the document that says m.
func written(t *testing.T, m metadata) []byte {
	t.Helper()
	metrics := []map[string]any{}
	for name, metric := range m {
		fields := map[string]any{
			"name": name, "type": metric.Type.String(), "help": metric.Help, "aggregation": metric.Aggregation.String(),
		}
		if metric.Buckets != nil {
			fields["buckets"] = metric.Buckets
		}
		metrics = append(metrics, fields)
	}
	data, err := json.Marshal(map[string]any{"version": 1, "metrics": metrics})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
