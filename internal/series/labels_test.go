package series_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/series"
)

// pairs returns the labels of a series, one a line.
func pairs(l *series.Layout, id series.ID) []string {
	var got []string
	for name, value := range l.Labels(id) {
		got = append(got, string(name)+"="+string(value))
	}
	return got
}

func TestLabels(t *testing.T) {
	tests := []struct {
		name  string
		entry entry
		want  []string
	}{
		{"none", entry{"counter_1-0.db", key("m", "m")}, nil},
		{"one", entry{"counter_1-0.db", key("m", "m", "a", "x")}, []string{"a=x"}},
		{"in order, the process and the bound last",
			entry{"gauge_all_puma_0-0.db", key("m", "m", "le", "1", "b", "2", "a", "1", "quantile", "0.5")},
			[]string{"a=1", "b=2", "pid=puma_0", "quantile=0.5", "le=1"}},
		{"empty", entry{"counter_1-0.db", key("m", "m", "a", "", "b", "")}, []string{"a=", "b="}},
		{"what needs escapes", entry{"counter_1-0.db", key("m", "m", "a", `"`, "b", `\`, "c", "\n", "d", `x"y\z`+"\n", "e", `\n",f="g`)},
			[]string{`a="`, `b=\`, "c=\n", `d=x"y\z` + "\n", `e=\n",f="g`}},
		{"what looks like text between labels", entry{"counter_1-0.db", key("m", "m", "a", `,b="`, "c", "=,{}")}, []string{`a=,b="`, "c==,{}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := series.NewTable()
			id := intern(t, table, tt.entry)[0]
			if diff := cmp.Diff(tt.want, pairs(table.Layout(), id)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestLabelsStop: a loop may end early.
func TestLabelsStop(t *testing.T) {
	table := series.NewTable()
	id := intern(t, table, entry{"gauge_all_puma_0-0.db", key("m", "m", "a", "1", "b", "2")})[0]
	l := table.Layout()
	for stop := range 4 {
		n := 0
		for range l.Labels(id) {
			if n++; n > stop {
				break
			}
		}
		if want := min(stop+1, 3); n != want {
			t.Errorf("%d labels, want %d", n, want)
		}
	}
}

// TestLabelsAreTheText: whatever the values are, labels put together are what
// stands on the page.
func TestLabelsAreTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var labels []string
		for _, name := range []string{"a", "b", "le", "pid", "quantile", "z"} {
			if rapid.Bool().Draw(t, name) {
				labels = append(labels, name, rapid.StringOf(rapid.RuneFrom([]rune("\\\"\n,={}nax\u202e"))).Draw(t, "value"))
			}
		}
		table := series.NewTable()
		file := rapid.SampledFrom([]string{"counter_1-0.db", "gauge_all_1-0.db"}).Draw(t, "file")
		id := intern(t, table, entry{file, key("m", "m", labels...)})[0]
		l := table.Layout()
		var text []string
		for name, value := range l.Labels(id) {
			value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(string(value))
			text = append(text, string(name)+`="`+value+`"`)
		}
		want := "m"
		if len(text) > 0 {
			want += "{" + strings.Join(text, ",") + "}"
		}
		if got := string(l.AppendText(nil, id)); got != want {
			t.Errorf("page has %s, labels are %s", got, want)
		}
	})
}
