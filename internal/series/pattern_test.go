package series_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/python"
	"gitlab-metrics-exporter/internal/series"
)

// A patterned is a kind of file that keys of a few patterns stand in.
type patterned struct {
	file   string
	format discover.Format
	labels []format.Label // of the directory
}

var patternFiles = []patterned{
	{file: "counter_1-0.db"},
	{file: "histogram_1-0.db"},
	{file: "gauge_max_1-0.db"},
	{file: "gauge_all_puma_0-0.db"},
	{file: "gauge_all_puma_1-0.db"},
	{file: "counter_2-0.db", labels: []format.Label{{Name: []byte("a"), Value: []byte(`x"`)}}},
	{file: "counter_3-0.db", labels: []format.Label{{Name: []byte("m"), Value: []byte("1")}, {Name: []byte("z"), Value: []byte("2")}}},
	{file: "counter_1.db", format: discover.Python},
	{file: "gauge_all_1.db", format: discover.Python},
	{file: "histogram_1.db", format: discover.Python},
}

func (s patterned) source(t tb, table *series.Table) *series.Source {
	f, err := discover.Parse(s.file, s.format)
	if err != nil {
		t.Fatal(err)
	}
	return table.Source(series.Origin{File: f, Labels: s.labels, Bounds: []string{"+Inf"}})
}

func (s patterned) parse() series.ParseFunc {
	if s.format == discover.Python {
		return python.ParseKey
	}
	return clientmmap.ParseKey
}

// key draws a key of one of a few patterns, or nearly so.
func (s patterned) key(t *rapid.T) string {
	family := rapid.SampledFrom([]string{"h", "gme_a.b"}).Draw(t, "family")
	sample := family + rapid.SampledFrom([]string{"", "_bucket"}).Draw(t, "suffix")
	names := strings.Fields(rapid.SampledFrom([]string{"", "a", "a b", "b a", "z le", "le a", "pid c-d", "z pid le", "__name__", "quantile a"}).Draw(t, "names"))
	values := make([]string, len(names))
	for i := range names {
		values[i] = rapid.SampledFrom([]string{
			`"1"`, `"2"`, `"0.5"`, `"+Inf"`, `""`, `"long: 0123456789"`, `"a,b]"`, `"ü"`, `"\u003c"`, `"\""`, `"\\"`, "\"\x7f\"", `1`, `null`, `[1]`,
			`"long: \u003c, 0123456789"`, "\"long: \x80, 0123456789\"", "\"long: \n, 0123456789\"", "\"\x80\"", "\"\n\"",
		}).Draw(t, "value")
	}
	var text strings.Builder
	fmt.Fprintf(&text, `["%s","%s",`, family, sample)
	if s.format == discover.Python {
		for i, name := range names {
			names[i] = fmt.Sprintf(`"%s": %s`, name, values[i])
		}
		fmt.Fprintf(&text, `{%s},"help"]`, strings.Join(names, ", "))
	} else {
		quoted, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, `%s,[%s]]`, quoted, strings.Join(values, ","))
	}
	raw := text.String() + rapid.SampledFrom([]string{"", "", "", "", " ", "]"}).Draw(t, "tail")
	if rapid.IntRange(0, 9).Draw(t, "changed") == 0 {
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		raw = raw[:at] + string(rapid.Byte().Draw(t, "byte")) + raw[at+1:]
	}
	return raw
}

// TestPatterns: what a key means does not depend on what keys are known, of its own file
// or of others.
func TestPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := series.NewTable()
		for range rapid.IntRange(1, 3).Draw(t, "files") {
			file := rapid.SampledFrom(patternFiles).Draw(t, "file")
			pass := file.source(t, table)
			for range rapid.IntRange(1, 20).Draw(t, "keys") {
				raw := file.key(t)
				alone := series.NewTable()
				want, _, wantErr := alone.Intern([]byte(raw), file.source(t, alone), file.parse())
				got, _, err := table.Intern([]byte(raw), pass, file.parse())
				if fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Fatalf("%s: %q: error %v, alone %v", file.file, raw, err, wantErr)
				}
				if err == nil && said(table, got, pass.File) != said(alone, want, pass.File) {
					t.Fatalf("%s: %q: %s, alone %s", file.file, raw, said(table, got, pass.File), said(alone, want, pass.File))
				}
			}
		}
	})
}

// said returns the text of a series that Intern returned.
func said(table *series.Table, id series.ID, of discover.File) string {
	table.Retain(id, 1, of)
	defer table.Release(id, 1)
	return text(table, id)
}

// TestPatternsAreBounded: neither many metrics nor long keys make patterns take much memory.
func TestPatternsAreBounded(t *testing.T) {
	table := series.NewTable()
	pass := source(t, table, "counter_1-0.db")
	learn := func(metric, value string, labels int) {
		names, values := make([]string, labels), make([]string, labels)
		for i := range names {
			names[i], values[i] = fmt.Sprintf("l%d", i), value
		}
		raw, err := json.Marshal([]any{metric, metric, names, values})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := table.Intern(raw, pass, clientmmap.ParseKey); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	for i := range 4 {
		for metric := range 2000 {
			learn(fmt.Sprint("m", metric), fmt.Sprint(i), 1+249*(metric%2))
		}
	}
	number, size := table.Patterns()
	if number > 1024 || size > 1<<20 {
		t.Errorf("%d patterns of about %d bytes", number, size)
	}
	if number < 100 {
		t.Errorf("only %d patterns are known", number)
	}
}

// Values that are no strings are escaped, and keys that end too early are none.
func TestPatternsOfOddKeys(t *testing.T) {
	table := series.NewTable()
	from := source(t, table, "counter_1-0.db")
	for i := range 4 {
		id, err := learn(t, table, from, fmt.Sprintf(`["m","m",["a","b"],[["x"],"%d"]]`, i))
		if want := fmt.Sprintf(`m{a="[\"x\"]",b="%d"}`, i); err != nil || text(table, id) != want {
			t.Errorf("%s, %v, want %s", text(table, id), err, want)
		}
	}
	for _, raw := range []string{`["n","n",["a"],["1"]]`, `["n","n",["a"],["2"]]`, `["n","n",["a"],["]]`} {
		if _, err := learn(t, table, from, raw); (err == nil) != (len(raw) == 21) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// Patterns of long names do not take more than their budget.
func TestPatternsOfLongNames(t *testing.T) {
	table := series.NewTable()
	from := source(t, table, "counter_1-0.db")
	for i := range 100 {
		name := fmt.Sprintf("%0100000d", i)
		if _, _, err := table.Intern([]byte(key(name, name)), from, clientmmap.ParseKey); err != nil {
			t.Fatal(err)
		}
	}
	if number, size := table.Patterns(); size > 1<<20 {
		t.Errorf("%d patterns of about %d bytes", number, size)
	}
}
