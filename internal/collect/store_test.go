package collect_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
)

// storeImage is a file of DirectFileStore, in the layout since 2.1.0.
func storeImage(entries ...stampedEntry) []byte {
	return pythonImage(frame.Layout{Stamped: true}, entries...)
}

// declare writes what the application says of its metrics.
func declare(t tb, dir, metrics string) {
	t.Helper()
	replace(t, filepath.Join(dir, directfilestore.MetadataName), []byte(`{"version":1,"metrics":[`+metrics+`]}`))
}

// What nobody said anything about is what its keys give away; what they do not is
// kept apart by process.
func TestStoreInfers(t *testing.T) {
	e := collect.New(inDir(t, map[string][]byte{
		"metric_c_total___1.bin": storeImage(stampedEntry{"", 1, 1}, stampedEntry{"l=a+b", 2, 1}),
		"metric_c_total___2.bin": storeImage(stampedEntry{"l=a+b", 3, 1}),
		"metric_g___1.bin":       storeImage(stampedEntry{"pid=1", 5, 1}),
		"metric_g___2.bin":       storeImage(stampedEntry{"pid=2", 6, 1}),
		"metric_h___1.bin":       storeImage(stampedEntry{"le=1", 1, 1}, stampedEntry{"le=sum", 0.5, 1}),
		"metric_h___2.bin":       storeImage(stampedEntry{"le=%2BInf", 2, 1}, stampedEntry{"le=sum", 50, 1}),
		"metric_h2___1.bin":      storeImage(stampedEntry{"le=1&z=2", 1, 1}, stampedEntry{"le=sum&z=2", 0.5, 1}),
		"metric_s___1.bin":       storeImage(stampedEntry{"quantile=count", 2, 1}, stampedEntry{"quantile=sum", 3, 1}),
		"metric_u___1.bin":       storeImage(stampedEntry{"", 7, 1}),
		"metric_u___2.bin":       storeImage(stampedEntry{"", 8, 1}),
		"metric_e___1.bin":       storeImage(),
	}))
	want := page("# c_total counter", "c_total 1", `c_total{l="a b"} 5`, "# g gauge", `g{pid="1"} 5`, `g{pid="2"} 6`,
		"# h histogram", `h_bucket{le="1"} 1`, `h_bucket{le="+Inf"} 3`, "h_sum 50.5", "h_count 3",
		"# h2 histogram", `h2_bucket{z="2",le="1"} 1`, `h2_bucket{z="2",le="+Inf"} 1`, `h2_sum{z="2"} 0.5`, `h2_count{z="2"} 1`,
		"# s summary", "s_sum 3", "s_count 2", "# u untyped", `u{pid="1"} 7`, `u{pid="2"} 8`)
	wantPage(t, lookBoth(t, e), want)
	wantPage(t, lookBoth(t, e), want)
	s, err := e.Collect(t.Context())
	must(t, err)
	if n := s.WithoutMetadata(); n != 6 {
		t.Errorf("%d metrics without metadata, want 6", n)
	}
}

// A key that comes later may say what the metric is.
func TestStoreInfersLater(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_h___1.bin": storeImage(stampedEntry{"le=1", 1, 1})})
	e := collect.New(dir)
	wantPage(t, lookBoth(t, e), page("# h untyped", `h{pid="1",le="1"} 1`))
	rewrite(t, dir+"/metric_h___1.bin", storeImage(stampedEntry{"le=1", 1, 1}, stampedEntry{"le=sum", 0.5, 1}))
	wantPage(t, lookBoth(t, e), page("# h histogram", `h_bucket{le="1"} 1`, `h_bucket{le="+Inf"} 1`, "h_sum 0.5", "h_count 1"))
}

// So it may if the name, or another key, has said otherwise before.
func TestStoreInfersOtherwise(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_h_total___1.bin": storeImage(stampedEntry{"le=1&pid=7", 1, 1})})
	e := collect.New(dir)
	wantPage(t, lookBoth(t, e), page("# h_total gauge", `h_total{pid="7",le="1"} 1`))
	rewrite(t, dir+"/metric_h_total___1.bin", storeImage(stampedEntry{"le=1&pid=7", 1, 1}, stampedEntry{"le=sum&pid=7", 0.5, 1}))
	wantPage(t, lookBoth(t, e), page("# h_total histogram", `h_total_bucket{pid="7",le="1"} 1`, `h_total_bucket{pid="7",le="+Inf"} 1`,
		`h_total_sum{pid="7"} 0.5`, `h_total_count{pid="7"} 1`))
}

// Metadata are read when they come, change and go; while they are damaged, what was
// known stays.
func TestStoreMetadata(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"metric_m___1.bin": storeImage(stampedEntry{"", 7, 20}),
		"metric_m___2.bin": storeImage(stampedEntry{"", 8, 10}),
	})
	e := collect.New(dir)
	apart := page("# m untyped", `m{pid="1"} 7`, `m{pid="2"} 8`)
	wantPage(t, lookBoth(t, e), apart)
	for aggregation, want := range map[string]string{"max": "8", "min": "7", "sum": "15", "most_recent": "7"} {
		declare(t, dir, `{"name":"m","type":"gauge","help":"Help.","aggregation":"`+aggregation+`"}`)
		wantPage(t, lookBoth(t, e), helped("# m gauge", "m "+want))
	}
	declare(t, dir, `{"name":"m","type":"counter","help":"Help."}`)
	counter := helped("# m counter", "m 15")
	wantPage(t, lookBoth(t, e), counter)

	metadata := filepath.Join(dir, directfilestore.MetadataName)
	for _, damaged := range []string{"", "{", `{"version":2}`, strings.Repeat(" ", 17<<20)} {
		replace(t, metadata, []byte(damaged))
		wantPage(t, look(t, e), counter)
		s, err := e.Collect(t.Context())
		must(t, err)
		if s.Dirs[0].MetadataErr == nil {
			t.Errorf("%.20q is no metadata, but nobody says so", damaged)
		}
		s.Release()
	}
	must(t, os.Remove(metadata))
	wantPage(t, lookBoth(t, e), apart)

	declare(t, dir, `{"name":"m","type":"gauge","aggregation":"max"}`)
	s, err := collect.Config{
		Dirs: e.Dirs, Metadata: directfilestore.Metadata{"m": {Type: discover.Gauge, Aggregation: directfilestore.Min}},
	}.Engine().Collect(t.Context())
	must(t, err)
	if got, want := text(t, s), page("# m gauge", "m 7"); got != want {
		t.Errorf("the operator's word does not count:\n%s", got)
	}
}

// Declared buckets are there with the first observation, and go with the last file.
func TestStoreBuckets(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_h___1.bin": storeImage(stampedEntry{"l=a&le=1", 1, 1}, stampedEntry{"l=a&le=sum", 0.5, 1})})
	declare(t, dir, `{"name":"h","type":"histogram","help":"Help.","buckets":["0.1","1","10"]}`)
	e := collect.New(dir)
	want := []string{"# h histogram", `h_bucket{l="a",le="0.1"} 0`, `h_bucket{l="a",le="1"} 1`, `h_bucket{l="a",le="10"} 1`, `h_bucket{l="a",le="+Inf"} 1`,
		`h_sum{l="a"} 0.5`, `h_count{l="a"} 1`}
	wantPage(t, lookBoth(t, e), helped(want...))
	rewrite(t, dir+"/metric_h___2.bin", storeImage(stampedEntry{"l=b&le=%2BInf", 1, 1}, stampedEntry{"l=b&le=sum", 50, 1}))
	wantPage(t, lookBoth(t, e), helped(append(want,
		`h_bucket{l="b",le="0.1"} 0`, `h_bucket{l="b",le="1"} 0`, `h_bucket{l="b",le="10"} 0`, `h_bucket{l="b",le="+Inf"} 1`,
		`h_sum{l="b"} 50`, `h_count{l="b"} 1`)...))
	must(t, os.Remove(dir+"/metric_h___2.bin"))
	wantPage(t, lookBoth(t, e), helped(want...))
	must(t, os.Remove(dir+"/metric_h___1.bin"))
	if got := lookBoth(t, e); got.Page != "" || got.Series != 0 {
		t.Errorf("%+v", got)
	}
}

// Directories whose applications declare other buckets of one metric have those of all,
// whoever is met first; and those of who is left.
func TestStoreBucketsOfTwo(t *testing.T) {
	dirs := []collect.Directory{{Path: t.TempDir()}, {Path: t.TempDir()}}
	entries := storeImage(stampedEntry{"le=1", 1, 1}, stampedEntry{"le=sum", 0.5, 1})
	for i, last := range []string{"2", "5"} {
		rewrite(t, filepath.Join(dirs[i].Path, "metric_h___1.bin"), entries)
		declare(t, dirs[i].Path, `{"name":"h","type":"histogram","help":"Help.","buckets":["1","`+last+`"]}`)
	}
	e := collect.Config{Dirs: dirs}.Engine()
	wantPage(t, lookBoth(t, e), helped("# h histogram", `h_bucket{le="1"} 2`, `h_bucket{le="2"} 2`, `h_bucket{le="5"} 2`,
		`h_bucket{le="+Inf"} 2`, "h_sum 1", "h_count 2"))
	must(t, os.Remove(filepath.Join(dirs[0].Path, "metric_h___1.bin")))
	wantPage(t, lookBoth(t, e), helped("# h histogram", `h_bucket{le="1"} 1`, `h_bucket{le="5"} 1`, `h_bucket{le="+Inf"} 1`, "h_sum 0.5", "h_count 1"))
}

// Of directories whose applications explain a metric differently, or not at all, the page
// has the first text in byte order; whoever is met first, and only of who is left.
func TestStoreHelpOfTwo(t *testing.T) {
	dirs := []collect.Directory{{Path: t.TempDir()}, {Path: t.TempDir()}, {Path: t.TempDir()}}
	e := collect.Config{Dirs: dirs}.Engine()
	for i, step := range []struct{ help, want string }{{"", "Multiprocess metric"}, {"Of two.", "Of two."}, {"Of three.", "Of three."}} {
		declare(t, dirs[i].Path, `{"name":"c","type":"counter","help":"`+step.help+`"}`)
		rewrite(t, filepath.Join(dirs[i].Path, "metric_c___1.bin"), storeImage(stampedEntry{"", 1, 1}))
		wantHelp(t, lookBoth(t, e), step.want)
	}
	must(t, os.Remove(filepath.Join(dirs[2].Path, "metric_c___1.bin")))
	wantHelp(t, lookBoth(t, e), "Of two.")
	must(t, os.Remove(filepath.Join(dirs[1].Path, "metric_c___1.bin")))
	wantHelp(t, lookBoth(t, e), "Multiprocess metric")
}

func wantHelp(t *testing.T, got view, want string) {
	t.Helper()
	if !strings.HasPrefix(got.Page, "# HELP c "+want+"\n") {
		t.Errorf("want %q in\n%s", want, got.Page)
	}
}

// What is declared counts at once, also when so much is gone that everything is learnt
// anew.
func TestStoreMetadataWhenMuchIsGone(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"metric_m___1.bin": storeImage(stampedEntry{"", 7, 20}), "metric_m___2.bin": storeImage(stampedEntry{"", 8, 10}),
	})
	var many []entry
	for i := range 6000 {
		many = append(many, sample(1, "c", "l", i))
	}
	rewrite(t, filepath.Join(dir, one), image(many...))
	declare(t, dir, `{"name":"m","type":"gauge","help":"Help.","aggregation":"max"}`)
	e := collect.New(dir)
	look(t, e)
	must(t, os.Remove(filepath.Join(dir, one)))
	look(t, e) // from now on they are gone
	declare(t, dir, `{"name":"m","type":"gauge","help":"Help.","aggregation":"sum"}`)
	wantPage(t, lookBoth(t, e), helped("# m gauge", "m 15"))
}

// Metadata that nobody needs any more are no fault.
func TestStoreMetadataGo(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: healthy, "metric_m___1.bin": storeImage(stampedEntry{"", 7, 20})})
	replace(t, filepath.Join(dir, directfilestore.MetadataName), []byte("{"))
	e := collect.New(dir)
	for _, damaged := range []bool{true, false} {
		s, err := e.Collect(t.Context())
		must(t, err)
		if got := s.Dirs[0].MetadataErr; (got != nil) != damaged {
			t.Errorf("metadata: %v", got)
		}
		s.Release()
		must(t, os.RemoveAll(filepath.Join(dir, "metric_m___1.bin")))
	}
}

// Without timestamps nobody can tell the most recent value: processes are kept
// apart.
func TestStoreOldLayout(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_m___1.bin": pythonImage(frame.Layout{}, stampedEntry{key: "", value: 7}, stampedEntry{key: "l=a", value: 8})})
	declare(t, dir, `{"name":"m","type":"gauge","aggregation":"most_recent"}`)
	wantPage(t, lookBoth(t, collect.New(dir)), page("# m gauge", `m{pid="1"} 7`, `m{l="a",pid="1"} 8`))
}

// Metadata that could not be read, and can again, unchanged, are no fault any more.
func TestMetadataReadableAgain(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_m___1.bin": storeImage(stampedEntry{"", 7, 20})})
	declare(t, dir, `{"name":"m","type":"gauge","help":"Help.","aggregation":"max"}`)
	metadata := filepath.Join(dir, directfilestore.MetadataName)
	e := collect.New(dir)
	want := helped("# m gauge", "m 7")
	wantPage(t, look(t, e), want)
	must(t, os.Rename(metadata, metadata+".away"))
	loop(t, metadata)
	wantPage(t, look(t, e), want) // what cannot be read leaves it as it was
	must(t, os.Rename(metadata+".away", metadata))
	s, err := e.Collect(t.Context())
	must(t, err)
	defer s.Release()
	if s.Dirs[0].MetadataErr != nil {
		t.Errorf("metadata: %v", s.Dirs[0].MetadataErr)
	}
}

// What is wrong with metadata is said in few words, however many there are in them: it
// goes to the log, and is kept as long as it is wrong.
func TestMetadataOfHugeNonsense(t *testing.T) {
	huge := strings.Repeat("1", 1<<20)
	for _, text := range []string{
		`{"version":1` + huge + `,"metrics":[]}`,
		`{"version":1,"metrics":[{"name":"` + huge + `"}]}`,
		`{"version":1,"metrics":[{"name":` + huge + `}]}`,
		`{"version":1,"metrics":[{"name":"m","type":"` + huge + `"}]}`,
		`{"version":1,"metrics":[{"name":"m","type":"gauge","aggregation":"` + huge + `"}]}`,
		`{"version":1,"metrics":[{"name":"m","type":"histogram","buckets":["` + huge + `"]}]}`,
		`{"version":1,"metrics":[{"name":"m","type":"histogram","buckets":[1,"0.` + huge + `"]}]}`,
	} {
		path := filepath.Join(t.TempDir(), directfilestore.MetadataName)
		rewrite(t, path, []byte(text))
		if _, err := collect.ReadMetadata(path); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.80s: an error of %d bytes", text, len(fmt.Sprint(err)))
		}
	}
}

// Metadata that are replaced count at once, also within one tick of the clock of files.
func TestMetadataOfOneMoment(t *testing.T) {
	dir := inDir(t, map[string][]byte{"metric_m___1.bin": storeImage(stampedEntry{"", 7, 20}), "metric_m___2.bin": storeImage(stampedEntry{"", 8, 10})})
	metadata := filepath.Join(dir, directfilestore.MetadataName)
	e := collect.New(dir)
	var first os.FileInfo
	for aggregation, want := range map[string]string{"max": "8", "most_recent": "7"} {
		declare(t, dir, `{"name":"m","type":"gauge","help":"Help.","aggregation":"`+aggregation+`"}`)
		if first == nil {
			info, err := os.Stat(metadata)
			must(t, err)
			first = info
		}
		must(t, os.Chtimes(metadata, first.ModTime(), first.ModTime()))
		wantPage(t, lookBoth(t, e), helped("# m gauge", "m "+want))
	}
}

// A damaged file is read twice; its entries count once.
func TestDamagedStore(t *testing.T) {
	content := append(storeImage(stampedEntry{"", 7, 1}), raw(1<<31, strings.Repeat("x", 92))...)
	dir := inDir(t, map[string][]byte{"metric_m___1.bin": withUsed(content, uint32(len(content)))})
	e := collect.New(dir)
	for range 2 {
		wantPage(t, look(t, e), page("# m untyped", `m{pid="1"} 7`))
	}
}
