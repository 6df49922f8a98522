package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/frame"
)

// pythonDamage is a file that something is wrong with, or only seems to be.
type pythonDamage struct {
	file    string // counter_1.db if it is empty
	content []byte

	library string // the exception that the library's whole page is lost to, if any

	reason format.Reason // what we say of it, if anything
	want   map[string]float64
}

// pythonHealthy stands beside each damaged file.
var (
	pythonHealthy = map[string][]byte{
		"counter_2.db": pythonImage(pythonOld, pythonEntry{`["healthy", "healthy_total", {}, "H."]`, 40}),
		"counter_3.db": pythonImage(pythonOld, pythonEntry{`["healthy", "healthy_total", {}, "H."]`, 2}),
	}
	pythonHealthyWant = map[string]float64{"healthy_total": 42}
)

// pythonDamages are all kinds of damage, by name.
func pythonDamages() map[string]pythonDamage {
	key := func(b string) string { return fmt.Sprintf(`["a", "a_total", {"b": %q}, "A."]`, b) }
	three := []pythonEntry{{key("1"), 1}, {key("2"), 2}, {key("3"), 3}}
	series := func(n ...int) map[string]float64 {
		m := map[string]float64{}
		for _, i := range n {
			m[fmt.Sprintf(`a_total b="%d"`, i)] = float64(i)
		}
		return m
	}
	image := pythonImage(pythonOld, three...)
	size := len(image)
	entry := (size - frame.HeaderSize) / 3 // all are of one size
	second, third := frame.HeaderSize+entry, frame.HeaderSize+2*entry
	page := func(b []byte) []byte { return append(slices.Clone(b), make([]byte, 4096-len(b))...) }
	poke := func(at int, number uint32) []byte {
		b := page(image)
		binary.LittleEndian.PutUint32(b[at:], number)
		return b
	}
	withKey := func(bad string) []byte {
		return pythonImage(pythonOld, three[0], pythonEntry{bad, 2}, three[2])
	}

	// A file that an old version left with one entry, continued by a new one,
	// which takes the entry to have a timestamp.
	continued := append(pythonImage(pythonOld, three[0]), pythonImage(pythonNew, three[1:]...)[frame.HeaderSize:]...)
	binary.LittleEndian.PutUint32(continued, uint32(len(continued)))
	overwritten := slices.Clone(continued)
	copy(overwritten[second:], make([]byte, 8))

	const short, json, unicode = "struct.error", "json.decoder.JSONDecodeError", "UnicodeDecodeError"
	return map[string]pythonDamage{
		"whole":               {content: page(image), want: series(1, 2, 3)},
		"cut exactly at used": {content: image, want: series(1, 2, 3)},

		"size 0":         {library: short},
		"size 1":         {content: make([]byte, 1), library: short},
		"size 3":         {content: image[:3], library: short},
		"a page of zero": {content: make([]byte, 4096)},
		"used 0":         {content: poke(0, 0)},
		"used 8":         {content: poke(0, 8)},
		// The library takes it for nothing; we for a file that is cut.
		"used -1":    {content: poke(0, math.MaxUint32), reason: format.Truncated, want: series(1, 2, 3)},
		"used -2^31": {content: poke(0, 1<<31), reason: format.Truncated, want: series(1, 2, 3)},

		"cut in a value":              {content: image[:size-3], library: short, reason: format.Truncated, want: series(1, 2)},
		"cut in a key":                {content: image[:third+20], library: short, reason: format.Truncated, want: series(1, 2)},
		"cut in a length":             {content: image[:third+2], library: short, reason: format.Truncated, want: series(1, 2)},
		"cut between entries":         {content: image[:third], library: short, reason: format.Truncated, want: series(1, 2)},
		"cut in the first entry":      {content: image[:20], library: short, reason: format.Truncated},
		"cut behind the header":       {content: image[:frame.HeaderSize], library: short, reason: format.Truncated},
		"cut to a page":               {content: poke(0, 65536), library: json, reason: format.Truncated, want: series(1, 2, 3)},
		"used a little too large":     {content: poke(0, uint32(size)+8), library: json, reason: format.BadEntry, want: series(1, 2, 3)},
		"used too large":              {content: poke(0, 4096), library: json, reason: format.BadEntry, want: series(1, 2, 3)},
		"used too small for an entry": {content: poke(0, uint32(size)-8), library: "", reason: format.BadEntry, want: series(1, 2)},

		"length too large":                        {content: poke(second, 10_000), library: "RuntimeError", reason: format.BadEntry, want: series(1)},
		"length larger than used":                 {content: poke(third, uint32(size)), library: "RuntimeError", reason: format.BadEntry, want: series(1, 2)},
		"length 2^31-1":                           {content: poke(second, math.MaxInt32), library: "RuntimeError", reason: format.BadEntry, want: series(1)},
		"length 0":                                {content: poke(second, 0), library: json, reason: format.BadEntry, want: series(1)},
		"length -16":                              {content: poke(second, 0xfffffff0), library: json, reason: format.BadEntry, want: series(1)},
		"length of the first":                     {content: poke(frame.HeaderSize, 10_000), library: "RuntimeError", reason: format.BadEntry},
		"key of bad UTF-8":                        {content: withKey("[\"a\", \"a_total\", {\"b\": \"\xff\"}, \"A.\"]"), library: unicode, reason: format.BadKey, want: series(1, 3)},
		"key of bad JSON":                         {content: withKey(`["a", "a_total", {"b": "2}, "A."]`), library: json, reason: format.BadKey, want: series(1, 3)},
		"key that is half of one":                 {content: pythonImage(pythonNew, three[0], pythonEntry{key("2")[:20], 2}, three[2]), library: json, reason: format.BadKey, want: series(1, 3)},
		"key that is half of one, no timestamps":  {content: pythonImage(pythonOld, three[0], pythonEntry{key("2")[:20], 2}, three[2]), library: json, reason: format.BadKey, want: series(1, 3)},
		"first key is half of one, no timestamps": {content: pythonImage(pythonOld, pythonEntry{`["a", "a_total", {"b`, 9}, three[1], three[2]), library: json, reason: format.BadKey, want: series(2, 3)},
		"first key is half of one":                {content: pythonImage(pythonNew, pythonEntry{`["a", "a_total", {"b`, 9}, three[1], three[2]), library: json, reason: format.BadKey, want: series(2, 3)},
		"key of another shape":                    {content: withKey(`["a", "a_total"]`), library: "ValueError", reason: format.BadKey, want: series(1, 3)},
		"first key of bad UTF-8":                  {content: pythonImage(pythonOld, pythonEntry{"[\"a\", \"a_total\", {\"b\": \"\xff\"}, \"A.\"]", 9}, three[1], three[2]), library: unicode, reason: format.BadKey, want: series(2, 3)},

		"name without a process": {file: "foo.db", content: image, library: "ValueError", reason: format.BadName},
		"counter.db":             {file: "counter.db", content: image, library: "ValueError", reason: format.BadName},
		"gauge without a process": {file: "gauge_all.db", content: pythonImage(pythonOld, pythonEntry{`["g", "g", {}, "G."]`, 1}),
			library: "IndexError", reason: format.BadName},
		// What is not known is served without a type.
		"name of another type": {file: "foo_1.db", content: image, library: "ValueError", want: series(1, 2, 3)},

		"keys of three parts": {content: pythonImage(pythonOld, pythonEntry{`["a", "a_total", {"b": "1"}]`, 1}, pythonEntry{`["a", "a_total", {"b": "2"}]`, 2}),
			library: "ValueError", want: series(1, 2)},
		"keys of lists": {content: pythonImage(pythonOld, pythonEntry{`["a_total", "a_total", ["b"], ["1"]]`, 1}, pythonEntry{`["a_total", "a_total", ["b"], ["2"]]`, 2}),
			library: "AttributeError", want: series(1, 2)},
		"timestamps":                 {content: pythonImage(pythonNew, three...), library: json, want: series(1, 2, 3)},
		"timestamp of one entry":     {content: page(pythonImage(pythonNew, three[:1]...)), library: json, want: series(1)},
		"continued with timestamps":  {content: page(continued), library: json, reason: format.BadEntry, want: series(1, 2)},
		"continued, and overwritten": {content: page(overwritten), library: json, reason: format.BadEntry, want: series(1)},
	}
}

// TestPythonDamage puts every kind of damage beside files in good order. The
// library then has no page at all; ours lacks nothing that is sound.
func TestPythonDamage(t *testing.T) {
	version := strings.TrimSpace(run(t, nil, python, "-c", "from importlib.metadata import version; print(version('prometheus_client'))").stdout)
	if !strings.HasPrefix(version, "0.16.") {
		t.Logf("what the library does is known of 0.16, not of %s", version)
	}
	for name, tt := range pythonDamages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.file == "" {
				tt.file = "counter_1.db"
			}
			files := maps.Clone(pythonHealthy)
			files[tt.file] = tt.content
			dir := pythonDir(t, files)

			text, stderr := render(t, dir)
			got, err := parseOurs(t, text).values()
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(pythonHealthyWant)
			maps.Copy(want, tt.want)
			if err := differ(want, got); err != nil {
				t.Error(err)
			}
			if named := strings.Contains(stderr, tt.file); named != (tt.reason != "") {
				t.Errorf("stderr names %s: %v; it is %q", tt.file, named, stderr)
			}
			snapshot := pythonSnapshot(t, dir)
			defer snapshot.Release()
			checkPythonDamage(t, snapshot, tt.file, tt.reason)

			if strings.HasPrefix(version, "0.16.") {
				checkLibrary(t, dir, tt.library)
			}
		})
	}
}

// checkLibrary checks which exception the library's page is lost to.
func checkLibrary(t *testing.T, dir, exception string) {
	t.Helper()
	r := run(t, nil, python, filepath.Join("testdata", "python", "read.py"), dir)
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	last := lines[len(lines)-1]
	switch {
	case exception == "" && r.code != 0:
		t.Errorf("the library does not read it: %s", excerpt(r.stderr))
	case exception == "":
		got := parsePython(t, r.stdout)["healthy_total"].Samples
		if want := map[string]string{identity("healthy_total", map[string]string{}): bits(42)}; !maps.Equal(want, got) {
			t.Errorf("the library's healthy_total is %v, want %v", got, want)
		}
	case r.code == 0 || !strings.HasPrefix(last, exception):
		t.Errorf("the library does not fail with %s: exit status %d, %s", exception, r.code, last)
	}
}

func pythonSnapshot(t *testing.T, dir string) *collect.Snapshot {
	t.Helper()
	s, err := collect.New(dir).Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkPythonDamage checks what a snapshot says of one file, and that it says
// nothing of the others.
func checkPythonDamage(t *testing.T, s *collect.Snapshot, file string, reason format.Reason) {
	t.Helper()
	for _, f := range s.Files {
		got := format.Reason("")
		if f.Damage != nil {
			got = f.Damage.Reason
		}
		switch {
		case f.Name == file && got != reason:
			t.Errorf("%s: damage is %q, want %q: %v", f.Name, got, reason, f.Damage)
		case f.Name != file && got != "":
			t.Errorf("%s: %v", f.Name, f.Damage)
		}
	}
}

// TestPythonDamageServed serves all damaged files at once.
func TestPythonDamageServed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	files, want, reasons := maps.Clone(pythonHealthy), maps.Clone(pythonHealthyWant), map[format.Reason]float64{}
	for i, name := range slices.Sorted(maps.Keys(pythonDamages())) {
		tt := pythonDamages()[name]
		if tt.file == "" {
			tt.file = fmt.Sprintf("counter_%d.db", 100+i)
		}
		if tt.file == "foo_1.db" {
			continue // the family would lose its type
		}
		files[tt.file] = tt.content
		for id, value := range tt.want {
			want[id] += value
		}
		reasons[tt.reason]++
	}
	for _, reason := range format.Reasons {
		want[fmt.Sprintf("gme_mmap_damaged_files reason=%q", reason)] = reasons[reason]
	}
	url := serve(ctx, t, pythonDir(t, files))
	for range 2 { // the second scrape finds everything as the first has left it
		p, err := scrape(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		values, err := p.values()
		if err != nil {
			t.Fatal(err)
		}
		for id, number := range want {
			if got, ok := values[id]; !ok || got != number {
				t.Errorf("%s is %v (there: %v), want %v", id, got, ok, number)
			}
		}
	}
}

// TestPythonCut cuts a small file at every byte, and says at every byte that the
// data end there: what is read is as many entries as are whole, and each of them
// right.
func TestPythonCut(t *testing.T) {
	for name, layout := range map[string]frame.Layout{"until 0.17": pythonOld, "since 0.18": pythonNew} {
		for _, how := range []string{"cut", "used"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				testPythonCut(t, layout, how == "used")
			})
		}
	}
}

func testPythonCut(t *testing.T, layout frame.Layout, byUsed bool) {
	const file = "histogram_1.db"
	bucket := func(le string) string {
		return fmt.Sprintf(`["h", "h_bucket", {"le": %q, "path": "/"}, "H."]`, le)
	}
	entries := []pythonEntry{
		{`["h", "h_sum", {"path": "/"}, "H."]`, 12.5}, {bucket("0.5"), 3}, {bucket("1.0"), 4}, {bucket("+Inf"), 5},
		{`["i", "i_sum", {}, ""]`, -1}, {`["i", "i_bucket", {"le": "+Inf"}, ""]`, 1},
	}
	beside := []pythonEntry{{entries[0].key, 0.25}, {bucket("0.5"), 100}, {bucket("1.0"), 200}, {bucket("+Inf"), 300}}
	whole := pythonImage(layout, entries...)
	ends := []int{frame.HeaderSize}
	for n := range entries {
		ends = append(ends, len(pythonImage(layout, entries[:n+1]...)))
	}
	dir := pythonDir(t, map[string][]byte{"histogram_2.db": pythonImage(pythonNew, beside...)})

	for at := range len(whole) + 1 {
		content := whole[:at]
		if byUsed {
			content = append(frame.AppendHeader(nil, int64(at)), whole[frame.HeaderSize:]...)
		}
		if err := replaceFile(filepath.Join(dir, file), content); err != nil {
			t.Fatal(err)
		}
		before := 0 // entries before the cut
		for before < len(entries) && ends[before+1] <= at {
			before++
		}
		snapshot := pythonSnapshot(t, dir)
		got := map[string]float64{}
		for _, f := range snapshot.Layout.Families {
			for _, id := range f.Series {
				got[seriesIdentity(snapshot.Layout, id)] = snapshot.Value(id)
			}
		}
		// It takes two entries to tell whether there are timestamps, or one and
		// where the data end: until then an entry may be missed that has none,
		// or one be found that lacks part of its timestamp.
		missed := layout == pythonOld && before == 1 && (!byUsed || at >= ends[1]+8)
		early := layout == pythonNew && byUsed && before == 0 && at >= ends[1]-8
		err := differ(pythonHistograms(entries[:before], beside), got)
		switch {
		case err != nil && missed:
			err = differ(pythonHistograms(nil, beside), got)
		case err != nil && early:
			err = differ(pythonHistograms(entries[:1], beside), got)
		}
		if err != nil {
			t.Errorf("at %d: %v", at, err)
		}
		checkSnapshotPage(t, snapshot)
		reason := format.Truncated
		switch damage := snapshot.Files[0].Damage; {
		case byUsed && at-ends[before] <= 4, at == len(whole), at < frame.HeaderSize:
			reason = ""
		case byUsed:
			reason = format.BadEntry
			if damage == nil && (missed || early) {
				reason = "" // for the same reason
			}
		}
		checkPythonDamage(t, snapshot, file, reason)
		snapshot.Release()
	}
}

// pythonHistograms is what the page has of the entries of two files.
func pythonHistograms(files ...[]pythonEntry) map[string]float64 {
	sums := map[string]float64{}
	for _, entries := range files {
		for _, e := range entries {
			sums[e.key] += e.value
		}
	}
	want := map[string]float64{}
	for _, h := range []struct {
		name, labels, help string
		bounds             []string
	}{{"h", `, "path": "/"`, "H.", []string{"0.5", "1.0", "+Inf"}}, {"i", "", "", []string{"+Inf"}}} {
		labels := map[string]string{}
		if h.labels != "" {
			labels["path"] = "/"
		}
		sum, begun := sums[fmt.Sprintf(`["%s", "%s_sum", {%s}, "%s"]`, h.name, h.name, strings.TrimPrefix(h.labels, ", "), h.help)]
		if begun {
			want[identity(h.name+"_sum", labels)] = sum
		}
		total := 0.0
		for _, le := range h.bounds {
			own, ok := sums[fmt.Sprintf(`["%s", "%s_bucket", {"le": %q%s}, "%s"]`, h.name, h.name, le, h.labels, h.help)]
			if !ok && !(begun && le == "+Inf") { // which is always there
				continue
			}
			total += own
			bucket := maps.Clone(labels)
			bucket["le"] = le
			want[identity(h.name+"_bucket", bucket)] = total
			want[identity(h.name+"_count", labels)] = total
		}
	}
	return want
}

// checkSnapshotPage checks that the page of a snapshot is in good order.
func checkSnapshotPage(t *testing.T, s *collect.Snapshot) {
	t.Helper()
	var text bytes.Buffer
	w := exposition.NewWriter(nil)
	w.Begin(&text, exposition.Text)
	if err := w.Page(s, s.Layout.Families, nil); err != nil {
		t.Fatal(err)
	}
	parseOurs(t, text.String())
}
