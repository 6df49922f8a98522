package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestParity compares the two pages of a directory written with label values
// and numbers chosen to break a reader, once for each way in which
// applications write JSON.
func TestParity(t *testing.T) {
	for _, encoder := range []string{"plain", "active_support", "escape_slash", "ascii_only"} {
		t.Run(encoder, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, "nasty.rb", dir, encoder)
			compare(t, dir)
		})
	}
}

// TestParityRandom does the same with random applications. GME_TEST_SEED
// repeats a run that failed.
func TestParityRandom(t *testing.T) {
	const rounds = 12
	seed := rand.Uint32()
	if text := os.Getenv("GME_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatalf("GME_TEST_SEED: %v", err)
		}
		seed = uint32(n)
	}
	t.Logf("GME_TEST_SEED=%d", seed)
	for round := range uint32(rounds) {
		t.Run(fmt.Sprint(seed+round), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, "random.rb", dir, fmt.Sprint(seed+round))
			compare(t, dir)
		})
	}
}

// TestParityGolden compares the pages of the golden directories in which we
// do not differ from the gem on purpose.
func TestParityGolden(t *testing.T) {
	for _, name := range []string{"basic", "gauge-modes", "nasty-labels", "script-escapes", "restarted", "odd-pids", "empty"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, filepath.Join(golden, name))
		})
	}
}

func compare(t *testing.T, dir string) {
	t.Helper()
	theirs, err := gem(t, dir)
	if err != nil {
		t.Fatalf("the gem: %v", err)
	}
	ours, stderr := render(t, dir)
	if stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
	checkParity(t, parseGem(t, theirs), parseOurs(t, ours))
}

// pages returns both pages of a golden directory that the gem can read.
func pages(t *testing.T, name string) (theirs, ours string) {
	t.Helper()
	theirs, err := gem(t, filepath.Join(golden, name))
	if err != nil {
		t.Fatalf("the gem: %v", err)
	}
	ours, _ = render(t, filepath.Join(golden, name))
	return theirs, ours
}

// wantLines checks that a text has lines, in this order but not necessarily
// one after the other.
func wantLines(t *testing.T, whose, text string, lines ...string) {
	t.Helper()
	have := strings.Split(text, "\n")
	for _, line := range lines {
		i := slices.Index(have, line)
		if i < 0 {
			t.Errorf("%s page has no line, or not here: %s", whose, line)
			continue
		}
		have = have[i+1:]
	}
}

// The tests below show the differences that we want, one by one: what the gem
// prints, and what we print.

func TestDifferenceEscapes(t *testing.T) {
	theirs, ours := pages(t, "script-escapes")
	wantLines(t, "the gem's", theirs,
		`active_support_total{v="\u003ca href='/ä/😀'\u003e\u0026\u2028\u003c/a\u003e"} 1`,
		`ascii_only_total{v="<a href='/\u00e4/\ud83d\ude00'>&\u2028</a>"} 1`,
		`escape_slash_total{v="<a href='\/ä\/😀'>&`+"\u2028"+`<\/a>"} 1`,
	)
	wantLines(t, "our", ours,
		`active_support_total{v="<a href='/ä/😀'>&`+"\u2028"+`</a>"} 1`,
		`ascii_only_total{v="<a href='/ä/😀'>&`+"\u2028"+`</a>"} 1`,
		`escape_slash_total{v="<a href='/ä/😀'>&`+"\u2028"+`</a>"} 1`,
	)
	if err := checkSyntax(theirs); err == nil {
		t.Error("expfmt reads the gem's page after all")
	}
	parseOurs(t, ours)

	theirs, ours = pages(t, "nasty-labels")
	wantLines(t, "the gem's", theirs, `nasty_total{v="a\tb"} 14`, `nasty_total{v="nul\u0000"} 18`)
	p := parseOurs(t, ours)
	values, err := p.values()
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]float64{"a\tb": 14, "a\rb": 16, "nul\x00": 18, "line\nline": 12, `\n`: 10, `\u003c`: 40} {
		if got, ok := values[fmt.Sprintf("nasty_total v=%q", label)]; !ok || got != want {
			t.Errorf("v=%q is %v, %v, want %v", label, got, ok, want)
		}
	}
}

func TestDifferenceOrder(t *testing.T) {
	theirs, ours := pages(t, "basic")
	wantLines(t, "the gem's", theirs,
		`http_seconds_bucket{le="+Inf",method="get"} 8`,
		`http_seconds_bucket{le="+Inf",method="post"} 2`,
		`http_seconds_bucket{le="10",method="get"} 6`,
		`http_seconds_bucket{le="2.5",method="get"} 6`,
		`http_seconds_count{method="get"} 8`,
		`http_seconds_sum{method="get"} 45.607999999999997`,
	)
	wantLines(t, "our", ours,
		`http_seconds_bucket{method="get",le="2.5"} 6`,
		`http_seconds_bucket{method="get",le="10"} 6`,
		`http_seconds_bucket{method="get",le="+Inf"} 8`,
		`http_seconds_sum{method="get"} 45.608`,
		`http_seconds_count{method="get"} 8`,
		`http_seconds_bucket{method="post",le="+Inf"} 2`,
		`http_seconds_sum{method="post"} 14`,
		`http_seconds_count{method="post"} 2`,
	)

	// Families: the gem sorts by the text of the key.
	theirs, ours = pages(t, "odd-names")
	wantLines(t, "the gem's", theirs, `# TYPE a! counter`, `# TYPE a counter`, `# TYPE a:a counter`, `# TYPE aA counter`, `# TYPE a_a counter`, `# TYPE aa counter`)
	wantLines(t, "our", ours, `# TYPE a counter`, `# TYPE a:a counter`, `# TYPE aA counter`, `# TYPE a_ counter`, `# TYPE a_a counter`, `# TYPE aa counter`)
	parseOurs(t, ours)
}

func TestDifferenceNumbers(t *testing.T) {
	theirs, ours := pages(t, "numbers")
	for _, number := range []struct{ series, theirs, ours string }{
		{`number{i="01",n="-0.0",pid="puma_0"}`, "-0", "-0"},
		{`number{i="04",n="0.1",pid="puma_0"}`, "0.10000000000000001", "0.1"},
		{`number{i="05",n="0.30000000000000004",pid="puma_0"}`, "0.30000000000000004", "0.30000000000000004"},
		{`number{i="06",n="0.3333333333333333",pid="puma_0"}`, "0.33333333333333331", "0.3333333333333333"},
		{`number{i="14",n="1.0e+17",pid="puma_0"}`, "1e+17", "1e+17"},
		{`number{i="19",n="1.0e+300",pid="puma_0"}`, "1.0000000000000001e+300", "1e+300"},
		{`number{i="22",n="1.0e-05",pid="puma_0"}`, "1.0000000000000001e-05", "1e-05"},
		{`number{i="24",n="5.0e-324",pid="puma_0"}`, "4.9406564584124654e-324", "5e-324"},
		{`number{i="25",n="Infinity",pid="puma_0"}`, "Inf", "+Inf"},
		{`number{i="26",n="-Infinity",pid="puma_0"}`, "-Inf", "-Inf"},
		{`number{i="27",n="NaN",pid="puma_0"}`, "NaN", "NaN"},
		// Sums are made in the order of the files.
		{`sum_in_order`, "0", "0"},
		{`sum_in_other_order`, "1", "1"},
		// For the gem what NaN does depends on the order of the files.
		{`nan_min`, "NaN", "1"},
		{`nan_max`, "NaN", "1"},
	} {
		wantLines(t, "the gem's", theirs, number.series+" "+number.theirs)
		wantLines(t, "our", ours, number.series+" "+number.ours)
	}
	parseOurs(t, ours)
}

func TestDifferenceSameText(t *testing.T) {
	theirs, ours := pages(t, "same-text")
	if _, err := parseGem(t, theirs).values(); err == nil {
		t.Error("the gem's page has no double series after all")
	}
	wantLines(t, "the gem's", theirs, `same_total{pair="nil",v=""} 4`, `same_total{pair="nil",v=""} 2`)
	got, err := parseOurs(t, ours).values()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`escaped_total v="<b>"`:              2,
		`same_seconds_bucket le="+Inf" v=""`: 4,
		`same_seconds_bucket le="1" v=""`:    4,
		`same_seconds_sum v=""`:              4,
		`same_seconds_count v=""`:            4,
	}
	for pair, text := range map[string]string{"nil": "", "one": "1", "true": "true", "float": "1.0e+20"} {
		labels := fmt.Sprintf(" pair=%q v=%q", pair, text)
		want["same_total"+labels] = 6 // 1 and 2, in two processes
		want["same_livesum"+labels] = 6
		want["same_min"+labels] = 1
		want["same_max"+labels] = 2
		for _, pid := range []string{"puma_0", "puma_1"} {
			want[fmt.Sprintf("same_all pair=%q pid=%q v=%q", pair, pid, text)] = 2 // written last
		}
	}
	if err := differ(want, got); err != nil {
		t.Error(err)
	}
}

func TestDifferenceDamage(t *testing.T) {
	// Each damaged file makes the gem raise, alone beside a healthy one; ours
	// serves what stands before the damage.
	for name, want := range map[string]int{
		"used_beyond_file": 3, "used_8_too_far": 3, "used_cuts_value": 2, "used_cuts_key": 2, "file_cut": 2,
		"length_beyond_file": 1, "length_31_bits": 1, "length_32_bits": 1, "length_overflow": 1, "length_0": 1, "noise": 0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFile(t, filepath.Join(golden, "damaged", "counter_"+name+"-0.db"), dir)
			copyFile(t, filepath.Join(golden, "basic", "counter_puma_0-0.db"), dir)
			if theirs, err := gem(t, dir); err == nil {
				t.Errorf("the gem reads it after all:\n%s", theirs)
			}
			text, stderr := render(t, dir)
			if file := "counter_" + name + "-0.db"; !strings.Contains(stderr, file) {
				t.Errorf("stderr does not name %s: %q", file, stderr)
			}
			p := parseOurs(t, text)
			got := 0
			for _, s := range p.samples {
				if s.name == name+"_total" {
					got++
				}
			}
			if got != want {
				t.Errorf("%d series of the damaged file, want %d", got, want)
			}
			wantLines(t, "our", text, `boots_total 1`, `http_requests_total{method="get",path="/a"} 3`)
			if check := run(t, nil, program, "check", dir); check.code != 1 {
				t.Errorf("check: exit status %d, want 1\n%s%s", check.code, check.stdout, check.stderr)
			}
		})
	}
}

// TestDifferenceEntries is about what the directory holds beside files: none
// of it may take the healthy file's part from the page.
func TestDifferenceEntries(t *testing.T) {
	path := func(dir string) string { return filepath.Join(dir, "counter_odd-0.db") }
	for name, create := range map[string]func(dir string) error{
		"directory":      func(dir string) error { return os.Mkdir(path(dir), 0o755) },
		"dangling link":  func(dir string) error { return os.Symlink(filepath.Join(dir, "nothing"), path(dir)) },
		"link to itself": func(dir string) error { return os.Symlink(path(dir), path(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFile(t, filepath.Join(golden, "basic", "counter_puma_0-0.db"), dir)
			if err := create(dir); err != nil {
				t.Fatal(err)
			}
			if theirs, err := gem(t, dir); err == nil {
				t.Errorf("the gem reads it after all:\n%s", theirs)
			}
			text, _ := render(t, dir)
			parseOurs(t, text)
			wantLines(t, "our", text, `boots_total 1`)
		})
	}
}

// TestDifferencePipe: the gem would wait for somebody to write into a pipe.
func TestDifferencePipe(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, filepath.Join(golden, "basic", "counter_puma_0-0.db"), dir)
	if err := syscall.Mkfifo(filepath.Join(dir, "counter_odd-0.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	text, _ := render(t, dir)
	parseOurs(t, text)
	wantLines(t, "our", text, `boots_total 1`)
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]int{
		"basic": 0, "gauge-modes": 0, "nasty-labels": 0, "restarted": 0, "odd-pids": 0, "empty": 0, "damaged": 1, "bad-keys": 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := run(t, nil, program, "check", filepath.Join(golden, name)); got.code != want {
				t.Errorf("exit status %d, want %d\n%s%s", got.code, want, got.stdout, got.stderr)
			}
		})
	}
}

// TestCheckConflicts: that files disagree is no damage, but who looks is told.
func TestCheckConflicts(t *testing.T) {
	got := run(t, nil, program, "check", filepath.Join(golden, "two-types"))
	for _, want := range []string{"\ncounter_and_histogram: files disagree about this metric\n", ", 4 families that files disagree about\n"} {
		if got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("exit status %d, want 0 and %q\n%s%s", got.code, want, got.stdout, got.stderr)
		}
	}
}

func TestDifferenceBadKeys(t *testing.T) {
	if theirs, err := gem(t, filepath.Join(golden, "bad-keys")); err == nil {
		t.Errorf("the gem reads it after all:\n%s", theirs)
	}
	text, stderr := render(t, filepath.Join(golden, "bad-keys"))
	if !strings.Contains(stderr, "counter_1-0.db") {
		t.Errorf("stderr does not name the file: %q", stderr)
	}
	got, err := parseOurs(t, text).values()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`good_total a="before"`: 1, `good_total a="after"`: 1, `odd a="spaces"`: 1, `odd a="escaped names"`: 1, `odd a="😀"`: 1,
	}
	if err := differ(want, got); err != nil {
		t.Error(err)
	}
}

func TestDifferenceTwoTypes(t *testing.T) {
	theirs, ours := pages(t, "two-types")
	wantLines(t, "the gem's", theirs,
		`# TYPE counter_and_histogram counter`,
		`counter_and_histogram{a="x"} 2`,
		`counter_and_histogram_bucket{a="x",le="+Inf"} 1`,
	)
	if _, err := checked(theirs); err == nil {
		t.Error("the gem's page is in good order after all")
	}
	p := parseOurs(t, ours)
	want := map[string]string{
		"counter_and_histogram": "untyped", "counter_and_histogram_bucket": "untyped",
		"counter_and_histogram_sum": "untyped", "counter_and_histogram_count": "untyped",
		"counter_and_gauge_all": "untyped", "counter_and_gauge_livesum": "untyped",
		"summary_and_histogram_bucket": "untyped", "summary_and_histogram_sum": "untyped", "summary_and_histogram_count": "untyped",
		"steady_total": "counter",
	}
	if err := differTypes(want, p.types()); err != nil {
		t.Error(err)
	}
	// Nothing is lost: the series and values are the gem's.
	checkSeries(t, theirs, p)
}

// TestDifferenceShapes: what the text format cannot say of a family of its
// type, or two families would say at once, is said with other types, and all
// of it: the gem's page is refused whole.
func TestDifferenceShapes(t *testing.T) {
	theirs, ours := pages(t, "odd-shapes")
	if err := checkSyntax(theirs); err == nil {
		t.Error("expfmt reads the gem's page after all")
	}
	// Our own names are ours alone.
	theirs = strings.ReplaceAll(theirs, "\ngme_", "\nexported_gme_")
	checkSeries(t, theirs, parseOurs(t, ours))
}

func checkSeries(t *testing.T, theirs string, ours page) {
	t.Helper()
	want, err := parseGem(t, theirs).values()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ours.values()
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(want, got); err != nil {
		t.Error(err)
	}
}

func TestDifferenceUnknownType(t *testing.T) {
	theirs, ours := pages(t, "unknown-type")
	wantLines(t, "the gem's", theirs, `# TYPE foo_total foo`, `foo_total{a="x"} 2`)
	wantLines(t, "our", ours, `# TYPE foo_total untyped`, `foo_total{a="x"} 2`)
	checkSeries(t, theirs, parseOurs(t, ours))
}

func TestDifferenceOwnPID(t *testing.T) {
	theirs, ours := pages(t, "own-pid")
	for _, mode := range []string{"all", "liveall"} {
		wantLines(t, "the gem's", theirs, `own_`+mode+`{a="x",pid="mine",pid="puma_0"} 1`)
	}
	got, err := parseOurs(t, ours).values()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`own_all a="x" exported_pid="mine" pid="puma_0"`:     1,
		`own_all a="x" exported_pid="mine" pid="puma_1"`:     1,
		`own_liveall a="x" exported_pid="mine" pid="puma_0"`: 1,
		`own_liveall a="x" exported_pid="mine" pid="puma_1"`: 1,
		`own_livesum a="x" pid="mine"`:                       2,
		`own_max a="x" pid="mine"`:                           1,
		`own_min a="x" pid="mine"`:                           1,
		`own_total pid="mine"`:                               2,
	}
	if err := differ(want, got); err != nil {
		t.Error(err)
	}
}

func TestDifferenceNames(t *testing.T) {
	theirs, ours := pages(t, "odd-names")
	wantLines(t, "the gem's", theirs, `requests-per.second{1st="c",content-type="a",größe="d",x:y="b"} 1`)
	got, err := parseOurs(t, ours).values()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{
		`requests_per_second _st="c" content_type="a" gr__e="d" x_y="b"`, `_up`, `ns:sub:total a_1="x"`,
		`time_spent_bucket a_b="x" le="1"`, `time_spent_sum a_b="x"`, `a_`,
	} {
		if _, ok := got[id]; !ok {
			t.Errorf("our page has no %s:\n%s", id, ours)
		}
	}
}

func TestDifferenceIgnored(t *testing.T) {
	if theirs, err := gem(t, filepath.Join(golden, "ignored")); err == nil {
		t.Errorf("the gem reads it after all:\n%s", theirs)
	}
	ours, _ := render(t, filepath.Join(golden, "ignored"))
	got, err := parseOurs(t, ours).values()
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(map[string]float64{"read_total": 1}, got); err != nil {
		t.Error(err)
	}
}

// TestDifferencePID is about pids that the gem prints as they are, or cannot
// print beside labels that are not ASCII.
func TestDifferencePID(t *testing.T) {
	for _, pid := range []string{`quote"`, `back\slash`, "new\nline", "größe", "😀", `a"} 1`} {
		t.Run(pid, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data := readFile(t, filepath.Join(golden, "gauge-modes", "gauge_all_puma_0-0.db"))
			if err := os.WriteFile(filepath.Join(dir, "gauge_all_"+pid+"-0.db"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			text, _ := render(t, dir)
			got, err := parseOurs(t, text).values()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]float64{fmt.Sprintf(`bare_all pid=%q`, pid): 2.5, fmt.Sprintf(`gauge_all a="x" pid=%q`, pid): 2.5}
			if err := differ(want, got); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTwoModes is about one gauge in files of two modes: the rule is that of
// the file that comes first, as in the newest gem.
func TestTwoModes(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []string{"livesum", "max", "min"} {
		src := readFile(t, filepath.Join(golden, "gauge-modes", "gauge_max_puma_0-0.db"))
		if err := os.WriteFile(filepath.Join(dir, "gauge_"+mode+"_1-0.db"), src, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := render(t, dir)
	got, err := parseOurs(t, text).values()
	if err != nil {
		t.Fatal(err)
	}
	if err := differ(map[string]float64{`bare_max`: 7.5, `gauge_max a="x"`: 7.5}, got); err != nil {
		t.Error(err)
	}
}

func copyFile(t *testing.T, from, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), readFile(t, from), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
