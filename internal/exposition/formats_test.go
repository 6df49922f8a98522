package exposition_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protodelim"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/series"
)

// FuzzFormats checks that a directory has the same series in all formats, and
// that each page is what the readers of its format take.
func FuzzFormats(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(bytesOf(seed))
	}
	f.Fuzz(rapid.MakeFuzz(checkFormats))
}

func TestFormats(t *testing.T) { rapid.Check(t, checkFormats) }

func checkFormats(t *rapid.T) {
	files := drawFiles(t)
	compareFormats(t, files)
}

// compareFormats checks all formats of a directory.
func compareFormats(t tb, files map[string][]entry) {
	t.Helper()
	comparePages(t, snapshot(t, files), files)
}

// comparePages checks all formats of a page, and of the part of it that has the samples of
// these names: each is valid, and has the series that it must have. from is what the page
// was made of.
func comparePages(t tb, s *collect.Snapshot, from any, names ...string) {
	t.Helper()
	for _, accept := range accepts {
		format := exposition.Negotiate(accept, true)
		selected, _ := s.Layout.Select(names)
		for _, families := range [][]series.Family{s.Layout.Families, selected} {
			page := familiesIn(t, s, format, families)
			got, err := read(page, format)
			if err == nil {
				err = differs(asNamed(wanted(s, families, format), accept), asNamed(got, accept))
			}
			if err != nil {
				t.Fatalf("%s: %v\nmade of: %v\nselected: %q\npage:\n%s\ntext:\n%s", accept, err, from, names, page, pageIn(t, s, exposition.Text))
			}
		}
		var one []string
		for i := range s.Layout.Families {
			one = append(one, chunks(familiesIn(t, s, format, s.Layout.Families[i:i+1]), format)...)
		}
		all := chunks(pageIn(t, s, format), format)
		slices.Sort(one)
		slices.Sort(all)
		if !slices.Equal(all, one) {
			t.Fatalf("%s: made of: %v\n-page +its families one by one:\n%s", accept, from, cmp.Diff(all, one))
		}
	}
	families, err := decode(pageIn(t, s, exposition.Protobuf))
	if err != nil {
		t.Fatal(err)
	}
	if diff := openMetricsDiffers(families, string(pageIn(t, s, exposition.OpenMetrics))); diff != "" {
		t.Fatalf("made of: %v\nOpenMetrics is not what expfmt makes of it: -expfmt +page:\n%s", from, diff)
	}
}

// accepts are Accept headers for all formats.
var accepts = func() (all []string) {
	for _, format := range []string{
		"application/openmetrics-text;version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
		"text/plain;version=0.0.4",
	} {
		for _, scheme := range []string{"underscores", "allow-utf-8", "dots", "values"} {
			all = append(all, format+";escaping="+scheme)
		}
	}
	return all
}()

// pageIn returns the page of a snapshot in a format.
func pageIn(t tb, s *collect.Snapshot, format exposition.Format) []byte {
	t.Helper()
	return familiesIn(t, s, format, s.Layout.Families)
}

// familiesIn returns the page of some families.
func familiesIn(t tb, s *collect.Snapshot, format exposition.Format, families []series.Family) []byte {
	t.Helper()
	var b bytes.Buffer
	w := exposition.NewWriter(nil)
	w.Begin(&b, format)
	if err := w.Page(s, families, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// parseSeries takes apart what stands before a value.
func parseSeries(text string) (name string, labels map[string]string) {
	labels = map[string]string{}
	name, rest, _ := strings.Cut(text, "{")
	rest = strings.TrimSuffix(rest, "}")
	if strings.HasPrefix(text, `{"`) {
		name, rest = unquote(rest)
		rest = strings.TrimPrefix(rest, ",")
	}
	for rest != "" {
		var label, value string
		if rest[0] == '"' {
			label, rest = unquote(rest)
			rest = rest[1:]
		} else {
			label, rest, _ = strings.Cut(rest, "=")
		}
		value, rest = unquote(rest)
		rest = strings.TrimPrefix(rest, ",")
		labels[label] = value
	}
	return name, labels
}

// unquote takes the quoted text off the start of s.
func unquote(s string) (text, rest string) {
	end := series.QuoteIn([]byte(s[1:])) + 1
	return string(series.Unescape([]byte(s[1:end]))), s[end+1:]
}

// A found sample is one on a page, or one that must be there.
type found struct {
	name   string
	labels map[string]string
	value  float64
}

// read returns what is on a page, which must be valid; but for times of creation.
func read(page []byte, format exposition.Format) (all []found, err error) {
	switch kind := format.ContentType(); {
	case strings.HasPrefix(kind, "application/vnd"):
		families, err := decode(page)
		if err != nil {
			return nil, err
		}
		if err := reencodes(families, page); err != nil {
			return nil, err
		}
		return foundIn(families), nil
	case strings.HasPrefix(kind, "text"):
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if _, err := parser.TextToMetricFamilies(bytes.NewReader(page)); err != nil {
			return nil, err
		}
	default:
		if err := checkOpenMetrics(string(page)); err != nil {
			return nil, err
		}
	}
	created := "" // what a time of creation would be called
	for line := range strings.Lines(string(page)) {
		at := strings.LastIndexByte(line, ' ')
		if family, ok := strings.CutPrefix(line[:at], "# TYPE "); ok {
			if created = ""; len(suffixes[strings.TrimSpace(line[at:])]) > 1 && strings.HasPrefix(format.ContentType(), "app") {
				if family[0] == '"' {
					family, _ = unquote(family)
				}
				created = family + "_created"
			}
		}
		if line[0] == '#' {
			continue
		}
		name, labels := parseSeries(line[:at])
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			return nil, err
		}
		if name != created {
			all = append(all, found{name, labels, value})
		}
	}
	return all, nil
}

// foundIn returns what Prometheus makes of families of protobuf.
func foundIn(families []*dto.MetricFamily) (all []found) {
	for _, f := range families {
		for _, m := range f.Metric {
			add := func(suffix, bound string, is, value float64) {
				labels := map[string]string{}
				for _, l := range m.Label {
					labels[l.GetName()] = l.GetValue()
				}
				if bound != "" {
					labels[bound] = bare(is)
				}
				all = append(all, found{f.GetName() + suffix, labels, value})
			}
			switch {
			case m.Counter != nil:
				add("", "", 0, m.Counter.GetValue())
			case m.Gauge != nil:
				add("", "", 0, m.Gauge.GetValue())
			case m.Untyped != nil:
				add("", "", 0, m.Untyped.GetValue())
			case m.Histogram != nil:
				for _, b := range m.Histogram.Bucket {
					add("_bucket", "le", b.GetUpperBound(), float64(b.GetCumulativeCount()))
				}
				add("_sum", "", 0, m.Histogram.GetSampleSum())
				add("_count", "", 0, float64(m.Histogram.GetSampleCount()))
			case m.Summary != nil:
				for _, q := range m.Summary.Quantile {
					add("", "quantile", q.GetQuantile(), q.GetValue())
				}
				add("_sum", "", 0, m.Summary.GetSampleSum())
				add("_count", "", 0, float64(m.Summary.GetSampleCount()))
			}
		}
	}
	return all
}

// bare is a bound as OpenMetrics wants it.
func bare(bound float64) string {
	text := strconv.FormatFloat(bound+0, 'g', -1, 64)
	if !strings.ContainsAny(text, ".eIN") {
		text += ".0"
	}
	return text
}

// wanted returns what must be on a page of families, by their names with underscores.
// Spellings of a bound are one in OpenMetrics and protobuf; what was added up already is in
// the last of them.
func wanted(s *collect.Snapshot, families []series.Family, format exposition.Format) (all []found) {
	for _, f := range families {
		bound := map[discover.Type]string{discover.Histogram: "le", discover.Summary: "quantile"}[f.Type]
		type values struct {
			at         int
			own, other float64
		}
		of := map[string]*values{}
		for _, id := range f.Series {
			name, labels := parseSeries(string(s.Layout.AppendText(nil, id)))
			value := s.Value(id)
			if is, ok := labels[bound]; ok && format.ContentType()[0] == 'a' {
				number, _ := strconv.ParseFloat(is, 64)
				labels[bound] = bare(number)
				same := fmt.Sprint(name, labels)
				v := of[same]
				before := v != nil
				if !before {
					v = &values{at: len(all)}
					of[same] = v
				}
				if s.Layout.OwnCounts(id) {
					v.own = value
				} else {
					v.other += value
				}
				if before {
					all[v.at].value = v.own + v.other
					continue
				}
			}
			all = append(all, found{name, labels, value})
		}
	}
	return all
}

// asNamed gives what was found names that it has with each escaping scheme: those with
// underscores, or none where that cannot be told.
func asNamed(all []found, accept string) (named []found) {
	_, scheme, _ := strings.Cut(accept, "escaping=")
	for _, f := range all {
		as := found{classic(f.name), map[string]string{}, f.value}
		for name, value := range f.labels {
			as.labels[label(name)] = value
		}
		if strings.HasSuffix(f.name, "_bucket") || strings.HasSuffix(f.name, "_count") {
			as.value += 0 // which has no sign in a histogram
		}
		if scheme == "dots" || scheme == "values" {
			as.name, as.labels = "", map[string]string{"": fmt.Sprintf("%q", slices.Sorted(maps.Values(f.labels)))}
		}
		named = append(named, as)
	}
	return named
}

// differs says how what was found differs from what must be there.
func differs(want, got []found) error {
	texts := func(all []found) (texts []string) {
		for _, f := range all {
			texts = append(texts, fmt.Sprintf("%s%q %x", f.name, f.labels, f.value))
		}
		slices.Sort(texts)
		return texts
	}
	if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
		return fmt.Errorf("-want +got\n%s", diff)
	}
	return nil
}

// chunks returns the families of a page.
func chunks(page []byte, format exposition.Format) (all []string) {
	if !strings.HasPrefix(format.ContentType(), "application/vnd") {
		return strings.Split(strings.TrimSuffix(string(page), "# EOF\n"), "# HELP ")[1:]
	}
	for r := bytes.NewReader(page); r.Len() > 0; {
		from := len(page) - r.Len()
		if _, err := decodeOne(r); err != nil {
			return nil
		}
		all = append(all, string(page[from:len(page)-r.Len()]))
	}
	return all
}

// decode reads a page of protobuf.
func decode(page []byte) (families []*dto.MetricFamily, err error) {
	for r := bytes.NewReader(page); ; {
		family, err := decodeOne(r)
		if errors.Is(err, io.EOF) {
			return families, nil
		}
		if err != nil {
			return nil, err
		}
		if err := expfmt.NewEncoder(io.Discard, expfmt.FmtText).Encode(family); err != nil {
			return nil, err
		}
		families = append(families, family)
	}
}

// decodeOne reads the next family.
func decodeOne(r *bytes.Reader) (*dto.MetricFamily, error) {
	family := &dto.MetricFamily{}
	err := protodelim.UnmarshalFrom(r, family)
	return family, err
}

// reencodes checks that expfmt would have written families just so.
func reencodes(families []*dto.MetricFamily, page []byte) error {
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, expfmt.FmtProtoDelim.WithEscapingScheme(model.NoEscaping))
	names := map[string]bool{}
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
		if names[family.GetName()] {
			return fmt.Errorf("family %s is there twice", family.GetName())
		}
		names[family.GetName()] = true
	}
	if !bytes.Equal(b.Bytes(), page) {
		return fmt.Errorf("expfmt writes\n%x, not\n%x", b.Bytes(), page)
	}
	return nil
}

// openMetricsDiffers compares a page of OpenMetrics, family by family, with
// what expfmt makes of the same families.
func openMetricsDiffers(families []*dto.MetricFamily, page string) string {
	chunks := map[string]string{}
	for i, chunk := range strings.Split(strings.TrimSuffix(page, "# EOF\n"), "# HELP ") {
		if i > 0 {
			name, _, _ := strings.Cut(chunk, " ")
			// expfmt drops the sign of zero, which we keep.
			chunks[name] = strings.ReplaceAll("# HELP "+chunk, " -0.0\n", " 0.0\n")
		}
	}
	for _, family := range families {
		name := family.GetName()
		if chunk, ok := chunks[name]; ok && family.GetType() == dto.MetricType_COUNTER && strings.Contains(chunk, " unknown\n") {
			family = asUntyped(family)
		} else if family.GetType() == dto.MetricType_COUNTER {
			name = strings.TrimSuffix(name, "_total")
		}
		chunk, ok := chunks[name]
		if !ok || family.Metric[0].Summary != nil && strings.Contains(chunk, " unknown\n") { // it cannot be what it is there
			if family.Metric[0].Histogram == nil && family.Metric[0].Summary == nil {
				return "there is no family " + name
			}
			continue
		}
		var b bytes.Buffer
		if _, err := expfmt.MetricFamilyToOpenMetrics(&b, family, expfmt.WithCreatedLines()); err != nil {
			return err.Error()
		}
		if diff := cmp.Diff(b.String(), chunk); diff != "" {
			return diff
		}
	}
	return ""
}

func asUntyped(counter *dto.MetricFamily) *dto.MetricFamily {
	family := &dto.MetricFamily{Name: counter.Name, Help: counter.Help, Type: dto.MetricType_UNTYPED.Enum()}
	for _, m := range counter.Metric {
		family.Metric = append(family.Metric, &dto.Metric{Label: m.Label, Untyped: &dto.Untyped{Value: m.Counter.Value}})
	}
	return family
}

// suffixes are those that OpenMetrics gives a meaning, by type.
var suffixes = map[string][]string{
	"counter":   {"_total", "_created"},
	"gauge":     {""},
	"unknown":   {""},
	"histogram": {"_bucket", "_sum", "_count", "_created"},
	"summary":   {"", "_sum", "_count", "_created"},
}

// checkOpenMetrics checks what the specification demands and Prometheus does
// not look at.
func checkOpenMetrics(page string) error {
	if !strings.HasSuffix(page, "# EOF\n") || strings.Count(page, "# EOF\n") != 1 {
		return errors.New("it does not end with EOF")
	}
	owner := map[string]string{}
	seen := map[string]bool{}
	family, typ := "", ""
	for line := range strings.Lines(strings.TrimSuffix(page, "# EOF\n")) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			at := strings.LastIndexByte(rest, ' ')
			family, typ = rest[:at], rest[at+1:]
			if family[0] == '"' {
				family, _ = unquote(family)
			}
			claimed := append([]string{""}, suffixes[typ]...)
			slices.Sort(claimed)
			for _, suffix := range slices.Compact(claimed) {
				if other, taken := owner[family+suffix]; taken {
					return fmt.Errorf("%s%s is of %s and of %s", family, suffix, other, family)
				}
				owner[family+suffix] = family
			}
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if seen[line[:at]] {
			return fmt.Errorf("%s is there twice", line[:at])
		}
		seen[line[:at]] = true
		name, labels := parseSeries(line[:at])
		suffix, ok := strings.CutPrefix(name, family)
		if !ok || !slices.Contains(suffixes[typ], suffix) {
			return fmt.Errorf("%s stands in %s %s", name, typ, family)
		}
		value, _ := strconv.ParseFloat(line[at+1:], 64)
		if typ == "counter" && !(value >= 0) {
			return fmt.Errorf("counter %s is %v", name, value)
		}
		bound := map[string]string{"_bucket": "le", "": "quantile"}[suffix]
		if typ == "histogram" && suffix == "_bucket" || typ == "summary" && suffix == "" {
			if err := canonical(labels[bound]); err != nil {
				return err
			}
		}
	}
	return nil
}

// canonical checks that a number is written as OpenMetrics wants it.
func canonical(text string) error {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !strings.ContainsAny(text, ".e") && !math.IsInf(value, 0) {
		return fmt.Errorf("%q is no number as it should be", text)
	}
	return nil
}

// Each name is there as each escaping scheme wants it, unless that would make
// two names one.
func TestNames(t *testing.T) {
	const all = "underscores allow-utf-8 dots values"
	tests := []struct {
		name    string
		files   map[string][]entry
		schemes string
		want    string
	}{
		{"classic", map[string][]entry{"counter_1-0.db": {{`["a_b","a_b",["c_d"],["x"]]`, 1}}}, all,
			"# HELP a_b H\n# TYPE a_b counter\na_b{c_d=\"x\"} 1\n"},
		{"raw, as known", map[string][]entry{"counter_1-0.db": {{`["a.b","a.b",["c.d"],["x"]]`, 1}}}, "underscores",
			"# HELP a_b H\n# TYPE a_b counter\na_b{c_d=\"x\"} 1\n"},
		{"raw", map[string][]entry{"counter_1-0.db": {{`["a.b","a.b",["c.d"],["x"]]`, 1}}}, "allow-utf-8",
			"# HELP \"a.b\" H\n# TYPE \"a.b\" counter\n{\"a.b\",\"c.d\"=\"x\"} 1\n"},
		{"raw, with dots", map[string][]entry{"counter_1-0.db": {{`["a.b","a.b",["c.d"],["x"]]`, 1}}}, "dots",
			"# HELP a_dot_b H\n# TYPE a_dot_b counter\na_dot_b{c_dot_d=\"x\"} 1\n"},
		{"raw, as values", map[string][]entry{"counter_1-0.db": {{`["a.b","a.b",["c.d"],["x"]]`, 1}}}, "values",
			"# HELP U__a_2e_b H\n# TYPE U__a_2e_b counter\nU__a_2e_b{U__c_2e_d=\"x\"} 1\n"},
		{"a histogram", map[string][]entry{"histogram_1-0.db": {
			{`["a.b","a.b_bucket",["le"],["+Inf"]]`, 1}, {`["a.b","a.b_sum",[],[]]`, 2}, {`["a.b","a.b_count",[],[]]`, 1}}}, "allow-utf-8",
			"# HELP \"a.b\" H\n# TYPE \"a.b\" histogram\n{\"a.b_bucket\",le=\"+Inf\"} 1\n{\"a.b_sum\"} 2\n{\"a.b_count\"} 1\n"},
		{"a damaged histogram", map[string][]entry{"histogram_1-0.db": {
			{`["a.b","a.b_sum",[],[]]`, 2}, {`["a.b","a.b_count",[],[]]`, -1}}}, "allow-utf-8",
			"# HELP \"a.b_count\" H\n# TYPE \"a.b_count\" untyped\n{\"a.b_count\"} -1\n# HELP \"a.b_sum\" H\n# TYPE \"a.b_sum\" untyped\n{\"a.b_sum\"} 2\n"},
		{"two names that are spelled alike", map[string][]entry{"counter_1-0.db": {
			{`["a.b","a.b",[],[]]`, 1}, {`["a-b","a-b",[],[]]`, 2}}}, all, "# HELP a_b H\n# TYPE a_b counter\na_b 3\n"},
		{"a raw name and a classic one", map[string][]entry{"counter_1-0.db": {
			{`["a_b","a_b",[],[]]`, 1}, {`["a.b","a.b",[],[]]`, 2}}}, all, "# HELP a_b H\n# TYPE a_b counter\na_b 3\n"},
		{"labels that are spelled alike", map[string][]entry{"counter_1-0.db": {
			{`["m","m",["a.b"],["x"]]`, 1}, {`["m","m",["a_b"],["y"]]`, 2}}}, all, "# HELP m H\n# TYPE m counter\nm{a_b=\"x\"} 1\nm{a_b=\"y\"} 2\n"},
		{"an escaped name that is taken", map[string][]entry{"counter_1-0.db": {
			{`["a.b","a.b",["a.b","a_dot_b"],["x","y"]]`, 1}, {`["a_dot_b","a_dot_b",[],[]]`, 2}}}, "dots",
			"# HELP a_b H\n# TYPE a_b counter\na_b{a_b=\"x\",a_dot_b=\"y\"} 1\n# HELP a_dot_b H\n# TYPE a_dot_b counter\na_dot_b 2\n"},
		{"an escaped name that is a histogram's", map[string][]entry{
			"counter_1-0.db":   {{`["a.b","a.b",[],[]]`, 1}},
			"histogram_1-0.db": {{`["a_dot_b","a_dot_b_bucket",["le"],["1"]]`, 1}}}, "dots",
			"# HELP a_b H\n# TYPE a_b counter\na_b 1\n# HELP a_dot_b H\n# TYPE a_dot_b histogram\na_dot_b_bucket{le=\"1\"} 1\n"},
		{"our prefix", map[string][]entry{"counter_1-0.db": {{`["gme.a","gme.a",[],[]]`, 1}}}, all,
			"# HELP exported_gme_a H\n# TYPE exported_gme_a counter\nexported_gme_a 1\n"},
		{"a label with a colon", map[string][]entry{"counter_1-0.db": {{`["m","m",["a:b"],["x"]]`, 1}}}, "underscores dots values",
			"# HELP m H\n# TYPE m counter\nm{a_b=\"x\"} 1\n"},
		{"a label with a colon, raw", map[string][]entry{"counter_1-0.db": {{`["m","m",["a:b"],["x"]]`, 1}}}, "allow-utf-8",
			"# HELP m H\n# TYPE m counter\nm{\"a:b\"=\"x\"} 1\n"},
		{"a label that moved aside", map[string][]entry{"gauge_all_1-0.db": {{`["m","m",["exported.pid","pid"],["x","y"]]`, 1}}}, "underscores allow-utf-8",
			"# HELP m H\n# TYPE m gauge\nm{exported_exported_pid=\"x\",exported_pid=\"y\",pid=\"1\"} 1\n"},
		{"names of one stem", map[string][]entry{"counter_1-0.db": named("a.b", "a.b_total")}, "allow-utf-8",
			"# HELP \"a.b\" H\n# TYPE \"a.b\" counter\n{\"a.b\"} 1\n# HELP \"a.b_total\" H\n# TYPE \"a.b_total\" counter\n{\"a.b_total\"} 1\n"},
		{"a label that would be the name's", map[string][]entry{"counter_1-0.db": {{`["m","m",["-name-"],["x"]]`, 1}}}, "dots",
			"# HELP m H\n# TYPE m counter\nm{_name_=\"x\"} 1\n"},
		{"an escaped name that would be a bucket's", map[string][]entry{"counter_1-0.db": named("h.bucket"), "gauge_max_1-0.db": named("h_dot")}, "dots",
			"# HELP h_bucket H\n# TYPE h_bucket counter\nh_bucket 1\n# HELP h_dot H\n# TYPE h_dot gauge\nh_dot 1\n"},
		{"an escaped name that would be a sum's", map[string][]entry{"counter_1-0.db": named("h.sum"), "gauge_max_1-0.db": named("h_dot")}, "dots",
			"# HELP h_dot H\n# TYPE h_dot gauge\nh_dot 1\n# HELP h_sum H\n# TYPE h_sum counter\nh_sum 1\n"},
		{"an escaped name that would be a count's", map[string][]entry{"counter_1-0.db": named("h.count"), "gauge_max_1-0.db": named("h_dot")}, "dots",
			"# HELP h_count H\n# TYPE h_count counter\nh_count 1\n# HELP h_dot H\n# TYPE h_dot gauge\nh_dot 1\n"},
		{"an escaped name that would be a counter's", map[string][]entry{"counter_1-0.db": named("h.total"), "gauge_max_1-0.db": named("h_dot")}, "dots",
			"# HELP h_dot H\n# TYPE h_dot gauge\nh_dot 1\n# HELP h_total H\n# TYPE h_total counter\nh_total 1\n"},
		{"an escaped name that would be a time's", map[string][]entry{"counter_1-0.db": named("h.created"), "gauge_max_1-0.db": named("h_dot")}, "dots",
			"# HELP h_created H\n# TYPE h_created counter\nh_created 1\n# HELP h_dot H\n# TYPE h_dot gauge\nh_dot 1\n"},
		{"a zero byte", map[string][]entry{"counter_1-0.db": {{`["a\u0000","a\u0000",["b\u0000"],["x\u0000"]]`, 1}}}, "underscores allow-utf-8",
			"# HELP a_ H\n# TYPE a_ counter\na_{b_=\"x\x00\"} 1\n"},
		{"order", map[string][]entry{"counter_1-0.db": {{`["b","b",[],[]]`, 1}, {`["é","é",[],[]]`, 2}, {`["z","z",[],[]]`, 3}}}, "allow-utf-8",
			"# HELP b H\n# TYPE b counter\nb 1\n# HELP z H\n# TYPE z counter\nz 3\n# HELP \"é\" H\n# TYPE \"é\" counter\n{\"é\"} 2\n"},
	}
	for _, tt := range tests {
		s := snapshot(t, tt.files)
		for scheme := range strings.FieldsSeq(tt.schemes) {
			t.Run(tt.name+"/"+scheme, func(t *testing.T) {
				got := string(pageIn(t, s, exposition.Negotiate("text/plain;version=0.0.4;escaping="+scheme, true)))
				if diff := cmp.Diff(strings.ReplaceAll(tt.want, " H\n", " Multiprocess metric\n"), got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				compareFormats(t, tt.files)
			})
		}
	}
}

// TestOpenMetrics: what is written otherwise there than in text.
func TestOpenMetrics(t *testing.T) {
	tests := []struct {
		name  string
		files map[string][]entry
		want  string
	}{
		{"nothing", nil, ""},
		{"counters", map[string][]entry{"counter_1-0.db": {
			{`["a","a",[],[]]`, 1}, {`["b_total","b_total",["l"],["x\ny"]]`, 1e6}, {`["_total","_total",[],[]]`, 1}}},
			"# HELP _total H\n# TYPE _total unknown\n_total 1.0\n" +
				"# HELP a H\n# TYPE a unknown\na 1.0\n" +
				"# HELP b H\n# TYPE b counter\nb_total{l=\"x\\ny\"} 1e+06\n"},
		{"a counter beside the family of its name", map[string][]entry{
			"counter_1-0.db":     {{`["a_total","a_total",[],[]]`, 1}, {`["b_total","b_total",[],[]]`, 1}, {`["b_created_total","b_created_total",[],[]]`, 1}},
			"gauge_max_1-0.db":   {{`["a","a",[],[]]`, 2}},
			"histogram_1-0.db":   {},
			"gauge_other_1-0.db": {}},
			"# HELP a H\n# TYPE a gauge\na 2.0\n" +
				"# HELP a_total H\n# TYPE a_total unknown\na_total 1.0\n" +
				"# HELP b_created_total H\n# TYPE b_created_total unknown\nb_created_total 1.0\n" +
				"# HELP b H\n# TYPE b counter\nb_total 1.0\n"},
		{"counters that are none", map[string][]entry{"counter_1-0.db": {{`["a_total","a_total",[],[]]`, -1}, {`["b_total","b_total",[],[]]`, math.NaN()}}},
			"# HELP a_total H\n# TYPE a_total unknown\na_total -1.0\n# HELP b_total H\n# TYPE b_total unknown\nb_total NaN\n"},
		{"a histogram", map[string][]entry{"histogram_1-0.db": {
			{`["h","h_bucket",["a","le"],["x","1"]]`, 1e6}, {`["h","h_bucket",["a","le"],["x","1.0"]]`, 1}, {`["h","h_bucket",["a","le"],["x","0.5"]]`, 0},
			{`["h","h_bucket",["a","le"],["x","+Inf"]]`, 1e6 + 1}, {`["h","h_sum",["a"],["x"]]`, 3}, {`["h","h_count",["a"],["x"]]`, 1e6 + 1}}},
			"# HELP h H\n# TYPE h histogram\nh_bucket{a=\"x\",le=\"0.5\"} 0\nh_bucket{a=\"x\",le=\"1.0\"} 1000001\n" +
				"h_bucket{a=\"x\",le=\"+Inf\"} 1000001\nh_sum{a=\"x\"} 3.0\nh_count{a=\"x\"} 1000001\n"},
		{"a histogram that is not whole", map[string][]entry{"histogram_1-0.db": {
			{`["h","h_bucket",["le"],["1"]]`, 1}, {`["h","h_sum",[],[]]`, 3}, {`["h","h_count",[],[]]`, 1}}},
			"# HELP h_bucket H\n# TYPE h_bucket unknown\nh_bucket{le=\"1.0\"} 1.0\n" +
				"# HELP h_count H\n# TYPE h_count unknown\nh_count 1.0\n# HELP h_sum H\n# TYPE h_sum unknown\nh_sum 3.0\n"},
		{"a histogram whose counts are not whole", map[string][]entry{"histogram_1-0.db": {
			{`["h","h_bucket",["le"],["+Inf"]]`, 1.5}, {`["h","h_sum",[],[]]`, 3}, {`["h","h_count",[],[]]`, 1.5}}},
			"# HELP h_bucket H\n# TYPE h_bucket unknown\nh_bucket{le=\"+Inf\"} 1.5\n" +
				"# HELP h_count H\n# TYPE h_count unknown\nh_count 1.5\n# HELP h_sum H\n# TYPE h_sum unknown\nh_sum 3.0\n"},
		{"a histogram with a label quantile", map[string][]entry{"histogram_1-0.db": {
			{`["h","h_bucket",["le","quantile"],["+Inf","b,\""]]`, 1}, {`["h","h_sum",["quantile"],["b,\""]]`, 3}, {`["h","h_count",["quantile"],["b,\""]]`, 1},
			{`["h","h_bucket",["le","quantile"],["+Inf","a"]]`, 2}, {`["h","h_sum",["quantile"],["a"]]`, 4}, {`["h","h_count",["quantile"],["a"]]`, 2}}},
			"# HELP h H\n# TYPE h histogram\n" +
				"h_bucket{quantile=\"a\",le=\"+Inf\"} 2\nh_sum{quantile=\"a\"} 4.0\nh_count{quantile=\"a\"} 2\n" +
				"h_bucket{quantile=\"b,\\\"\",le=\"+Inf\"} 1\nh_sum{quantile=\"b,\\\"\"} 3.0\nh_count{quantile=\"b,\\\"\"} 1\n"},
		{"sums that can fall", map[string][]entry{
			"histogram_1-0.db": {
				{`["h","h_bucket",["le"],["-1"]]`, 1}, {`["h","h_bucket",["le"],["+Inf"]]`, 1}, {`["h","h_sum",[],[]]`, 3}, {`["h","h_count",[],[]]`, 1}},
			"summary_1-0.db": {{`["s","s_sum",[],[]]`, -1}, {`["s","s_count",[],[]]`, 2}, {`["t","t_sum",[],[]]`, math.NaN()}, {`["t","t_count",[],[]]`, 2}}},
			"# HELP h_bucket H\n# TYPE h_bucket unknown\nh_bucket{le=\"-1.0\"} 1.0\nh_bucket{le=\"+Inf\"} 1.0\n" +
				"# HELP h_count H\n# TYPE h_count unknown\nh_count 1.0\n# HELP h_sum H\n# TYPE h_sum unknown\nh_sum 3.0\n" +
				"# HELP s_count H\n# TYPE s_count unknown\ns_count 2.0\n# HELP s_sum H\n# TYPE s_sum unknown\ns_sum -1.0\n" +
				"# HELP t_count H\n# TYPE t_count unknown\nt_count 2.0\n# HELP t_sum H\n# TYPE t_sum unknown\nt_sum NaN\n"},
		{"a summary", map[string][]entry{"summary_1-0.db": {
			{`["s","s",["le","quantile"],["y","0.90"]]`, 1}, {`["s","s_sum",["le"],["y"]]`, 3}, {`["s","s_count",["le"],["y"]]`, 2}}},
			"# HELP s H\n# TYPE s summary\ns{le=\"y\",quantile=\"0.9\"} 1.0\ns_sum{le=\"y\"} 3.0\ns_count{le=\"y\"} 2\n"},
		{"a summary in parts", map[string][]entry{"summary_1-0.db": {
			{`["s","s",["quantile"],["0.90"]]`, 1}, {`["s","s_sum",[],[]]`, -3}, {`["s","s_count",[],[]]`, 2}}},
			"# HELP s H\n# TYPE s unknown\ns{quantile=\"0.9\"} 1.0\n# HELP s_count H\n# TYPE s_count unknown\ns_count 2.0\n# HELP s_sum H\n# TYPE s_sum unknown\ns_sum -3.0\n"},
		{"a bound of minus zero", map[string][]entry{"histogram_1-0.db": whole("-0", 1, 1)},
			"# HELP h H\n# TYPE h histogram\nh_bucket{le=\"0.0\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1.0\nh_count 1\n"},
		{"a histogram beside its own time of creation", map[string][]entry{
			"histogram_1-0.db": {{`["h","h_bucket",["le"],["+Inf"]]`, 1}, {`["h","h_sum",[],[]]`, 3}, {`["h","h_count",[],[]]`, 1}},
			"gauge_max_1-0.db": {{`["h_created","h_created",[],[]]`, 2}}},
			"# HELP h_bucket H\n# TYPE h_bucket unknown\nh_bucket{le=\"+Inf\"} 1.0\n# HELP h_count H\n# TYPE h_count unknown\nh_count 1.0\n" +
				"# HELP h_created H\n# TYPE h_created gauge\nh_created 2.0\n# HELP h_sum H\n# TYPE h_sum unknown\nh_sum 3.0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(pageIn(t, snapshot(t, tt.files), exposition.OpenMetrics))
			if diff := cmp.Diff(strings.ReplaceAll(tt.want, " H\n", " Multiprocess metric\n")+"# EOF\n", got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			compareFormats(t, tt.files)
		})
	}
}

// TestSpellingsOfOwnCounts: a bucket that counts only what is in no smaller one, and that two
// processes spell differently, has what is in both, once.
func TestSpellingsOfOwnCounts(t *testing.T) {
	bucket := func(le string, count float64) entry {
		return entry{fmt.Sprintf(`["h", "h_bucket", {"le": "%s"}, "H"]`, le), count}
	}
	sum := entry{`["h", "h_sum", {}, "H"]`, 1}
	s := snapshot(t, map[string][]entry{
		"histogram_1.db": {sum, bucket("0.5", 4), bucket("1e+10", 5), bucket("+Inf", 1)},
		"histogram_2.db": {sum, bucket("0.5", 4), bucket("1e+010", 3), bucket("+Inf", 1)},
	})
	want := "# HELP h H\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 8\nh_bucket{le=\"1e+10\"} 16\nh_bucket{le=\"+Inf\"} 18\nh_sum 2.0\nh_count 18\n# EOF\n"
	if diff := cmp.Diff(want, string(pageIn(t, s, exposition.OpenMetrics))); diff != "" {
		t.Errorf("OpenMetrics: -want +got\n%s", diff)
	}
	families, err := decode(pageIn(t, s, exposition.Protobuf))
	if err != nil {
		t.Fatal(err)
	}
	var counts []uint64
	for _, b := range families[0].Metric[0].Histogram.Bucket {
		counts = append(counts, b.GetCumulativeCount())
	}
	if diff := cmp.Diff([]uint64{8, 16, 18}, counts); diff != "" {
		t.Errorf("protobuf: -want +got\n%s", diff)
	}
}

// TestSpellingsOfBothCounts: what counts on its own, and what does not, are added up where
// only OpenMetrics knows that they are the same bucket.
func TestSpellingsOfBothCounts(t *testing.T) {
	s := snapshot(t, map[string][]entry{
		"histogram_1-0.db": {{`["h","h_bucket",["le"],["1"]]`, 2}, {`["h","h_bucket",["le"],["1.00"]]`, 4}},
		"histogram_1.db": {{`["h", "h_sum", {}, "H"]`, 1}, {`["h", "h_bucket", {"le": "1.0"}, "H"]`, 3},
			{`["h", "h_bucket", {"le": "1e0"}, "H"]`, 5}},
	})
	want := "# HELP h H\n# TYPE h histogram\nh_bucket{le=\"1.0\"} 14\nh_bucket{le=\"+Inf\"} 8\nh_sum 1.0\nh_count 8\n# EOF\n"
	if diff := cmp.Diff(want, string(pageIn(t, s, exposition.OpenMetrics))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestHelp: help texts are escaped as each format wants it.
func TestHelp(t *testing.T) {
	s := snapshot(t, map[string][]entry{"counter_1.db": {{`["m", "m_total", {}, "a\n\\\"b"]`, 1}}})
	for format, want := range map[exposition.Format]string{
		exposition.Text:        "# HELP m_total a\\n\\\\\"b\n# TYPE m_total counter\nm_total 1\n",
		exposition.OpenMetrics: "# HELP m a\\n\\\\\\\"b\n# TYPE m counter\nm_total 1.0\n# EOF\n",
	} {
		if diff := cmp.Diff(want, string(pageIn(t, s, format))); diff != "" {
			t.Errorf("%s: -want +got\n%s", format.ContentType(), diff)
		}
	}
}

// TestOddCounter: of a counter whose name ends in _total only as it is known, not as it is
// in the files, OpenMetrics' own name is not to be had where the files' name is shown.
func TestOddCounter(t *testing.T) {
	files := map[string][]entry{"counter_1-0.db": {{`["a.total","a.total",[],[]]`, 1}}}
	for scheme, want := range map[string]string{
		"allow-utf-8": "# HELP \"a.total\" H\n# TYPE \"a.total\" unknown\n{\"a.total\"} 1.0\n",
		"underscores": "# HELP a H\n# TYPE a counter\na_total 1.0\n",
	} {
		format := exposition.Negotiate("application/openmetrics-text;version=1.0.0;escaping="+scheme, true)
		got := string(pageIn(t, snapshot(t, files), format))
		if diff := cmp.Diff(strings.ReplaceAll(want, " H\n", " Multiprocess metric\n")+"# EOF\n", got); diff != "" {
			t.Errorf("%s: -want +got\n%s", scheme, diff)
		}
	}
	compareFormats(t, files)
}

// TestWholePage: our families stand among the application's, in order, and what they
// are called does not make a page invalid.
func TestWholePage(t *testing.T) {
	s := snapshot(t, map[string][]entry{"counter_1-0.db": {{`["a","a",[],[]]`, 1}, {`["gme_x","gme_x",[],[]]`, 2}, {`["z.z","z.z",[],[]]`, 3}, {`["~","~",[],[]]`, 4}}})
	own := func() []*dto.MetricFamily {
		counter := func(name string) *dto.MetricFamily {
			return &dto.MetricFamily{Name: &name, Help: new("Help."), Type: dto.MetricType_COUNTER.Enum(),
				Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(1.0)}}}}
		}
		gauge := &dto.MetricFamily{Name: new("gme_b"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(2.0)}}}}
		return []*dto.MetricFamily{counter("gme_a_total"), gauge, counter("gme_b_total"), {Name: new("gme_none")}}
	}
	for accept, want := range map[string][]string{
		accepts[0]:                 {"_", "a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total", "z_z"},
		accepts[1]:                 {"a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total", "z.z", "~"},
		accepts[4]:                 {"_", "a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total", "z_z"},
		accepts[7]:                 {"U___7e_", "U__z_2e_z", "a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total"},
		accepts[9]:                 {"a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total", "z.z", "~"},
		"text/plain;version=0.0.4": {"_", "a", "exported_gme_x", "gme_a_total", "gme_b", "gme_b_total", "z_z"},
	} {
		format := exposition.Negotiate(accept, true)
		var b bytes.Buffer
		w := exposition.NewWriter(nil)
		for range 2 {
			b.Reset()
			w.Begin(&b, format)
			if err := w.Page(s, s.Layout.Families, own()); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		if strings.Contains(accept, "protobuf") {
			families, err := decode(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				got = append(got, f.GetName())
			}
		} else {
			for line := range strings.Lines(b.String()) {
				if !strings.HasPrefix(line, "#") {
					name, _ := parseSeries(line[:strings.LastIndexByte(line, ' ')])
					got = append(got, name)
				}
			}
		}
		if strings.Contains(accept, "openmetrics") {
			if err := checkOpenMetrics(b.String()); err != nil {
				t.Errorf("%s: %v\n%s", accept, err, b.String())
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", accept, diff)
		}
	}
}

// TestNoSnapshot: a page without the application's families is one.
func TestNoSnapshot(t *testing.T) {
	for format, want := range map[exposition.Format]string{exposition.Text: "", exposition.OpenMetrics: "# EOF\n", exposition.Protobuf: ""} {
		var b strings.Builder
		w := exposition.NewWriter(nil)
		w.Begin(&b, format)
		if err := w.Page(nil, nil, nil); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", format.ContentType(), b.String(), err)
		}
	}
}

// TestMessageLengths: messages of all lengths around those that take a byte more to say.
func TestMessageLengths(t *testing.T) {
	var entries []entry
	for n := range 300 {
		entries = append(entries, entry{`["m","m",["a"],["` + strings.Repeat("x", n) + `"]]`, 1})
	}
	page := pageIn(t, snapshot(t, map[string][]entry{"counter_1-0.db": entries}), exposition.Protobuf)
	families, err := decode(page)
	if err == nil {
		err = reencodes(families, page)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestHugeFamily: messages longer than any buffer, and a writer that serves
// small pages after it.
func TestHugeFamily(t *testing.T) {
	huge := snapshot(t, map[string][]entry{"counter_1-0.db": {
		{`["m","m",["a"],["` + strings.Repeat("x", 1<<20) + `"]]`, 1}, {`["m","m",["a"],["` + strings.Repeat("\\n", 200) + `"]]`, 2}}})
	small := snapshot(t, map[string][]entry{"counter_1-0.db": {{`["m","m",[],[]]`, 1}}})
	w := exposition.NewWriter(nil)
	for _, s := range []*collect.Snapshot{huge, small, huge} {
		var b bytes.Buffer
		w.Begin(&b, exposition.Protobuf)
		if err := w.Page(s, s.Layout.Families, nil); err != nil {
			t.Fatal(err)
		}
		families, err := decode(b.Bytes())
		if err == nil {
			err = reencodes(families, b.Bytes())
		}
		if err != nil || len(families) != 1 || len(families[0].Metric) != s.Layout.Len() {
			t.Errorf("%d families, %v", len(families), err)
		}
	}
}

// TestManyFamilies: a writer that served a page of many families lets their memory go with
// the next one that has few.
func TestManyFamilies(t *testing.T) {
	var entries []entry
	for i := range 50_000 {
		entries = append(entries, entry{fmt.Sprintf(`["m%d","m%[1]d",[],[]]`, i), 1})
	}
	many := snapshot(t, map[string][]entry{"counter_1-0.db": entries})
	few := snapshot(t, map[string][]entry{"counter_1-0.db": entries[:1]})
	w := exposition.NewWriter(nil)
	write := func(s *collect.Snapshot) {
		w.Begin(io.Discard, exposition.Text)
		if err := w.Page(s, s.Layout.Families, nil); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	write(few)
	before := heap()
	write(many)
	write(few)
	if now := heap(); now > before+1<<20 {
		t.Errorf("heap in use: %d KiB before, %d KiB after", before>>10, now>>10)
	}
	write(many)
	runtime.KeepAlive(many)
}

// TestParts: a page is the same however it is cut, in each format.
func TestParts(t *testing.T) {
	files := big()
	var entries []entry
	for i := range 300 {
		for _, le := range []string{"0.1", "1", "2.5", "+Inf"} {
			entries = append(entries, entry{fmt.Sprintf(`["h","h_bucket",["a","le"],["%d","%s"]]`, i, le), float64(i)})
		}
		entries = append(entries, entry{fmt.Sprintf(`["h","h_sum",["a"],["%d"]]`, i), 0.5}, entry{fmt.Sprintf(`["h","h_count",["a"],["%d"]]`, i), float64(i)})
	}
	files["histogram_1-0.db"] = entries
	s := snapshot(t, files)
	got, err := read(pageIn(t, s, exposition.OpenMetrics), exposition.OpenMetrics)
	if err == nil {
		err = differs(wanted(s, s.Layout.Families, exposition.OpenMetrics), got)
	}
	if err != nil {
		t.Error(err)
	}
	for _, format := range []exposition.Format{exposition.Text, exposition.OpenMetrics, exposition.Protobuf} {
		want := pageIn(t, s, format)
		for fail := range 4 {
			to := recorder{fail: fail}
			w := exposition.NewWriter(nil)
			w.Begin(&to, format)
			err := w.Page(s, s.Layout.Families, nil)
			if fail > 0 {
				if !errors.Is(err, errFull) || len(to.writes) != fail {
					t.Errorf("%s: write %d of %d fails: %v", format.ContentType(), fail, len(to.writes), err)
				}
				continue
			}
			if got := strings.Join(to.writes, ""); err != nil || got != string(want) || len(to.writes) < 3 {
				t.Errorf("%s: %d writes of %d bytes, want %d: %v", format.ContentType(), len(to.writes), len(got), len(want), err)
			}
		}
	}
}

// TestPartsOfNames: a page whose names are others than those that identify series comes in
// parts, too.
func TestPartsOfNames(t *testing.T) {
	var entries []entry
	for i := range 10_000 {
		entries = append(entries, entry{fmt.Sprintf(`["m","m",["a.b"],[%d]]`, i), float64(i)})
	}
	s := snapshot(t, map[string][]entry{"counter_1-0.db": entries})
	for _, accept := range []string{"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"} {
		var to recorder
		w := exposition.NewWriter(nil)
		w.Begin(&to, exposition.Negotiate(accept+";escaping=allow-utf-8", true))
		if err := w.Page(s, s.Layout.Families, nil); err != nil || len(to.writes) < 3 {
			t.Errorf("%s: %d writes, %v", accept, len(to.writes), err)
		}
	}
}

// TestFailsInHugeFamily: the first error ends the page also if a family is longer than any
// buffer, whatever is called then.
func TestFailsInHugeFamily(t *testing.T) {
	s := snapshot(t, map[string][]entry{"counter_1-0.db": {{`["a","a",[],[]]`, 1}, {`["m","m",["a"],["` + strings.Repeat("x", 1<<20) + `"]]`, 1}}})
	for _, format := range []exposition.Format{exposition.Text, exposition.OpenMetrics, exposition.Protobuf} {
		to := recorder{fail: 1}
		w := exposition.NewWriter(nil)
		w.Begin(&to, format)
		for _, err := range []error{w.Page(s, s.Layout.Families, nil), w.Snapshot(s, s.Layout.Families), w.Flush(), w.End()} {
			if !errors.Is(err, errFull) {
				t.Errorf("%s: error is %v", format.ContentType(), err)
			}
		}
		if len(to.writes) != 1 {
			t.Errorf("%s: %d writes", format.ContentType(), len(to.writes))
		}
	}
}
