package collect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// healthy stands beside each damaged file, which may not touch it.
var healthy = image(sample(42, "healthy"))

// raw returns an entry that says its key is length bytes long.
func raw(length uint32, rest string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, length), rest...)
}

// header returns an image of the given size, zeros but for used.
func header(used uint32, size int) []byte {
	return grown(clientmmap.AppendHeader(nil, int64(used)), size)
}

func TestDamage(t *testing.T) {
	a, b := sample(1, "n", "l", "a"), sample(2, "n", "l", "b")
	ab := image(a, b)
	endOfA := a.end(frame.HeaderSize)
	used := uint32(len(ab))
	behindA := func(bad []byte) []byte { // a, and then what no writer writes
		content := append(image(a), bad...)
		return withUsed(content, uint32(len(content)))
	}
	onlyA := []string{"# n counter", `n{l="a"} 1`}
	both := append(append([]string{}, onlyA...), `n{l="b"} 2`)
	const firstKey = frame.HeaderSize + 4
	badKey := func(keys ...string) []byte {
		entries := []entry{a}
		for _, k := range keys {
			entries = append(entries, entry{k, 9})
		}
		return image(append(entries, b)...)
	}
	manyNames, manyValues := strings.Repeat(`"l",`, 200)+`"l"`, strings.Repeat(`1,`, 200)+`1`

	type test struct {
		content []byte
		reason  format.Reason // "" if the file is sound
		offset  int64
		entries int
		badKeys int
		want    []string
	}
	tests := map[string]test{
		"a page of zeros":  {content: make([]byte, 4096)},
		"used 0":           {content: withUsed(ab, 0)},
		"used 0, one page": {content: grown(withUsed(ab, 0), 4096)},

		"used 4 too far":            {content: grown(withUsed(ab, used+4), 4096), entries: 2, want: both},
		"used 5 too far":            {content: grown(withUsed(ab, used+5), 4096), reason: format.BadEntry, offset: int64(used), entries: 2, want: both},
		"used 8 too far":            {content: grown(withUsed(ab, used+8), 4096), reason: format.BadEntry, offset: int64(used), entries: 2, want: both},
		"used 1000 too far":         {content: grown(withUsed(ab, used+1000), 4096), reason: format.BadEntry, offset: int64(used), entries: 2, want: both},
		"used cuts the value":       {content: withUsed(ab, used-4), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"used cuts the padding":     {content: withUsed(ab, used-9), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"used cuts the key":         {content: withUsed(ab, uint32(endOfA)+10), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"used cuts the key at once": {content: withUsed(ab, uint32(endOfA)+5), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"used cuts the length":      {content: withUsed(ab, uint32(endOfA)+3), entries: 1, want: onlyA},
		"used is just the length":   {content: withUsed(ab, uint32(endOfA)+4), entries: 1, want: onlyA},
		"used 8 beyond the file":    {content: withUsed(ab, used+8), reason: format.Truncated, entries: 2, want: both},
		"used 1 beyond the file":    {content: withUsed(ab, used+1), reason: format.Truncated, entries: 2, want: both},
		// The cut is the fault, not the entry that it cuts.
		"used 4 GiB, one page":        {content: grown(withUsed(ab, 0xffffffff), 4096), reason: format.Truncated, entries: 2, want: both},
		"used 4 GiB, full":            {content: withUsed(ab, 0xffffffff), reason: format.Truncated, entries: 2, want: both},
		"used, and nothing else":      {content: header(4096, 8), reason: format.Truncated},
		"file cut in an entry":        {content: ab[:used-4], reason: format.Truncated, entries: 1, want: onlyA},
		"file cut in a length":        {content: ab[:endOfA+2], reason: format.Truncated, entries: 1, want: onlyA},
		"file cut between entries":    {content: ab[:endOfA], reason: format.Truncated, entries: 1, want: onlyA},
		"file cut in the first entry": {content: ab[:20], reason: format.Truncated},

		"length 0":               {content: behindA(raw(0, strings.Repeat("\x00", 20))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"length 2^31":            {content: behindA(raw(1<<31, strings.Repeat("x", 92))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"length 2^31-1":          {content: behindA(raw(1<<31-1, strings.Repeat("x", 92))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"length 0xffffffff":      {content: behindA(raw(0xffffffff, strings.Repeat("x", 92))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"length 0xfffffff4":      {content: behindA(raw(0xfffffff4, strings.Repeat("x", 92))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"length beyond the data": {content: behindA(raw(100, strings.Repeat("x", 92))), reason: format.BadEntry, offset: endOfA, entries: 1, want: onlyA},
		"first length":           {content: withUsed(append(header(0, 8), raw(0xffffffff, strings.Repeat("x", 92))...), 104), reason: format.BadEntry, offset: 8},
	}
	for size := range 8 {
		tests[fmt.Sprintf("%d bytes", size)] = test{content: make([]byte, size)}
		tests[fmt.Sprintf("%d bytes of ones", size)] = test{content: bytes.Repeat([]byte{0xff}, size)}
	}
	for _, used := range []uint32{1, 4, 7, 8, 9, 11, 12} {
		tests[fmt.Sprintf("used %d", used)] = test{content: withUsed(grown(ab, 4096), used)}
	}
	tests["8 zero bytes"] = test{content: make([]byte, 8)}
	for name, key := range map[string]string{
		"not JSON":                     "no JSON",
		"a space":                      " ",
		"half of it":                   `["n","n",["l"],["`,
		"an object":                    `{"n":1}`,
		"empty array":                  `[]`,
		"three parts":                  `["n","n",["l"]]`,
		"five parts":                   `["n","n",[],[],[]]`,
		"something behind":             `["n","n",[],[]]]`,
		"more names than values":       `["n","n",["a","b"],["1"]]`,
		"more values than names":       `["n","n",["a"],["1","2"]]`,
		"names and values differ by 2": `["n","n",["a","b"],[]]`,
		"empty sample name":            `["n","",[],[]]`,
		"empty label name":             `["n","n",[""],["b"]]`,
		"numbers for names":            `[1,1,[],[]]`,
		"barewords":                    `[n,n,[a],[b]]`,
		"bare value":                   `["n","n",["l"],[nullish]]`,
		"bad escape":                   `["n","n",["l"],["\x"]]`,
		"raw NUL":                      "[\"n\",\"n\",[\"l\"],[\"\x00\"]]",
		"raw newline":                  "[\"n\",\"n\",[\"l\"],[\"\n\"]]",
		"not UTF-8":                    "[\"n\",\"n\",[\"l\"],[\"\xff\xfe\"]]",
		"not UTF-8, overlong":          "[\"n\",\"n\",[\"l\"],[\"\xc0\xaf\"]]",
		"one label name twice":         `["n","n",["l","l"],["1","2"]]`,
		"201 label names of one name":  `["n","n",[` + manyNames + `],[` + manyValues + `]]`,
		"JSON that is too deep":        `["n","n",["l"],[` + strings.Repeat("[", 100_000) + `]]`,
	} {
		tests["key: "+name] = test{badKey(key), format.BadKey, endOfA + 4, 2, 1, both}
	}
	tests["three bad keys"] = test{badKey("x", `["n"]`, "y"), format.BadKey, endOfA + 4, 2, 3, both}
	tests["nothing but a bad key"] = test{image(entry{"x", 1}), format.BadKey, firstKey, 0, 1, nil}
	// What ends the file weighs more than one key.
	tests["bad key, then cut"] = test{append(badKey("x"), 0)[:len(badKey("x"))-4], format.Truncated, 0, 1, 1, onlyA}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := inDir(t, map[string][]byte{"counter_damaged-0.db": tt.content, "counter_healthy-0.db": healthy})
			e := collect.New(dir)
			for range 2 {
				got := lookBoth(t, e)
				wantPage(t, got, page("# healthy counter", "healthy 42")+page(tt.want...))
				checkParses(t, got.Page)
				f := got.file(t, "counter_damaged-0.db")
				if f.Entries != tt.entries || f.BadKeys != tt.badKeys || f.Size != int64(len(tt.content)) {
					t.Errorf("%d entries, %d bad keys, %d bytes; want %d, %d, %d", f.Entries, f.BadKeys, f.Size, tt.entries, tt.badKeys, len(tt.content))
				}
				if want := frame.Used(tt.content); f.Used != want {
					t.Errorf("used %d, want %d", f.Used, want)
				}
				checkDamage(t, f.Damage, tt.reason, tt.offset)
				if f := got.file(t, "counter_healthy-0.db"); f.Damage != nil || f.Entries != 1 {
					t.Errorf("the healthy file has %d entries, damage: %v", f.Entries, f.Damage)
				}
			}
		})
	}
}

// checkDamage checks a file's damage. A truncated file is damaged as a whole.
func checkDamage(t *testing.T, got *format.Damage, reason format.Reason, offset int64) {
	t.Helper()
	if reason == format.Truncated {
		offset = -1
	}
	switch {
	case reason == "" && got == nil:
	case reason == "":
		t.Errorf("damage: %v; want none", got)
	case got == nil || got.Reason != reason || got.Offset != offset:
		t.Errorf("damage: %+v; want %s at %d", got, reason, offset)
	case got.Error() == "":
		t.Error("damage without words")
	}
}

// checkParses checks that the page is one for Prometheus' own parser.
func checkParses(t testing.TB, page string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(page)); err != nil {
		t.Fatalf("the page cannot be parsed: %v", err)
	}
}

// TestOddFiles puts things into the directory that have a metric file's name.
func TestOddFiles(t *testing.T) {
	const odd = "counter_odd-0.db"
	good := image(sample(7, "good"))
	tests := map[string]struct {
		make   func(t *testing.T, path string)
		reason format.Reason
		served bool
	}{
		"directory": {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, format.NotRegular, false},
		"directory with a file": {func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o700))
			rewrite(t, filepath.Join(path, "counter_1-0.db"), good)
		}, format.NotRegular, false},
		"pipe": {func(t *testing.T, path string) { fifo(t, path) }, format.NotRegular, false},
		"pipe with a writer": {func(t *testing.T, path string) {
			fifo(t, path)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			t.Cleanup(func() { f.Close() })
			_, err = f.Write(good)
			must(t, err)
		}, format.NotRegular, false},
		"device": {func(t *testing.T, path string) { must(t, os.Symlink("/dev/zero", path)) }, format.NotRegular, false},
		"link to a pipe": {func(t *testing.T, path string) {
			fifo(t, path+".pipe")
			must(t, os.Symlink(path+".pipe", path))
		}, format.NotRegular, false},
		"link to itself": {func(t *testing.T, path string) { loop(t, path) }, format.Unreadable, false},
		"link through a file": {func(t *testing.T, path string) {
			rewrite(t, path+".txt", nil)
			must(t, os.Symlink(path+".txt/x", path))
		}, format.Unreadable, false},
		// It cannot be told from a file that vanished just now.
		"dangling link": {func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) }, "", false},
		"link": {func(t *testing.T, path string) {
			rewrite(t, path+".target", good)
			must(t, os.Symlink(filepath.Base(path)+".target", path))
		}, "", true},
		"link to a link out of the directory": {func(t *testing.T, path string) {
			outside := filepath.Join(t.TempDir(), "x")
			rewrite(t, outside, good)
			must(t, os.Symlink(outside, path+".1"))
			must(t, os.Symlink(path+".1", path))
		}, "", true},
		"hard link": {func(t *testing.T, path string) {
			rewrite(t, path+".x", good)
			must(t, os.Link(path+".x", path))
		}, "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := inDir(t, map[string][]byte{"counter_healthy-0.db": healthy})
			tt.make(t, filepath.Join(dir, odd))
			within(t, patience, "reading the directory", func() {
				e := collect.New(dir)
				for range 2 {
					got := lookBoth(t, e)
					want := page("# healthy counter", "healthy 42")
					if tt.served {
						want = page("# good counter", "good 7") + want
					}
					wantPage(t, got, want)
					checkDamage(t, got.file(t, odd).Damage, tt.reason, -1)
				}
			})
		})
	}
}

// TestSocket: what format.NotRegular says of sockets.
func TestSocket(t *testing.T) {
	// Addresses are short: so it cannot be made where it belongs.
	dir, err := os.MkdirTemp("", "")
	must(t, err)
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, one))
	must(t, err)
	defer l.Close()
	checkDamage(t, look(t, collect.New(dir)).file(t, one).Damage, format.NotRegular, -1)
}

// TestUsedOfUnreadable: what cannot be read has no size, and nothing in use,
// whatever it was before.
func TestUsedOfUnreadable(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: healthy})
	e := collect.New(dir)
	look(t, e)
	must(t, os.Remove(filepath.Join(dir, one)))
	must(t, os.Mkdir(filepath.Join(dir, one), 0o700))
	if f := look(t, e).file(t, one); f.Used != 0 || f.Size != 0 || f.Entries != 0 {
		t.Errorf("size %d, used %d, %d entries; want 0", f.Size, f.Used, f.Entries)
	}
}

func TestNames(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		one: healthy, "counter.db": image(sample(1, "a")), "exemplar_1-0.db": image(sample(1, "b")), "gauge_all_\xff-0.db": image(sample(1, "c")),
		"gauge_min_1-0.db": nil, ".db": healthy, "counter_1-0.db.lock": healthy,
	})
	got := lookBoth(t, collect.New(dir))
	wantPage(t, got, page("# healthy counter", "healthy 42"))
	var names []string
	for _, f := range got.Files {
		names = append(names, f.Name)
		reason, offset := format.BadName, int64(-1)
		if f.Name == one || f.Name == "gauge_min_1-0.db" {
			reason, offset = "", 0
		}
		checkDamage(t, f.Damage, reason, offset)
	}
	if diff := cmp.Diff([]string{"counter.db", one, "exemplar_1-0.db", "gauge_all_\xff-0.db", "gauge_min_1-0.db"}, names); diff != "" {
		t.Errorf("files: -want +got\n%s", diff)
	}
}

// allocated returns how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestAllocation: what a hostile file makes us allocate is in proportion to
// what it holds, not to what it says.
func TestAllocation(t *testing.T) {
	const engine = 4 << 20 // windows and tables, for any directory
	random := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	_, err := source.Read(random)
	must(t, err)
	names, labels := make([]string, 100_000), make([]any, 100_000)
	for i := range names {
		names[i], labels[i] = fmt.Sprintf("l%06d", i), ""
	}
	manyLabels, err := clientmmap.AppendKey(nil, "m", "m", names, labels)
	must(t, err)
	huge := strings.Repeat("x", 10<<20)
	tests := map[string]struct {
		content []byte
		size    int64  // to which the file is grown, by a hole
		per     uint64 // bytes allocated for each byte of content
		entries int
	}{
		"4 GiB of zeros":           {header(0xfffffff8, 8), 1 << 32, 0, 0},
		"4 GiB of zeros, used 0":   {nil, 1 << 32, 0, 0},
		"used 4 GiB in 4 KiB":      {header(0xffffffff, 4096), 0, 0, 0},
		"length 0xffffffff":        {append(header(0xffffffff, 8), raw(0xffffffff, "")...), 4096, 0, 0},
		"length 0xfffffff4":        {append(header(0xffffffff, 8), raw(0xfffffff4, "")...), 1 << 32, 0, 0},
		"length of 2 GiB in 4 KiB": {append(header(0xffffffff, 8), raw(1<<31-1, "")...), 4096, 0, 0},
		"key of 10 MB":             {image(sample(1, "m", "l", huge)), 0, 6, 1},
		"bad key of 10 MB":         {image(entry{huge, 1}), 0, 6, 0},
		"key of 100,000 labels":    {image(entry{string(manyLabels), 1}), 0, 60, 1},
		"random bytes":             {random, 0, 6, 0},
		"random bytes below used":  {withUsed(random, 1<<20), 0, 6, 0},
		"1 MiB of smallest keys":   {image(repeated(entry{"x", 1}, 1<<20/24)...), 0, 6, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), one)
			rewrite(t, path, tt.content)
			if tt.size > 0 {
				must(t, os.Truncate(path, tt.size))
			}
			rewrite(t, filepath.Join(filepath.Dir(path), two), healthy)
			e := collect.New(filepath.Dir(path))
			for _, when := range []string{"first", "second"} {
				var s *collect.Snapshot
				got := allocated(func() {
					var err error
					s, err = e.Collect(context.Background())
					must(t, err)
				})
				if limit := engine + tt.per*uint64(len(tt.content)); got > limit {
					t.Errorf("%s scrape: %d bytes allocated for a file of %d; want at most %d", when, got, len(tt.content), limit)
				}
				if n := s.Files[0].Entries; n != tt.entries {
					t.Errorf("%s scrape: %d entries, want %d", when, n, tt.entries)
				}
				if f := s.Files[1]; f.Entries != 1 || f.Damage != nil {
					t.Errorf("%s scrape: the healthy file has %d entries, damage: %v", when, f.Entries, f.Damage)
				}
				s.Release()
			}
		})
	}
}

// TestAllocationForHole: a key of 2 GiB in a file that is nothing but a hole
// must not cost 2 GiB of memory. No writer makes such keys.
func TestAllocationForHole(t *testing.T) {
	path := filepath.Join(t.TempDir(), one)
	rewrite(t, path, append(header(0xfffffff8, 8), raw(1<<30, "")...))
	must(t, os.Truncate(path, 1<<32))
	e := collect.New(filepath.Dir(path))
	if got := allocated(func() { look(t, e) }); got > 64<<20 {
		t.Errorf("%d MiB allocated", got>>20)
	}
}

func repeated(e entry, n int) []entry {
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = e
	}
	return entries
}

// A file has a size, even if its name is none in its format.
func TestSizeOfBadName(t *testing.T) {
	content := pythonImage(stamped, stampedEntry{key: pythonKey("c", "c_total", "{}", "Help."), value: 1})
	f := look(t, collect.New(inDir(t, map[string][]byte{"gauge_1.db": content}))).file(t, "gauge_1.db")
	if checkDamage(t, f.Damage, format.BadName, -1); f.Size != int64(len(content)) {
		t.Errorf("%d bytes, want %d", f.Size, len(content))
	}
}
