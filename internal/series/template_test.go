package series_test

import (
	"testing"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/series"
)

// bucketKeys are keys that are alike, or nearly so: in the bound alone, beside
// it, or in how the bound is written.
var bucketKeys = []string{
	key("h", "h_bucket", "a", "1", "le", "0.5"),
	key("h", "h_bucket", "a", "1", "le", "10"),
	key("h", "h_bucket", "a", "1", "le", "+Inf"),
	key("h", "h_bucket", "a", "1", "le", ""),
	key("h", "h_bucket", "a", "1", "le", "x"),
	key("h", "h_bucket", "a", "1", "le", `a"b`),
	key("h", "h_bucket", "a", "1", "le", `a\b`),
	key("h", "h_bucket", "a", "1", "le", "ü\n"),
	key("h", "h_bucket", "a", "2", "le", "0.5"),
	key("h", "h_bucket", "a", "1", "b", "0.5"),
	key("h", "h_bucket", "le", "0.5", "z", "1"),
	key("h", "h_bucket", "le", "1", "z", "1"),
	key("h", "h_bucket", "le", "1", "z", "2"),
	key("h", "h_bucket", "le", "1", "pid", "7"),
	key("h", "h_bucket", "le", "2", "pid", "7"),
	key("h", "h_bucket", "le", "1", "quantile", "2"),
	key("h", "h_bucket", "le", "3", "quantile", "2"),
	key("g", "h_bucket", "a", "1", "le", "0.5"),
	key("h", "h_sum", "a", "1"),
	key("h", "h_count", "a", "1"),
	`["h","h_bucket",["a","le"],["1",10]]`,
	`["h","h_bucket",["a","le"],["1",null]]`,
	`["h","h_bucket",["a","le"],["1","10"]] `,
	`["h","h_bucket",["a","le"],["1","1","2"]]`,
	`["h","h_bucket",["a","le"],["1","0.5"],[]]`,
	"[\"h\",\"h_bucket\",[\"a\",\"le\"],[\"1\",\"\xff\"]]",
	"[\"h\",\"h_bucket\",[\"a\",\"le\"],[\"1\",\"\t\"]]",
	`["h","h_bucket",["a","le"],["\u0031","5"]]`,
}

// TestTemplate: what a key means does not depend on the keys before it.
func TestTemplate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SampledFrom([]string{"histogram_1-0.db", "gauge_all_1-0.db"}).Draw(t, "file")
		table := series.NewTable()
		pass := source(t, table, file)
		for range rapid.IntRange(2, 12).Draw(t, "keys") {
			raw := rapid.SampledFrom(bucketKeys).Draw(t, "key")
			if rapid.IntRange(0, 4).Draw(t, "changed") == 0 {
				at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
				raw = raw[:at] + string(rapid.Byte().Draw(t, "byte")) + raw[at+1:]
			}
			alone := series.NewTable()
			want, wantErr := learn(t, alone, source(t, alone, file), raw)
			got, err := learn(t, table, pass, raw)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%q: error %v, alone %v", raw, err, wantErr)
			}
			if err == nil && text(table, got) != text(alone, want) {
				t.Fatalf("%q: %s, alone %s", raw, text(table, got), text(alone, want))
			}
		}
	})
}

func text(table *series.Table, id series.ID) string {
	return string(table.Layout().AppendText(nil, id))
}

// A bound that is no string makes no template.
func TestTemplateOfNumber(t *testing.T) {
	table := series.NewTable()
	from := source(t, table, "histogram_1-0.db")
	if _, err := learn(t, table, from, `["h","h_bucket",["le"],[1]]`); err != nil {
		t.Fatal(err)
	}
	if id, err := learn(t, table, from, `x"h","h_bucket",["le"],[1]]`); err == nil {
		t.Errorf("no JSON, but %s", text(table, id))
	}
}

// A bound with escapes is parsed, whatever came before.
func TestTemplateEscape(t *testing.T) {
	table := series.NewTable()
	from := source(t, table, "histogram_1-0.db")
	for raw, want := range map[string]string{`["h","h_bucket",["le"],["2"]]`: `h_bucket{le="2"}`, `["h","h_bucket",["le"],["\u0031"]]`: `h_bucket{le="1"}`} {
		_, _ = learn(t, table, from, `["h","h_bucket",["le"],["7"]]`)
		if id, err := learn(t, table, from, raw); err != nil || text(table, id) != want {
			t.Errorf("%s: %s, %v", raw, text(table, id), err)
		}
	}
}
