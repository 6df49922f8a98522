package exposition_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// FuzzText checks pages against a model: whatever entries files of whatever
// types hold, the page can be parsed, and says what the entries say, no less
// and no more.
func FuzzText(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(bytesOf(seed))
	}
	f.Fuzz(rapid.MakeFuzz(checkPage))
}

// bytesOf returns bytes that look random and are always the same.
func bytesOf(seed uint64) (b []byte) {
	for range 2000 {
		seed += 0x9e3779b97f4a7c15
		x := (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		b = binary.LittleEndian.AppendUint64(b, x^x>>27)
	}
	return b
}

func TestText(t *testing.T) { rapid.Check(t, checkPage) }

func checkPage(t *rapid.T) {
	files := drawFiles(t)
	checkText(t, files, page(t, files))
}

// Directories that are hard to turn into a page. Crashers of FuzzText belong
// here.
func TestTextOfHardFiles(t *testing.T) {
	tests := []struct {
		name  string
		files map[string][]entry
	}{
		{"a counter called like a histogram's sum", map[string][]entry{
			"counter_1-0.db":   {{`["h_sum","h_sum",[],[]]`, 1}},
			"histogram_1-0.db": {{`["h","h_sum",[],[]]`, 2}, {`["h","h_bucket",["le"],["1"]]`, 3}},
		}},
		{"families that cannot be histograms, one because of the other", map[string][]entry{
			"histogram_1-0.db": {{`["h","h_bucket",["le"],["1"]]`, 1}, {`["h_bucket_sum","h_bucket_sum_count",[],[]]`, 1}},
			"summary_1-0.db":   {{`["h_bucket","h_bucket_sum",[],[]]`, 2}},
			"counter_1-0.db":   {{`["h_bucket_sum_count","h_bucket_sum_count",[],[]]`, 3}},
		}},
		{"bounds too large, too odd, missing", map[string][]entry{
			"histogram_1-0.db": {
				{`["a","a_bucket",["le"],["1e999"]]`, 1}, {`["b","b_bucket",["le"],["0x1p1"]]`, 1}, {`["c","c_bucket",["le"],["NaN"]]`, 1},
				{`["d","d_bucket",[],[]]`, 1}, {`["e","e_bucket",["le"],[null]]`, 1}, {`["f","f_bucket",["le"],["1_0"]]`, 1},
			},
			"summary_1-0.db": {{`["s","s",["quantile"],["x"]]`, 1}, {`["r","r",[],[]]`, 1}},
		}},
		{"everything in one family", map[string][]entry{
			"counter_1-0.db": {{`["m","m",[],[]]`, 1}, {`["m","m_sum",[],[]]`, 2}}, "gauge_all_1-0.db": {{`["m","m_sum",[],[]]`, 3}},
			"summary_1-0.db": {{`["m","m_sum",[],[]]`, 4}, {`["m","m",["quantile"],["0.5"]]`, 5}}, "histogram_1-0.db": {{`["m","m_bucket",["le"],["1"]]`, 6}},
		}},
		{"labels of every kind", map[string][]entry{
			"gauge_all_a\"b\n-0.db": {{`["g","g",["__name__","a.b","le","pid","quantile","\u0000"],["\u0000\t\r","\ud800","\u007f",[1,"]"],{"a":"\\"},"\u2028"]]`, 1}},
		}},
		{"our names", map[string][]entry{
			"counter_1-0.db": {{`["gme_up","gme_up",[],[]]`, 1}, {`["exported_gme_up","exported_gme_up",[],[]]`, 2}, {`["gme.up","gme.up",["a"],["b"]]`, 3}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkText(t, tt.files, page(t, tt.files)) })
	}
}

// drawFiles draws a directory in which families, names and labels get in each
// other's way as often as not.
func drawFiles(t *rapid.T) map[string][]entry {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"m", "m", "m", "m_sum", "m_count", "m_bucket", "n", "m_x", "m.x", "gme_m", "exported_gme_m", "0", "m_sum_count",
			"m_total", "m_created", "m_created_total", "m_sum_total", "m.x_total", "m_dot_x", "m-x", "U__m_2e_x"}),
		rapid.StringN(1, 5, -1),
	)
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "1", "1.0", "2.5", "10", "+Inf", "-Inf", "NaN", "1e999", "0x1p1", "5/2", "\"\\\n\t\x00", "a\",b=\""}),
		rapid.StringN(-1, 5, -1),
	)
	value := rapid.OneOf(
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, 2, 3, 0.1, 1e6, 1e16, 1 << 63, 1 << 64, math.Inf(1), math.Inf(-1), math.NaN()}),
		rapid.Map(rapid.IntRange(0, 1e7), func(n int) float64 { return float64(n) }),
		rapid.Float64(),
	)
	anything := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }),
		rapid.SampledFrom([]any{nil, true, 1, -0.5, []any{"x", 1}, map[string]any{"a": "]"}}),
	)
	files := map[string][]entry{}
	for range rapid.IntRange(0, 20).Draw(t, "entries") {
		file := rapid.SampledFrom([]string{
			"counter_1-0.db", "counter_2-0.db", "histogram_1-0.db", "histogram_2-0.db", "summary_1-0.db", "foo_1-0.db",
			"gauge_min_1-0.db", "gauge_max_1-0.db", "gauge_livesum_1-0.db", "gauge_all_1-0.db", "gauge_all_2-0.db", "gauge_liveall_a\"\n-0.db",
		}).Draw(t, "file")
		if rapid.IntRange(0, 19).Draw(t, "raw") == 0 {
			raw := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")
			files[file] = append(files[file], entry{string(raw), 1})
			continue
		}
		family := rapid.OneOf(name, rapid.Just("")).Draw(t, "family")
		sample := rapid.OneOf(name, rapid.Just(family+"_x"),
			rapid.Map(rapid.SampledFrom([]string{"_bucket", "_bucket", "_sum", "_count", "_total"}), func(s string) string { return family + s }),
		).Draw(t, "sample")
		v := value.Draw(t, "value")
		if strings.HasPrefix(file, "histogram") || strings.HasPrefix(file, "summary") {
			v += 0 // expfmt takes counts for whole numbers, which have no minus zero
		}
		bounds := []string{"le", "quantile"}
		var labels []string
		var values []any
		for _, label := range append(bounds, "a", "b.c", "b_c", "b_dot_c", "pid", "exported_pid", "__name__", "1", "é") {
			if odds := rapid.IntRange(0, 9).Draw(t, label); odds > 7 || odds > 4 && len(label) == len("le") {
				labels, values = append(labels, label), append(values, anything.Draw(t, "label value"))
			}
		}
		key, err := clientmmap.AppendKey(nil, family, sample, labels, values)
		if err != nil {
			t.Fatal(err)
		}
		files[file] = append(files[file], entry{string(key), v})
	}
	return files
}

// checkText checks a page of text against the files it was made from.
func checkText(t tb, files map[string][]entry, page string) {
	t.Helper()
	fail := func(text string, args ...any) {
		t.Fatalf("%s\nfiles: %v\npage:\n%s", fmt.Sprintf(text, args...), files, page)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		fail("expfmt: %v", err)
	}
	if _, err := promlint.New(strings.NewReader(page)).Lint(); err != nil {
		fail("promlint: %v", err)
	}

	// The lines: families once, in order and not empty; series once.
	var names []string
	var types []dto.MetricType
	series := map[string]bool{}
	lines := strings.SplitAfter(page, "\n")
	if lines[len(lines)-1] != "" {
		fail("no newline at the end")
	}
	for i, line := range lines[:len(lines)-1] {
		if name, isHelp := strings.CutPrefix(line, "# HELP "); isHelp {
			name, _, _ = strings.Cut(name, " ")
			var typ string
			if n, _ := fmt.Sscanf(lines[i+1], "# TYPE "+name+" %s\n", &typ); n != 1 || strings.HasPrefix(lines[i+2], "#") || lines[i+2] == "" {
				fail("family %s has no type or no sample", name)
			}
			names, types = append(names, name), append(types, dto.MetricType(dto.MetricType_value[strings.ToUpper(typ)]))
		} else if !strings.HasPrefix(line, "#") {
			text := line[:strings.LastIndexByte(line, ' ')]
			if series[text] {
				fail("%s is there twice", text)
			}
			series[text] = true
		}
	}
	if !slices.Equal(names, slices.Compact(slices.Sorted(slices.Values(names)))) {
		fail("families are not in order, or not unique: %q", names)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(families)), names); diff != "" {
		fail("families: -expfmt +page:\n%s", diff)
	}
	for i, name := range names {
		if families[name].GetType() != types[i] || strings.HasPrefix(name, "gme_") {
			fail("family %s: expfmt has type %s", name, families[name].GetType())
		}
	}

	// What they say.
	if diff := cmp.Diff(expected(t, files, families), actual(families)); diff != "" {
		fail("-files +page:\n%s", diff)
	}
}

// samples holds the values, as text, of series by what identifies them. There
// may be several to one: bounds are compared as numbers, which is all that the
// parser leaves of them.
type samples map[string][]string

func (s samples) add(name string, labels map[string]string, value float64) {
	var pairs []string
	for l, v := range labels {
		if bound, err := strconv.ParseFloat(v, 64); err == nil && (l == "le" || l == "quantile") {
			v = fmt.Sprint(bound + 0) // minus zero is zero
		}
		pairs = append(pairs, fmt.Sprintf("%s=%q", l, v))
	}
	slices.Sort(pairs)
	id := name + fmt.Sprint(pairs)
	s[id] = append(s[id], strconv.FormatFloat(value, 'x', -1, 64))
	slices.Sort(s[id])
}

// actual returns the samples that a parsed page has.
func actual(families map[string]*dto.MetricFamily) samples {
	s := samples{}
	for name, family := range families {
		for _, m := range family.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			with := func(name string, value float64) map[string]string {
				all := maps.Clone(labels)
				all[name] = fmt.Sprint(value)
				return all
			}
			switch {
			case m.Counter != nil:
				s.add(name, labels, m.Counter.GetValue())
			case m.Gauge != nil:
				s.add(name, labels, m.Gauge.GetValue())
			case m.Untyped != nil:
				s.add(name, labels, m.Untyped.GetValue())
			}
			if h := m.Histogram; h != nil {
				for _, b := range h.Bucket {
					s.add(name+"_bucket", with("le", b.GetUpperBound()), max(b.GetCumulativeCountFloat(), float64(b.GetCumulativeCount())))
				}
				if h.SampleSum != nil {
					s.add(name+"_sum", labels, h.GetSampleSum())
				}
				if count := max(h.GetSampleCountFloat(), float64(h.GetSampleCount())); count != 0 {
					s.add(name+"_count", labels, count)
				}
			}
			if q := m.Summary; q != nil {
				for _, b := range q.Quantile {
					s.add(name, with("quantile", b.GetQuantile()), b.GetValue())
				}
				if q.SampleSum != nil {
					s.add(name+"_sum", labels, q.GetSampleSum())
				}
				if q.SampleCount != nil {
					s.add(name+"_count", labels, float64(q.GetSampleCount()))
				}
			}
		}
	}
	return s
}

// expected returns the samples that a page of files must have, by the rules as
// they are written down, taken one entry at a time. Of the page it only uses
// what expfmt thinks are summaries, whose counts it cuts to whole numbers, and
// histograms, to which it may add a count of 0.
func expected(t tb, files map[string][]entry, families map[string]*dto.MetricFamily) samples {
	type series struct {
		name   string
		labels map[string]string
		rule   discover.Rule
		value  float64
	}
	merged := map[string]*series{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := discover.Parse(name, discover.NoFormat)
		if err != nil {
			continue
		}
		for _, e := range files[name] {
			var key format.Key
			if clientmmap.ParseKey([]byte(e.key), &key) != nil {
				continue
			}
			labels := map[string]string{}
			for _, l := range key.Labels {
				name := label(string(l.Name))
				if name == "__name__" {
					name = "exported___name__"
				}
				labels[name] = string(l.Value)
			}
			if len(labels) < len(key.Labels) {
				continue // two of one name
			}
			if file.PerProcess {
				// Ours moves theirs aside, which moves theirs aside.
				for name, value := "pid", file.PID; ; name = "exported_" + name {
					before, taken := labels[name]
					if labels[name] = value; !taken {
						break
					}
					value = before
				}
			}
			s := &series{name: metric(string(key.Sample)), labels: labels, rule: file.Rule, value: e.value}
			id := fmt.Sprintf("%s%q", s.name, labels)
			old := merged[id]
			if old == nil {
				merged[id] = s
				continue
			}
			switch a, b := old.value, e.value; {
			case old.rule == discover.Last:
				old.value = b
			case old.rule == discover.Sum:
				old.value = a + b
			case math.IsNaN(a), old.rule == discover.Min && b < a, old.rule == discover.Max && b > a:
				old.value = b
			}
		}
	}
	all := samples{}
	for _, s := range merged {
		if stem, isCount := strings.CutSuffix(s.name, "_count"); isCount {
			switch family := families[stem]; {
			case family.GetType() == dto.MetricType_SUMMARY:
				s.value = float64(uint64(s.value))
			case family.GetType() == dto.MetricType_HISTOGRAM && s.value == 0:
				continue
			}
		}
		all.add(s.name, s.labels, s.value)
	}
	return all
}

var (
	notInMetric = regexp.MustCompile(`[^a-zA-Z0-9_:]|^[0-9]`)
	notInLabel  = regexp.MustCompile(`[^a-zA-Z0-9_]|^[0-9]`)
	ours        = regexp.MustCompile(`^gme_`)
)

func classic(name string) string { return notInMetric.ReplaceAllString(name, "_") }
func metric(name string) string  { return ours.ReplaceAllString(classic(name), "exported_gme_") }
func label(name string) string   { return notInLabel.ReplaceAllString(name, "_") }
