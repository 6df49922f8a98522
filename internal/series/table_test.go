package series_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/python"
	"gitlab-metrics-exporter/internal/series"
)

// An entry is a key in a file.
type entry struct{ file, key string }

// tb is what testing.TB and rapid.T have in common, as far as it is needed.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(text string, args ...any)
}

// source starts a pass over the entries of a file of the given name.
func source(t tb, table *series.Table, file string) *series.Source {
	t.Helper()
	f, err := discover.Parse(file, discover.NoFormat)
	if err != nil {
		t.Fatal(err)
	}
	return table.Source(series.Origin{File: f})
}

// learn interns and retains an entry, as the next of its file. It finds it then.
func learn(t tb, table *series.Table, from *series.Source, key string) (series.ID, error) {
	t.Helper()
	before := *from
	id, _, err := table.Intern([]byte(key), from, clientmmap.ParseKey)
	table.Retain(id, 1, from.File)
	known := table.Known(from)
	if found := known.Find([]byte(key), &before); found != id && !from.File.PerProcess {
		t.Fatalf("%q is %d, and then %d", key, id, found)
	}
	return id, err
}

// intern learns entries, each in a pass of its own.
func intern(t tb, table *series.Table, entries ...entry) []series.ID {
	t.Helper()
	ids := make([]series.ID, len(entries))
	for i, e := range entries {
		id, err := learn(t, table, source(t, table, e.file), e.key)
		if err != nil {
			t.Fatalf("%s: %v", e.key, err)
		}
		ids[i] = id
	}
	return ids
}

// release releases ids, one by one.
func release(table *series.Table, ids ...series.ID) {
	for _, id := range ids {
		table.Release(id, 1)
	}
}

// key returns a key with the given labels: name, value, name, value, and so on.
func key(family, sample string, labels ...string) string {
	names, values := []string{}, []string{}
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	text, err := json.Marshal([]any{family, sample, names, values})
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return string(text)
}

// page returns the page of a layout without help and values.
func page(layout *series.Layout) []string {
	var lines []string
	for _, f := range layout.Families {
		lines = append(lines, fmt.Sprintf("# %s %s", f.Name, f.Type))
		for _, id := range f.Series {
			lines = append(lines, string(layout.AppendText(nil, id)))
		}
	}
	return lines
}

func TestText(t *testing.T) {
	const counter, gauge, all = "counter_1-0.db", "gauge_livesum_1-0.db", "gauge_all_puma_0-0.db"
	tests := []struct {
		name string
		file string
		key  string
		want string
	}{
		{"no labels", counter, `["m","m",[],[]]`, `m`},
		{"labels sorted", counter, key("m", "m", "b", "1", "a", "2", "B", "3"), `m{B="3",a="2",b="1"}`},
		{"pid, quantile and le last", counter, key("m", "m", "le", "1", "a", "2", "quantile", "3", "z", "4", "pid", "5"),
			`m{a="2",z="4",pid="5",quantile="3",le="1"}`},
		{"le alone", counter, key("m", "m", "le", "1"), `m{le="1"}`},
		{"pid alone", counter, key("m", "m", "pid", "1"), `m{pid="1"}`},
		{"values that are no strings", counter, `["m","m",["a","b","c","d","e"],[null,true,1.0e+20,["x"],"null"]]`,
			`m{a="",b="true",c="1.0e+20",d="[\"x\"]",e="null"}`},

		{"escapes", counter, key("m", "m", "a", "\"\\\n"), `m{a="\"\\\n"}`},
		{"escapes among text", counter, key("m", "m", "a", `x"y\z`+"\nü"), `m{a="x\"y\\z\nü"}`},
		{"no other escapes", counter, key("m", "m", "a", "\t\r\x00\x7f'{},=<&>\u2028"), "m{a=\"\t\r\x00\x7f'{},=<&>\u2028\"}"},
		{"JSON escapes", counter, `["m","m",["a"],["\u003c\/\ud83d\ude00"]]`, `m{a="</😀"}`},

		{"name with dots", counter, key("m.x", "m.x"), `m_x`},
		{"name with a colon", counter, key("m:x", "m:x"), `m:x`},
		{"name that starts with a digit", counter, key("1m", "1m"), `_m`},
		{"name with a digit", counter, key("m1", "m1"), `m1`},
		{"name with a character of several bytes", counter, key("mäx", "mä😀1"), `m__1`},
		{"name that is all wrong", counter, key(" ", " "), `_`},
		{"name with braces and quotes", counter, key(`m{a="b"} 1`, `m{a="b"} 1`), `m_a__b___1`},
		{"name with a newline and NUL", counter, key("m", "m\n\x00"), `m__`},
		{"label with dots, colons and a digit", counter, key("m", "m", "a.b", "1", "c:d", "2", "1e", "3"), `m{_e="3",a_b="1",c_d="2"}`},
		{"label sorted by its new name", counter, key("m", "m", "a.z", "1", "aa", "2"), `m{a_z="1",aa="2"}`},

		{"our prefix", counter, key("gme_x", "gme_x"), `exported_gme_x`},
		{"our prefix after underscores", counter, key("gme.x", "gme.x"), `exported_gme_x`},
		{"our prefix and nothing else", counter, key("gme_", "gme_"), `exported_gme_`},
		{"not quite our prefix", counter, key("gme", "gmex"), `gmex`},
		{"our prefix in a label's name", counter, key("m", "m", "gme_x", "1"), `m{gme_x="1"}`},
		{"label __name__", counter, key("m", "m", "__name__", "x"), `m{exported___name__="x"}`},
		{"label __name__ after underscores", counter, key("m", "m", "__name.-", "x"), `m{exported___name__="x"}`},
		{"label __name", counter, key("m", "m", "__name", "x"), `m{__name="x"}`},

		{"per process", all, key("m", "m"), `m{pid="puma_0"}`},
		{"per process, pid after the labels", all, key("m", "m", "a", "1", "z", "2"), `m{a="1",z="2",pid="puma_0"}`},
		{"per process, le after pid", all, key("m", "m", "le", "1"), `m{pid="puma_0",le="1"}`},
		{"per process, own pid", all, key("m", "m", "pid", "mine"), `m{exported_pid="mine",pid="puma_0"}`},
		{"per process, own pid and exported_pid", all, key("m", "m", "pid", "mine", "exported_pid", "taken"),
			`m{exported_exported_pid="taken",exported_pid="mine",pid="puma_0"}`},
		{"per process, own exported_pid", all, key("m", "m", "exported_pid", "mine"), `m{exported_pid="mine",pid="puma_0"}`},
		{"per process, no pid", "gauge_all.db", key("m", "m"), `m{pid=""}`},
		{"per process, pid with a quote", "gauge_all_a\"\\\n-0.db", key("m", "m"), `m{pid="a\"\\\n"}`},
		{"mode not known", "gauge_most_1-0.db", key("m", "m"), `m{pid="1"}`},
		{"not per process, own pid", gauge, key("m", "m", "pid", "mine"), `m{pid="mine"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := series.NewTable()
			id := intern(t, table, entry{tt.file, tt.key})[0]
			if got := string(table.Layout().AppendText([]byte("kept "), id)); got != "kept "+tt.want {
				t.Errorf("got  %s\nwant kept %s", got, tt.want)
			}
		})
	}
}

func TestInternRefuses(t *testing.T) {
	const twice = "key has two labels of one name"
	tests := []struct {
		name string
		file string
		key  string
		want string
	}{
		{"not a key", "counter_1-0.db", `m`, "key is not a JSON array of family, sample, label names and label values"},
		{"a label twice", "counter_1-0.db", key("m", "m", "a", "1", "a", "1"), twice},
		{"le twice", "counter_1-0.db", key("m", "m", "le", "1", "a", "1", "le", "1"), twice},
		{"two labels of one name on the page", "counter_1-0.db", key("m", "m", "a.b", "1", "a_b", "1"), twice},
		{"__name__ and its new name", "counter_1-0.db", key("m", "m", "__name__", "1", "exported___name__", "1"), twice},
		{"pid twice", "counter_1-0.db", key("m", "m", "pid", "1", "pid", "1"), twice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := series.NewTable()
			good := source(t, table, tt.file)
			if _, err := learn(t, table, good, key("m", "m")); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time it must not be thought known
				id, err := learn(t, table, good, tt.key)
				if id != series.None || err == nil || err.Error() != tt.want {
					t.Errorf("got %d, %v; want error %q", id, err, tt.want)
				}
			}
			if table.Live() != 1 {
				t.Errorf("%d series, want 1", table.Live())
			}
			table.Release(series.None, 1) // what the caller keeps for such an entry
		})
	}
}

// Which keys are one series.
func TestInternIdentity(t *testing.T) {
	const counter = "counter_1-0.db"
	tests := []struct {
		name string
		a, b entry
		same bool
	}{
		{"the same key", entry{counter, key("m", "m", "a", "1")}, entry{counter, key("m", "m", "a", "1")}, true},
		{"the same key in two processes", entry{counter, key("m", "m")}, entry{"counter_2-0.db", key("m", "m")}, true},
		{"null and empty", entry{counter, `["m","m",["a"],[null]]`}, entry{counter, `["m","m",["a"],[""]]`}, true},
		{"1 and its text", entry{counter, `["m","m",["a"],[1]]`}, entry{counter, `["m","m",["a"],["1"]]`}, true},
		{"white space", entry{counter, `["m","m",["a"],[1]]`}, entry{counter, ` [ "m" , "m" , [ "a" ] , [ 1 ] ] `}, true},
		{"escapes", entry{counter, `["m","m",["a"],["\u003c"]]`}, entry{counter, `["m","m",["a"],["<"]]`}, true},
		{"order of labels", entry{counter, key("m", "m", "a", "1", "b", "2")}, entry{counter, key("m", "m", "b", "2", "a", "1")}, true},
		{"names alike on the page", entry{counter, key("a.b", "a.b")}, entry{counter, key("a_b", "a_b")}, true},
		{"families", entry{counter, key("m", "m")}, entry{counter, key("n", "m")}, true},
		{"types", entry{counter, key("m", "m")}, entry{"gauge_livesum_1-0.db", key("m", "m")}, true},
		{"a label pid and a process", entry{counter, key("m", "m", "pid", "1")}, entry{"gauge_all_1-0.db", key("m", "m")}, true},
		{"two files of one process", entry{"gauge_all_1-0.db", key("m", "m")}, entry{"gauge_all_1-1.db", key("m", "m")}, true},
		{"two modes of one process", entry{"gauge_all_1-0.db", key("m", "m")}, entry{"gauge_liveall_1-0.db", key("m", "m")}, true},

		{"two processes", entry{"gauge_all_1-0.db", key("m", "m")}, entry{"gauge_all_2-0.db", key("m", "m")}, false},
		{"with and without process", entry{"gauge_all_1-0.db", key("m", "m")}, entry{counter, key("m", "m")}, false},
		{"samples", entry{counter, key("m", "m_sum")}, entry{counter, key("m", "m_count")}, false},
		{"values", entry{counter, key("m", "m", "a", "1")}, entry{counter, key("m", "m", "a", "2")}, false},
		{"values alike as numbers", entry{counter, key("m", "m", "le", "1")}, entry{counter, key("m", "m", "le", "1.0")}, false},
		{"label names", entry{counter, key("m", "m", "a", "1")}, entry{counter, key("m", "m", "b", "1")}, false},
		{"no label and an empty one", entry{counter, key("m", "m")}, entry{counter, key("m", "m", "a", "")}, false},
		{"a value that looks like two labels", entry{counter, key("m", "m", "a", `1",b="2`)}, entry{counter, key("m", "m", "a", "1", "b", "2")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := series.NewTable()
			ids := intern(t, table, tt.a, tt.b)
			if got := ids[0] == ids[1]; got != tt.same {
				t.Errorf("ids are %d", ids)
			}
			live := 2
			if tt.same {
				live = 1
			}
			if table.Live() != live || table.Len() != live+1 || table.Layout().Len() != live {
				t.Errorf("live %d, length %d, layout %d; want %d series", table.Live(), table.Len(), table.Layout().Len(), live)
			}
		})
	}
}

// IDs count from 1, in the order of arrival, and stay whatever happens.
func TestInternStable(t *testing.T) {
	table := series.NewTable()
	var entries []entry
	var want []series.ID
	for i := range 1000 {
		entries = append(entries, entry{"counter_1-0.db", key("m", "m", "a", fmt.Sprint(i))})
		want = append(want, series.ID(i+1))
	}
	first := intern(t, table, entries...)
	release(table, first[:500]...)
	second := intern(t, table, entries...)
	for _, got := range [][]series.ID{first, second} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
}

// However keys are alike, and in whatever order they come, each has one
// series; and a file's own order, which speeds up look-ups, is no matter.
func TestInternDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := series.NewTable()
		values := rapid.SliceOfN(rapid.StringMatching(`(aaaa|b){0,9}`), 1, 40).Draw(t, "values")
		ids := map[string]series.ID{}
		from := source(t, table, "counter_1-0.db")
		for _, v := range values {
			if rapid.IntRange(0, 9).Draw(t, "new file") == 0 {
				from = source(t, table, "counter_1-0.db")
			}
			id, err := learn(t, table, from, key("m", "m", "a", v))
			if err != nil {
				t.Fatal(err)
			}
			if before, known := ids[v]; known && before != id {
				t.Fatalf("%q is %d and %d", v, before, id)
			}
			ids[v] = id
		}
		if table.Live() != len(ids) {
			t.Fatalf("%d series, want %d", table.Live(), len(ids))
		}
		layout := table.Layout()
		for v, id := range ids {
			if got, want := string(layout.AppendText(nil, id)), `m{a="`+v+`"}`; got != want {
				t.Errorf("text is %s, want %s", got, want)
			}
		}
	})
}

// A key that ends like the one that came next in another file is not taken
// for it.
func TestInternGuessesWrong(t *testing.T) {
	long := strings.Repeat("x", 100)
	table := series.NewTable()
	one, other := source(t, table, "counter_1-0.db"), source(t, table, "counter_2-0.db")
	var got []series.ID
	for _, step := range []struct {
		from *series.Source
		key  string
	}{
		{one, key("m", "m", "a", long+"1")}, {one, key("m", "m", "a", long+"2")},
		{other, key("m", "m", "a", long+"1")}, {other, key("n", "m", "b", long+"2")}, {other, key("m", "m", "a", long+"2")},
	} {
		id, err := learn(t, table, step.from, step.key)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if diff := cmp.Diff([]series.ID{1, 2, 1, 3, 2}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A key is parsed once, not once per process and scrape.
func TestInternParsesOnce(t *testing.T) {
	parsed := 0
	parse := func(raw []byte, key *format.Key) error {
		parsed++
		return clientmmap.ParseKey(raw, key)
	}
	table := series.NewTable()
	for range 3 {
		for _, file := range []string{"counter_1-0.db", "counter_2-0.db", "gauge_all_1-0.db", "gauge_all_2-0.db"} {
			from := source(t, table, file)
			for _, name := range []string{"a", "b"} {
				if _, _, err := table.Intern([]byte(key(name, name)), from, parse); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// Two keys, for all processes together and for each of the two alone.
	if parsed != 6 {
		t.Errorf("parsed %d times, want 6", parsed)
	}
}

func TestRelease(t *testing.T) {
	table := series.NewTable()
	a, b := entry{"counter_1-0.db", key("a", "a")}, entry{"histogram_1-0.db", key("b", "b_sum")}
	ids := intern(t, table, a, a, b)
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"all", func() {}, []string{"# a counter", "a", "# b histogram", "b_sum"}},
		{"one of two", func() { release(table, ids[:1]...) }, []string{"# a counter", "a", "# b histogram", "b_sum"}},
		{"the other", func() { release(table, ids[1:2]...) }, []string{"# b histogram", "b_sum"}},
		{"the last", func() { release(table, ids[2:]...) }, nil},
		{"none", func() { table.Release(series.None, 1) }, nil},
		{"back again", func() { intern(t, table, b, a) }, []string{"# a counter", "a", "# b histogram", "b_sum"}},
		{"gone and back unseen", func() { release(table, ids[2:]...); intern(t, table, b) }, []string{"# a counter", "a", "# b histogram", "b_sum"}},
	}
	for _, tt := range steps {
		tt.do()
		if diff := cmp.Diff(tt.want, page(table.Layout())); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
		families := 0
		for _, line := range tt.want {
			if strings.HasPrefix(line, "#") {
				families++
			}
		}
		if want := len(tt.want) - families; table.Live() != want || table.Layout().Len() != want {
			t.Errorf("%s: live %d, layout %d; want %d", tt.name, table.Live(), table.Layout().Len(), want)
		}
		if table.Len() != 3 {
			t.Errorf("%s: length %d, want 3", tt.name, table.Len())
		}
	}
}

func TestMixed(t *testing.T) {
	m := key("m", "m")
	tests := []struct {
		name    string
		entries []entry
		want    bool // of the first entry's series
	}{
		{"one file", []entry{{"counter_1-0.db", m}}, false},
		{"two of one kind", []entry{{"counter_1-0.db", m}, {"counter_2-0.db", m}}, false},
		{"two keys that read the same", []entry{{"counter_1-0.db", `["m","m",["a"],[null]]`}, {"counter_1-0.db", key("m", "m", "a", "")}}, false},
		{"all and liveall", []entry{{"gauge_all_1-0.db", m}, {"gauge_liveall_1-0.db", m}}, false},
		{"a declared and an implied family", []entry{{"counter_1-0.db", m}, {"counter_1-0.db", key("", "m")}}, false},
		{"two types", []entry{{"counter_1-0.db", m}, {"histogram_1-0.db", m}}, true},
		{"two types of one rule", []entry{{"counter_1-0.db", m}, {"gauge_livesum_1-0.db", m}}, true},
		{"two rules", []entry{{"gauge_min_1-0.db", m}, {"gauge_max_1-0.db", m}}, true},
		{"two families", []entry{{"counter_1-0.db", m}, {"counter_1-0.db", key("n", "m")}}, true},
		{"per process and a label pid", []entry{{"gauge_all_1-0.db", m}, {"gauge_max_1-0.db", key("m", "m", "pid", "1")}}, true},
		{"per process and not", []entry{{"gauge_all_1-0.db", m}, {"gauge_max_1-0.db", m}}, false},
		{"another series", []entry{{"counter_1-0.db", m}, {"counter_1-0.db", key("n", "n")}, {"gauge_max_1-0.db", key("n", "n")}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Once mixed in one order, once in the other, and always seen again.
			for range 2 {
				table := series.NewTable()
				ids := intern(t, table, tt.entries...)
				if got := table.Mixed(ids[0]); got != tt.want {
					t.Errorf("%v: got %v, want %v", tt.entries, got, tt.want)
				}
				before := table.Mixings()
				if tt.want && before != 1 {
					t.Errorf("%d series are mixed, want 1", before)
				}
				intern(t, table, tt.entries...)
				if table.Mixings() != before {
					t.Errorf("seen again, %d series are mixed, want %d", table.Mixings(), before)
				}
				if table.Mixed(series.None) {
					t.Error("no series is mixed")
				}
				if len(tt.entries) == 2 {
					slices.Reverse(tt.entries)
				}
			}
		})
	}
}

func TestAppendInitial(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"counter_1-0.db", key("a", "a")}, entry{"gauge_min_1-0.db", key("b", "b")})
	values := table.AppendInitial(nil)
	values[1], values[2] = 7, 8
	intern(t, table, entry{"gauge_max_1-0.db", key("c", "c")}, entry{"gauge_all_1-0.db", key("d", "d")}, entry{"histogram_1-0.db", key("e", "e_sum")})
	values = table.AppendInitial(values)

	negativeZero, nan := math.Copysign(0, -1), math.NaN()
	want := []float64{negativeZero, 7, 8, nan, nan, negativeZero}
	if diff := cmp.Diff(bits(want), bits(values)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(values) != table.Len() {
		t.Errorf("%d values for a table of length %d", len(values), table.Len())
	}
}

// A layout that was handed out is read while its table goes on learning.
// Run with the race detector this says more than its result.
func TestLayoutWhileTableChanges(t *testing.T) {
	table := series.NewTable()
	entries := func(from, to int) (e []entry) {
		for i := from; i < to; i++ {
			e = append(e, entry{"counter_1-0.db", key("m", "m", "a", fmt.Sprint(i))})
		}
		return e
	}
	ids := intern(t, table, entries(0, 200)...)
	layout := table.Layout()
	want := page(layout)
	var wait sync.WaitGroup
	wait.Go(func() {
		for range 20 {
			if diff := cmp.Diff(want, page(layout)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
	})
	release(table, ids[:100]...)
	intern(t, table, entries(100, 2000)...)
	intern(t, table, entry{"gauge_all_1-0.db", key("m", "m", "a", "1")}, entry{"gauge_min_1-0.db", key("m", "m", "a", "150")})
	table.Layout()
	wait.Wait()
}

// TestKnownMeanwhile: what was known is found while the table learns more.
func TestKnownMeanwhile(t *testing.T) {
	t.Parallel()
	const before, after = 1500, 20_000
	table := series.NewTable()
	from := source(t, table, "counter_1-0.db")
	name := func(i int) string { return key("m", "m", "i", fmt.Sprint(i*7919%after)) }
	ids := make([]series.ID, after)
	for i := range before {
		ids[i], _ = learn(t, table, from, name(i))
	}
	var wait sync.WaitGroup
	for file := range 4 {
		known, from := table.Known(from), source(t, table, fmt.Sprintf("counter_%d-0.db", file))
		wait.Go(func() {
			for i := range after {
				at := (i*(file+1) + file) % after // each in an order of its own
				id := known.Find([]byte(name(at)), from)
				if at < before && id != ids[at] || at >= before && id != series.None {
					t.Errorf("key %d is found to be %d", at, id)
				}
			}
		})
	}
	for i := before; i < after; i++ {
		ids[i], _, _ = table.Intern([]byte(name(i)), from, clientmmap.ParseKey)
	}
	wait.Wait()
	known := table.Known(from)
	for i := range after {
		if id := known.Find([]byte(name(i)), from); id != ids[i] || id == series.None {
			t.Fatalf("key %d is found to be %d, want %d", i, id, ids[i])
		}
	}
}

// A name that had to give way to ours is not given back.
func TestRawOfOurs(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"counter_1-0.db", key("gme_x", "gme_x", "a.b", "1")}, entry{"counter_1-0.db", key("m", "m", "__name__", "x")})
	raw := table.Layout().Raw
	if raw.Families["exported_gme_x"] != "exported_gme_x" || raw.Labels["exported___name__"] != "exported___name__" {
		t.Errorf("%+v", raw)
	}
}

// Which families disagree is known anew with each that does.
func TestRenamedAgain(t *testing.T) {
	const counter = "counter_1-0.db"
	table := series.NewTable()
	intern(t, table, entry{counter, key("a", "m", "l", "1")}, entry{counter, key("z", "m")}, entry{counter, key("b", "m")})
	if diff := cmp.Diff([]string{"a", "b"}, table.Layout().Conflicts); diff != "" {
		t.Error(diff)
	}
	intern(t, table, entry{counter, key("a", "m")})
	if diff := cmp.Diff([]string{"a"}, table.Layout().Conflicts); diff != "" {
		t.Error(diff)
	}
}

// Names that are spelled alike have none in the files, whoever is met first, and however often.
func TestSpellings(t *testing.T) {
	names := []string{"a.b", "a.b", "a_b", "a_b"}
	for _, order := range [][]int{{0, 1, 2}, {2, 3, 0}, {0, 2, 1}, {2, 0, 3}} {
		table := series.NewTable()
		for i, n := range order {
			intern(t, table, entry{"counter_1-0.db", key(names[n], names[n], "l", string(rune('0'+i)))})
		}
		for i, n := range order {
			intern(t, table, entry{"counter_1-0.db", key("m", "m", names[n], string(rune('0'+i)))})
		}
		raw := table.Layout().Raw
		if raw.Families["a_b"] != "" || raw.Labels["a_b"] != "" || table.Differences() != 2 {
			t.Errorf("%v: %+v, %d differences", order, raw, table.Differences())
		}
	}
	table := series.NewTable()
	intern(t, table, entry{"counter_1-0.db", key("m", "m", "a.b", "1")})
	if raw := table.Layout().Raw; raw == nil || raw.Labels["a_b"] != "a.b" {
		t.Errorf("%+v", raw)
	}
}

// Nor has a family whose samples are not spelled as it is.
func TestSpellingsOfSamples(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("a.b", "a.b_sum")}, entry{"histogram_1-0.db", key("a_b", "a_b_count")})
	if raw := table.Layout().Raw; raw.Families["a_b"] != "" {
		t.Errorf("%+v", raw)
	}
	table = series.NewTable()
	intern(t, table, entry{"histogram_1-0.db", key("a.b", "a.b.sum")})
	if raw := table.Layout().Raw; raw.Families["a_b"] != "" {
		t.Errorf("%+v", raw)
	}
}

// A layout does not change, nor the names that it has.
func TestRawIsKept(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"counter_1-0.db", key("m", "m", "a.b", "1")})
	raw := table.Layout().Raw
	before := maps.Clone(raw.Labels)
	intern(t, table, entry{"counter_1-0.db", key("m", "m", "c.d", "1")})
	if diff := cmp.Diff(before, raw.Labels); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

// A key means in each format what it means there.
func TestKeyOfTwoFormats(t *testing.T) {
	raw := []byte(`["c", "c_total", [], []]`)
	table := series.NewTable()
	for _, o := range []struct {
		file   string
		format discover.Format
		parse  series.ParseFunc
	}{{"counter_1.db", discover.Python, python.ParseKey}, {"counter_1-0.db", discover.ClientMmap, clientmmap.ParseKey}} {
		f, err := discover.Parse(o.file, o.format)
		if err != nil {
			t.Fatal(err)
		}
		id, fresh, err := table.Intern(raw, table.Source(series.Origin{File: f}), o.parse)
		if !fresh || err != nil {
			t.Errorf("%s: fresh %t, %v", o.file, fresh, err)
		}
		table.Retain(id, 1, f)
	}
}

// A key that only another space knows is not known.
func TestKnownOfAnotherSpace(t *testing.T) {
	table := series.NewTable()
	of := func(i int) string { return key("m", "m", "i", fmt.Sprint(i)) }
	one := source(t, table, "counter_1-0.db")
	f := one.File
	f.OwnCounts = true
	other := table.Source(series.Origin{File: f})
	for i := range 3000 {
		if _, err := learn(t, table, one, of(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := table.Intern([]byte(of(0)), other, clientmmap.ParseKey); err != nil {
		t.Fatal(err)
	}
	known := table.Known(other)
	if id := known.Find([]byte(of(2999)), other); id != series.None {
		t.Errorf("found %d", id)
	}
}

// A label that had to give way to a directory's is called what it is called now.
func TestRenamedLabelIsNotRaw(t *testing.T) {
	f, err := discover.Parse("counter_1-0.db", discover.NoFormat)
	if err != nil {
		t.Fatal(err)
	}
	table := series.NewTable()
	from := table.Source(series.Origin{File: f, Labels: []format.Label{{Name: []byte("a_b"), Value: []byte("x")}}})
	if _, err := learn(t, table, from, key("m", "m", "a.b", "1")); err != nil {
		t.Fatal(err)
	}
	if raw := table.Layout().Raw; raw != nil {
		t.Errorf("%+v", raw)
	}
}

// TestWeight: all that a table keeps and that is not there once for each series has a
// weight, so that somebody notices if it grows.
func TestWeight(t *testing.T) {
	table := series.NewTable()
	intern(t, table, entry{"counter_1-0.db", `["m","m",[],[]]`})
	growing := map[string]func(i int){
		"keys that read the same": func(i int) {
			intern(t, table, entry{"counter_1-0.db", `["m","m",[],[]` + strings.Repeat(" ", i+1) + `]`})
		},
		"processes": func(i int) { source(t, table, fmt.Sprintf("gauge_all_%d-0.db", i)) },
		"metrics":   func(i int) { source(t, table, fmt.Sprintf("metric_m%d___1.bin", i)) },
	}
	for name, grow := range growing {
		before, known := table.Weight(), table.Len()
		for range 2 {
			for i := range 100 {
				grow(i)
			}
		}
		if more := table.Weight() - before; more < 100*80 || more > 100*300 || table.Len() != known {
			t.Errorf("100 %s weigh %d bytes", name, more)
		}
	}
	if table.Released() {
		t.Error("nothing was released")
	}
	table.Release(series.None, 1)
	if !table.Released() {
		t.Error("an entry without a series was released")
	}
}
