package collect_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A step changes a directory between two scrapes.
type step struct {
	what string
	do   func(t *testing.T, dir string)
	want []string // lines of the page afterwards, as for page
}

// put returns what writes a whole file, by one of rewrite, replace, recreate.
func put(how func(tb, string, []byte), name string, content []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) { how(t, filepath.Join(dir, name), content) }
}

func remove(names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, name := range names {
			must(t, os.Remove(filepath.Join(dir, name)))
		}
	}
}

func truncate(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, name), size)) }
}

func all(dos ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, do := range dos {
			do(t, dir)
		}
	}
}

func patched(name string, at int64, content []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) { patch(t, filepath.Join(dir, name), at, content) }
}

const (
	one = "counter_1-0.db"
	two = "counter_2-0.db"
)

// TestChange lets one engine see each kind of change that a directory can go
// through between two scrapes. After each it must see what a new engine sees.
func TestChange(t *testing.T) {
	a, b := sample(1, "c", "l", "a"), sample(2, "c", "l", "b")
	ab := image(a, b)
	endOfA := a.end(frame.HeaderSize)
	valueOfA := endOfA - 8
	onlyA := []string{"# c counter", `c{l="a"} 1`}
	both := []string{"# c counter", `c{l="a"} 1`, `c{l="b"} 2`}
	start := step{"start", put(rewrite, one, ab), both}

	sameLengths := image(sample(3, "c", "l", "x"), sample(4, "c", "l", "y"))
	otherXY := []string{"# c counter", `c{l="x"} 3`, `c{l="y"} 4`}
	sameEnds := image(sample(3, "d", "l", "a"), sample(4, "d", "l", "b"))
	otherD := []string{"# d counter", `d{l="a"} 3`, `d{l="b"} 4`}
	longer := image(sample(3, "c", "l", "longer by far than before"), sample(4, "c"))
	otherLonger := []string{"# c counter", `c 4`, `c{l="longer by far than before"} 3`}
	fewer := image(sample(7, "c", "l", "b"))
	otherFewer := []string{"# c counter", `c{l="b"} 7`}
	sameKeys := image(sample(5, "c", "l", "a"), sample(6, "c", "l", "b"))
	otherValues := []string{"# c counter", `c{l="a"} 5`, `c{l="b"} 6`}

	hollow := make([]byte, 156)
	copy(hollow, image(sample(1, "counter", "l", ""), sample(2, "counter", "l", "x"), sample(3, "counter", "l", "y"), sample(4, "counter", "l", "z"))[:17])
	hollow[152] = 1 // the length of the fourth

	g := func(value float64) []byte { return image(sample(value, "g", "l", "a")) }

	tests := map[string][]step{
		"file appears": {
			{"empty directory", func(*testing.T, string) {}, nil},
			{"one file", put(rewrite, one, ab), both},
			{"another", put(rewrite, two, ab), []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 4`}},
			{"one that sorts before", put(rewrite, "counter_0-0.db", image(a, sample(9, "aa"))),
				[]string{"# aa counter", "aa 9", "# c counter", `c{l="a"} 3`, `c{l="b"} 4`}},
		},
		"file grows": {
			{"empty file", put(rewrite, one, nil), nil},
			{"truncated to a page by its writer", truncate(one, 4096), nil},
			{"one entry, used not yet moved", patched(one, 8, image(a)[8:]), nil},
			{"used moves", patched(one, 0, clientmmap.AppendHeader(nil, endOfA)), onlyA},
			{"another entry", patched(one, 0, ab), both},
			{"and a page more, in place", put(rewrite, one, grown(ab, 8192)), both},
		},
		"value changes": {
			start,
			{"up", patched(one, valueOfA, frame.AppendFloat(nil, 10)), []string{"# c counter", `c{l="a"} 10`, `c{l="b"} 2`}},
			{"down, as after a wrap", patched(one, valueOfA, frame.AppendFloat(nil, -1)), []string{"# c counter", `c{l="a"} -1`, `c{l="b"} 2`}},
			{"not a number", patched(one, valueOfA, frame.AppendFloat(nil, math.NaN())), []string{"# c counter", `c{l="a"} NaN`, `c{l="b"} 2`}},
		},
		"renamed over: same keys":             {start, {"", put(replace, one, sameKeys), otherValues}},
		"renamed over: other keys":            {start, {"", put(replace, one, longer), otherLonger}},
		"renamed over: fewer keys":            {start, {"", put(replace, one, fewer), otherFewer}},
		"renamed over: same lengths":          {start, {"", put(replace, one, sameLengths), otherXY}},
		"renamed over: same lengths and ends": {start, {"", put(replace, one, sameEnds), otherD}},
		"created anew: same keys":             {start, {"", put(recreate, one, sameKeys), otherValues}},
		"created anew: other keys":            {start, {"", put(recreate, one, longer), otherLonger}},
		"created anew: fewer keys":            {start, {"", put(recreate, one, fewer), otherFewer}},
		"created anew: same lengths":          {start, {"", put(recreate, one, sameLengths), otherXY}},
		"created anew: same lengths and ends": {start, {"", put(recreate, one, sameEnds), otherD}},
		"rewritten in place: same keys":       {start, {"", put(rewrite, one, sameKeys), otherValues}},
		"rewritten in place: other keys":      {start, {"", put(rewrite, one, longer), otherLonger}},
		"rewritten in place: fewer keys":      {start, {"", put(rewrite, one, fewer), otherFewer}},
		// In place the engine can tell keys of one length apart only by what
		// stands in the eight bytes before the value; see column.values.
		"rewritten in place: same lengths, other ends": {
			{"", put(rewrite, one, image(sample(1, "c", "l", "endings"))), []string{"# c counter", `c{l="endings"} 1`}},
			{"", put(rewrite, one, image(sample(2, "c", "l", "endingz"))), []string{"# c counter", `c{l="endingz"} 2`}},
			{"", put(rewrite, one, image(sample(3, "c", "l", "endIngz"))), []string{"# c counter", `c{l="endIngz"} 3`}},
		},
		"wiped": {start, {"removed", remove(one), nil}, {"back", put(rewrite, one, ab), both}},
		"wiped while another stays": {
			{"two files", all(put(rewrite, one, ab), put(rewrite, two, image(a))), []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 2`}},
			{"", remove(one), onlyA},
			{"", all(remove(two), put(rewrite, one, ab)), both},
		},
		"used shrinks": {
			start,
			{"to the first entry", patched(one, 0, clientmmap.AppendHeader(nil, endOfA)), onlyA},
			{"to nothing", patched(one, 0, clientmmap.AppendHeader(nil, 8)), nil},
			{"to a new file's", patched(one, 0, clientmmap.AppendHeader(nil, 0)), nil},
			{"and is back", patched(one, 0, clientmmap.AppendHeader(nil, int64(len(ab)))), both},
			{"into an entry", patched(one, 0, clientmmap.AppendHeader(nil, endOfA+13)), onlyA},
			{"and is back", patched(one, 0, clientmmap.AppendHeader(nil, int64(len(ab)))), both},
		},
		"truncated below used": {
			start,
			{"within the second entry", truncate(one, endOfA+10), onlyA},
			{"to the first entry", truncate(one, endOfA), onlyA},
			{"within the header", truncate(one, 5), nil},
			{"to nothing", truncate(one, 0), nil},
			{"grown again", put(rewrite, one, ab), both},
			{"within the first entry", truncate(one, 20), nil},
			{"grown again, by zeros", truncate(one, int64(len(ab))), nil},
			{"and filled", patched(one, 0, longer), otherLonger},
		},
		"emptied in place": {
			start,
			{"", put(rewrite, one, nil), nil},
			{"rewritten", put(rewrite, one, longer), otherLonger},
			{"emptied and rewritten at once", all(put(rewrite, one, nil), put(rewrite, one, ab)), both},
		},
		"directory": {
			start,
			{"removed and created again", func(t *testing.T, dir string) {
				must(t, os.RemoveAll(dir))
				must(t, os.Mkdir(dir, 0o700))
			}, nil},
			{"with a file", put(rewrite, one, sameLengths), otherXY},
			{"removed and created again with a file", func(t *testing.T, dir string) {
				must(t, os.Rename(dir, dir+".old"))
				must(t, os.Mkdir(dir, 0o700))
				rewrite(t, filepath.Join(dir, one), ab)
			}, both},
		},
		"unreadable": {
			{"two files", all(put(rewrite, one, ab), put(rewrite, two, image(a))), []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 2`}},
			{"a symbolic link to itself", func(t *testing.T, dir string) {
				must(t, os.Remove(filepath.Join(dir, one)))
				loop(t, filepath.Join(dir, one))
			}, onlyA},
			{"again", func(*testing.T, string) {}, onlyA},
			{"readable again", put(replace, one, ab), []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 2`}},
			{"a directory", func(t *testing.T, dir string) {
				must(t, os.Remove(filepath.Join(dir, one)))
				must(t, os.Mkdir(filepath.Join(dir, one), 0o700))
			}, onlyA},
			{"a file again", func(t *testing.T, dir string) {
				must(t, os.Remove(filepath.Join(dir, one)))
				rewrite(t, filepath.Join(dir, one), ab)
			}, []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 2`}},
			{"a dangling link", func(t *testing.T, dir string) {
				must(t, os.Remove(filepath.Join(dir, one)))
				must(t, os.Symlink("nowhere", filepath.Join(dir, one)))
			}, onlyA},
			{"no dangling link", func(t *testing.T, dir string) {
				rewrite(t, filepath.Join(dir, "nowhere"), ab)
			}, []string{"# c counter", `c{l="a"} 2`, `c{l="b"} 2`}},
		},
		"damage is repaired": {
			start,
			{"a length", patched(one, endOfA, []byte{0xff, 0xff, 0xff, 0xff}), onlyA},
			{"the first length", patched(one, 8, []byte{0, 0, 0, 0}), nil},
			{"both repaired", patched(one, 0, ab), both},
			{"a bad key at the end", put(rewrite, one, image(a, b, entry{"[", 9})), both},
			{"more after it", put(rewrite, one, image(a, b, entry{"[", 9}, sample(5, "c"))), append([]string{"# c counter", "c 5"}, both[1:]...)},
			{"without it", put(replace, one, ab), both},
		},
		// What follows the entries can say what the file is, as long as they are few.
		"damaged behind the first entry": {
			{"nothing but its length", put(rewrite, one, hollow), nil},
			{"and less behind it", truncate(one, 61), nil},
		},
		"two files swap": {
			{"", all(put(rewrite, one, image(a)), put(rewrite, two, image(b))), both},
			{"", func(t *testing.T, dir string) {
				must(t, os.Rename(filepath.Join(dir, one), filepath.Join(dir, "x")))
				must(t, os.Rename(filepath.Join(dir, two), filepath.Join(dir, one)))
				must(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, two)))
			}, both},
			{"", remove(one), onlyA},
		},
		// The rule of the first file by name holds while there are both, and
		// the other's when it is alone again.
		"types in conflict": {
			{"counter", put(rewrite, one, g(10)), []string{"# g counter", `g{l="a"} 10`}},
			{"and min", put(rewrite, "gauge_min_1-0.db", g(3)), []string{"# g untyped", `g{l="a"} 13`}},
			{"another min", put(rewrite, "gauge_min_2-0.db", g(2)), []string{"# g untyped", `g{l="a"} 15`}},
			{"only min", remove(one), []string{"# g gauge", `g{l="a"} 2`}},
			{"counter again", put(rewrite, one, g(10)), []string{"# g untyped", `g{l="a"} 15`}},
			{"only counter", remove("gauge_min_1-0.db", "gauge_min_2-0.db"), []string{"# g counter", `g{l="a"} 10`}},
		},
		"types in conflict, the later file first": {
			{"min", put(rewrite, "gauge_min_1-0.db", g(3)), []string{"# g gauge", `g{l="a"} 3`}},
			{"and counter", put(rewrite, one, g(10)), []string{"# g untyped", `g{l="a"} 13`}},
			{"only counter", remove("gauge_min_1-0.db"), []string{"# g counter", `g{l="a"} 10`}},
		},
		"modes in conflict": {
			{"max, min", all(put(rewrite, "gauge_max_1-0.db", g(5)), put(rewrite, "gauge_min_1-0.db", g(3))), []string{"# g gauge", `g{l="a"} 5`}},
			{"livesum, max, min", put(rewrite, "gauge_livesum_1-0.db", g(1)), []string{"# g gauge", `g{l="a"} 9`}},
			{"max, min", remove("gauge_livesum_1-0.db"), []string{"# g gauge", `g{l="a"} 5`}},
			{"min", remove("gauge_max_1-0.db"), []string{"# g gauge", `g{l="a"} 3`}},
		},
		"conflict within one file that stays": {
			{"both", all(put(rewrite, one, image(a)), put(rewrite, "gauge_max_1-0.db", image(b, sample(5, "c", "l", "a")))),
				[]string{"# c untyped", `c{l="a"} 6`, `c{l="b"} 2`}},
			{"replaced", put(replace, "gauge_max_1-0.db", image(sample(5, "other"))), append(append([]string{}, onlyA...), "# other gauge", "other 5")},
		},
		// One type goes in the same moment as the other comes, or before: they
		// were never there together.
		"another type later": {
			{"counter", put(rewrite, one, g(10)), []string{"# g counter", `g{l="a"} 10`}},
			{"none", remove(one), nil},
			{"min", put(rewrite, "gauge_min_1-0.db", g(3)), []string{"# g gauge", `g{l="a"} 3`}},
			{"and another min", put(rewrite, "gauge_min_2-0.db", g(2)), []string{"# g gauge", `g{l="a"} 2`}},
		},
		"another type at once": {
			{"counter", put(rewrite, one, g(10)), []string{"# g counter", `g{l="a"} 10`}},
			{"min", all(remove(one), put(rewrite, "gauge_min_1-0.db", g(3))), []string{"# g gauge", `g{l="a"} 3`}},
			{"livesum", all(remove("gauge_min_1-0.db"), put(rewrite, "gauge_livesum_1-0.db", g(math.Copysign(0, -1)))), []string{"# g gauge", `g{l="a"} -0`}},
		},
		"another family later": {
			{"one", put(rewrite, one, image(entry{key("b", "s"), 1})), []string{"# s untyped", "s 1"}},
			{"none", remove(one), nil},
			{"another", put(rewrite, one, image(entry{key("s", "s"), 2})), []string{"# s counter", "s 2"}},
		},
		"families in conflict": {
			{"one", put(rewrite, one, image(entry{key("b", "s"), 1})), []string{"# s untyped", "s 1"}},
			{"two", put(rewrite, two, image(entry{key("s", "s"), 2})), []string{"# s untyped", "s 3"}},
			{"the other one", remove(one), []string{"# s counter", "s 2"}},
			{"and back", all(remove(two), put(rewrite, one, image(entry{key("b", "s"), 1}))), []string{"# s untyped", "s 1"}},
			{"and back at once", all(remove(one), put(rewrite, two, image(entry{key("s", "s"), 2}))), []string{"# s counter", "s 2"}},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "metrics")
			must(t, os.Mkdir(dir, 0o700))
			e := collect.New(dir)
			for i, s := range steps {
				s.do(t, dir)
				for range 2 { // the second scrape finds nothing new
					got := look(t, e)
					if want := page(s.want...); got.Page != want {
						t.Fatalf("step %d, %s: page:\n%swant:\n%s", i, s.what, got.Page, want)
					}
				}
				lookBoth(t, e)
			}
		})
	}
}

// TestFileNotPermitted is the row of TestChange that root cannot play.
func TestFileNotPermitted(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything; TestChange makes files unreadable in other ways")
	}
	dir := inDir(t, map[string][]byte{one: image(sample(1, "c")), two: image(sample(2, "c"))})
	e := collect.New(dir)
	wantPage(t, lookBoth(t, e), page("# c counter", "c 3"))
	must(t, os.Chmod(filepath.Join(dir, one), 0))
	got := lookBoth(t, e)
	wantPage(t, got, page("# c counter", "c 2"))
	if d := got.file(t, one).Damage; d == nil || d.Reason != format.Unreadable {
		t.Errorf("damage: %v", d)
	}
	must(t, os.Chmod(filepath.Join(dir, one), 0o600))
	wantPage(t, lookBoth(t, e), page("# c counter", "c 3"))
}

// TestDirectoryComesAndGoes: no directory is an error, and the engine is none
// the worse for it.
func TestDirectoryComesAndGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "metrics")
	e := collect.New(dir)
	refused := func(what string) {
		t.Helper()
		if s, err := e.Collect(t.Context()); err == nil {
			t.Fatalf("%s: got\n%s, want an error", what, text(t, s))
		}
	}
	refused("missing")
	must(t, os.Mkdir(dir, 0o700))
	wantPage(t, lookBoth(t, e), "")
	rewrite(t, filepath.Join(dir, one), image(sample(1, "c")))
	wantPage(t, lookBoth(t, e), page("# c counter", "c 1"))
	must(t, os.RemoveAll(dir))
	refused("removed")
	rewrite(t, dir, nil)
	refused("a file")
	must(t, os.Remove(dir))
	loop(t, dir)
	refused("a link to itself")
	must(t, os.Remove(dir))
	must(t, os.Mkdir(dir, 0o700))
	wantPage(t, lookBoth(t, e), "")
	rewrite(t, filepath.Join(dir, one), image(sample(2, "d")))
	wantPage(t, lookBoth(t, e), page("# d counter", "d 2"))
}

func TestNoDirectory(t *testing.T) {
	if _, err := collect.New("").Collect(t.Context()); err != collect.ErrNoDirectory {
		t.Errorf("got %v, want %v", err, collect.ErrNoDirectory)
	}
}

// TestChangeInLargeFile is about the windows that a file is read through:
// entries that lie across their edges, and keys larger than one.
func TestChangeInLargeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), one)
	e := collect.New(filepath.Dir(path))
	var entries []entry
	for i := range 1500 {
		size := i * 7 % 700
		if i%500 == 499 {
			size = 200_000 + i*23
		}
		entries = append(entries, sample(float64(i), "c", "l", fmt.Sprintf("%05d%s", i, strings.Repeat("x", size))))
	}
	check := func(n int) {
		t.Helper()
		got := lookBoth(t, e)
		if f := got.file(t, one); f.Entries != n || f.Damage != nil {
			t.Fatalf("%d entries, damage %v; want %d entries", f.Entries, f.Damage, n)
		}
		for i := range n {
			if i%99 == 0 && !strings.Contains(got.Page, fmt.Sprintf("c%s %d\n", label(entries[i].key), int(entries[i].value))) {
				t.Fatalf("with %d entries: number %d is missing", n, i)
			}
		}
	}
	for _, n := range []int{1, 400, 600, 1500} {
		rewrite(t, path, image(entries[:n]...))
		check(n)
	}
	at := int64(frame.HeaderSize)
	for i := range entries {
		entries[i].value += 10_000
		at = entries[i].end(at)
		if i%5 == 0 {
			continue
		}
		entries[i].value -= 10_000
	}
	patch(t, path, 0, image(entries...))
	check(1500)
}

// label returns the labels of a key with one label l, as on the page.
func label(k string) string {
	_, value, _ := strings.Cut(k, `["l"],["`)
	return `{l="` + strings.TrimSuffix(value, `"]]`) + `"}`
}

// A pool is what random files are made of.
type pool struct {
	names []string
	keys  func(file string) []string
}

// peaceful is a pool as one application makes it: no two files disagree.
func peaceful() pool {
	p := pool{names: []string{
		"counter_1-0.db", "counter_2-0.db", "counter_2-1.db", "gauge_all_1-0.db", "gauge_all_1-1.db", "gauge_liveall_2-0.db",
		"gauge_livesum_1-0.db", "gauge_livesum_2-0.db", "gauge_max_1-0.db", "gauge_max_2-0.db", "gauge_min_1-0.db", "gauge_min_2-0.db",
		"histogram_1-0.db", "histogram_2-0.db", "summary_1-0.db", "foo_1-0.db",
	}}
	p.keys = func(file string) []string {
		kind := file[:strings.LastIndexByte(strings.TrimSuffix(file, ".db"), '_')]
		kind = strings.Replace(kind, "liveall", "all", 1)
		var keys []string
		for i := range 8 {
			pad := strings.Repeat("x", i) // no two keys have one length
			switch kind {
			case "histogram":
				keys = append(keys, key("h", "h_bucket", "l", "a", "le", strings.Repeat("0", i)+"1"))
			case "summary":
				keys = append(keys, key("s", "s_sum", "l", pad), key("s", "s_count", "l", strings.Repeat("y", i+20)))
			default:
				keys = append(keys, key(kind, kind, "l", pad))
			}
		}
		if kind == "histogram" {
			keys = append(keys, key("h", "h_sum", "l", "a"), key("h", "h_count", "l", "a"), key("h", "h_count"))
		}
		return distinct(keys)
	}
	return p
}

// hostile is a pool in which files disagree about most things.
func hostile() pool {
	return pool{
		names: []string{
			"counter_1-0.db", "counter_2-0.db", "gauge_all_1-0.db", "gauge_all_2-0.db", "gauge_min_1-0.db", "gauge_max_1-0.db",
			"histogram_1-0.db", "summary_1-0.db", "foo_1-0.db", "counter.db", "exemplar_1-0.db",
		},
		keys: func(string) []string {
			return distinct([]string{
				key("m", "m"), key("m", "m", "pid", "1"), key("m", "m", "a", nil), key("m", "m", "a", "  "), // the last two differ
				key("m", "m", "aaa", ""), key("m", "m", "aaa", nil), // these two do not
				key("m", "m", "number", 1), key("m", "m", "number", "1"),
				key("m", "m_sum"), key("m", "m_bucket", "le", "1"), key("m", "m_bucket", "le", "no number"), key("m", "m_count", "long_label", "y"),
				key("another_family", "m"), key("a_family_that_sorts_first", "m", "number", 1), key("z_family_that_sorts_last_of_all", "m"),
				`[`, `["m","m",["a","b"],["one value"]]`, "[\"m\",\"m\",[],[]] \xff", key("m", "", "no", "sample name at all"),
			})
		},
	}
}

// distinct drops keys until no two left have the same length. So no two files
// made of them can be taken for each other: see column.values.
func distinct(keys []string) []string {
	seen := map[int]bool{}
	var left []string
	for _, k := range keys {
		if !seen[len(k)] {
			seen[len(k)] = true
			left = append(left, k)
		}
	}
	return left
}

var values = []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 0.2, 1e16, -1e16, math.Inf(1), math.Inf(-1), math.NaN(), 3, 1e-300}

// TestRandomChange does random things to a directory. After each few of them
// an engine that knows the directory must see what a new one sees.
func TestRandomChange(t *testing.T) {
	t.Parallel()
	fewChecks()
	root := t.TempDir()
	runs := 0
	for name, p := range map[string]pool{"peaceful": peaceful(), "hostile": hostile()} {
		check := func(t *rapid.T) {
			runs++
			dir := filepath.Join(root, fmt.Sprint(runs))
			must(t, os.Mkdir(dir, 0o700))
			defer os.RemoveAll(dir)
			c := &changer{T: t, dir: dir, pool: p, files: map[string][]entry{}}
			e := collect.Config{Dirs: []collect.Directory{{Path: dir}}, Births: rapid.Bool().Draw(t, "births")}.Engine()
			t.Repeat(map[string]func(*rapid.T){
				"":       func(t *rapid.T) { lookBoth(t, e) },
				"write":  c.also((*changer).write),
				"append": c.also((*changer).append),
				"set":    c.also((*changer).set),
				"remove": c.also((*changer).remove),
				"cut":    c.also((*changer).cut),
				"damage": c.also((*changer).damage),
				"odd":    c.also((*changer).odd),
				"wipe":   c.also((*changer).wipe),
			})
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, check)
		})
	}
}

// fewChecks makes rapid do a few checks, of some 30 steps each, if nobody says how many:
// seconds, not a minute. Once, because tests run side by side.
var fewChecks = sync.OnceFunc(func() {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("15"); err != nil {
			panic(err)
		}
	}
})

// A changer changes a directory at random.
type changer struct {
	*rapid.T
	dir   string
	pool  pool
	files map[string][]entry // what was written last, whatever became of it
}

// also returns an action that changes one file, and sometimes another before
// the next scrape.
func (c *changer) also(change func(c *changer, name string)) func(*rapid.T) {
	return func(t *rapid.T) {
		c.T = t
		change(c, c.name())
		for rapid.IntRange(0, 2).Draw(t, "more") == 0 {
			c.write(c.name())
		}
	}
}

func (c *changer) name() string { return rapid.SampledFrom(c.pool.names).Draw(c.T, "file") }

func (c *changer) path(name string) string { return filepath.Join(c.dir, name) }

func (c *changer) entries(name string, label string) []entry {
	one := rapid.Custom(func(t *rapid.T) entry {
		return entry{rapid.SampledFrom(c.pool.keys(name)).Draw(t, "key"), rapid.SampledFrom(values).Draw(t, "value")}
	})
	return rapid.SliceOfN(one, 0, 6).Draw(c.T, label)
}

// store writes what c.files says, in one of the ways in which files change.
func (c *changer) store(name string) {
	path, content := c.path(name), image(c.files[name]...)
	content = grown(content, len(content)+rapid.SampledFrom([]int{0, 0, 1, 4096}).Draw(c.T, "room"))
	info, err := os.Lstat(path)
	switch how := rapid.IntRange(0, 2).Draw(c.T, "how"); {
	case err == nil && !info.Mode().IsRegular(), how == 0:
		must(c, os.RemoveAll(path))
		rewrite(c, path, content)
	case how == 1:
		replace(c, path, content)
	default:
		rewrite(c, path, content)
	}
}

func (c *changer) write(name string) {
	c.files[name] = c.entries(name, "entries")
	c.store(name)
}

func (c *changer) append(name string) {
	c.files[name] = append(c.files[name], c.entries(name, "more entries")...)
	c.store(name)
}

// regular reports whether name is a file that can be changed in place.
func (c *changer) regular(name string) bool {
	info, err := os.Lstat(c.path(name))
	return err == nil && info.Mode().IsRegular()
}

// start draws one of the entries that were written last, and where it starts.
func (c *changer) start(name string) (at int64, e entry) {
	at = frame.HeaderSize
	entries := c.files[name]
	n := rapid.IntRange(0, len(entries)-1).Draw(c.T, "entry")
	for _, e := range entries[:n] {
		at = e.end(at)
	}
	return at, entries[n]
}

func (c *changer) set(name string) {
	if !c.regular(name) || len(c.files[name]) == 0 {
		return
	}
	at, e := c.start(name)
	patch(c, c.path(name), e.end(at)-8, frame.AppendFloat(nil, rapid.SampledFrom(values).Draw(c.T, "value")))
}

func (c *changer) remove(name string) { must(c, os.RemoveAll(c.path(name))) }

// cut truncates a file, or lowers used.
func (c *changer) cut(name string) {
	if !c.regular(name) {
		return
	}
	size := int64(rapid.IntRange(0, 400).Draw(c.T, "size"))
	if rapid.Bool().Draw(c.T, "used") {
		patch(c, c.path(name), 0, clientmmap.AppendHeader(nil, size))
		return
	}
	must(c, os.Truncate(c.path(name), size))
}

// damage overwrites a length: of the data, or of a key.
func (c *changer) damage(name string) {
	if !c.regular(name) {
		return
	}
	at := int64(0)
	if len(c.files[name]) > 0 && rapid.Bool().Draw(c.T, "of a key") {
		at, _ = c.start(name)
	}
	// None of these moves a value by less than eight bytes: the engine takes
	// it for granted that a length that fits its place is still the same.
	length := rapid.SampledFrom([]uint32{0, 1, 1 << 20, 1 << 31, 0xfffffff4, 0xffffffff}).Draw(c.T, "length")
	patch(c, c.path(name), at, clientmmap.AppendHeader(nil, int64(length))[:4])
}

// odd makes something else of a file.
func (c *changer) odd(name string) {
	path := c.path(name)
	must(c, os.RemoveAll(path))
	switch rapid.IntRange(0, 4).Draw(c.T, "odd") {
	case 0:
		must(c, os.Mkdir(path, 0o700))
	case 1:
		fifo(c, path)
	case 2:
		loop(c, path)
	case 3:
		must(c, os.Symlink("nowhere", path))
	case 4:
		must(c, os.Symlink(c.pool.names[0], path))
	}
}

// wipe removes everything, as applications do when they start.
func (c *changer) wipe(string) {
	must(c, os.RemoveAll(c.dir))
	must(c, os.Mkdir(c.dir, 0o700))
}

// Keys that are rewritten in place are known anew wherever they differ.
func TestOtherEnds(t *testing.T) {
	dir := t.TempDir()
	e := collect.New(dir)
	for _, l := range []string{"endings", "eNdings", "eNdingz"} {
		rewrite(t, filepath.Join(dir, one), image(sample(1, "c", "l", l)))
		wantPage(t, lookBoth(t, e), page("# c counter", `c{l="`+l+`"} 1`))
	}
}

// What a file was taken for is forgotten with its last entry.
func TestDamagedThenEmpty(t *testing.T) {
	content := image(sample(1, "c"))
	dir := inDir(t, map[string][]byte{one: content})
	e := collect.New(dir)
	patch(t, filepath.Join(dir, one), 8, []byte{0xff, 0xff, 0xff, 0xff})
	lookBoth(t, e)
	must(t, os.Truncate(filepath.Join(dir, one), 8))
	lookBoth(t, e)
}

// A file that grew again and again takes all its series with it.
func TestFileGrowsAndGoes(t *testing.T) {
	dir := inDir(t, map[string][]byte{two: healthy})
	e := collect.New(dir)
	var entries []entry
	for i := range 4 {
		entries = append(entries, sample(1, "c", "l", i))
		rewrite(t, filepath.Join(dir, one), image(entries...))
		lookBoth(t, e)
	}
	must(t, os.Remove(filepath.Join(dir, one)))
	wantPage(t, lookBoth(t, e), page("# healthy counter", "healthy 42"))
}
