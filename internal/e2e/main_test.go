// Package e2e proves the program against the real Ruby gem
// prometheus-client-mmap: Ruby processes write metric files, the program and
// the gem read them, and the two pages are compared.
//
// Ruby, the gem and promtool must be installed; without them the tests fail.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// golden is the directory that Go tests and specs share.
const golden = "../../testdata"

// patience is how long a test waits for what takes seconds on an idle machine.
const patience = 3 * time.Minute

// program is the path of the binary under test.
var program string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "gitlab-metrics-exporter")
	out, err := exec.Command("go", "build", "-o", program, "gitlab-metrics-exporter/cmd/gitlab-metrics-exporter").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// result is what a process left behind.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end, in an environment in which neither the gem
// nor the program finds settings or leaves files.
func run(t *testing.T, stdin io.Reader, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, t.TempDir(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func command(ctx context.Context, tmp, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "GME_") && !strings.HasPrefix(setting, "RUBYOPT=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, "prometheus_multiproc_dir="+tmp, "LC_ALL=C.UTF-8")
	return cmd
}

// write runs one of the Ruby scripts that write metric files. The gem logs
// what it could not write, so whatever it says is a failure.
func write(t *testing.T, script string, args ...string) {
	t.Helper()
	got := run(t, nil, "ruby", append([]string{filepath.Join("testdata", script)}, args...)...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%s %v: exit status %d\n%s", script, args, got.code, got.stderr)
	}
}

// gem returns the page that the gem makes of a directory, or why it makes none:
// it raised an exception, or took the process down with it.
func gem(t *testing.T, dir string) (text string, err error) {
	t.Helper()
	const raised, crashed = 3, -1
	const script = `begin
		$stdout.binmode
		print Prometheus::Client::Formats::Text.marshal_multiprocess(ARGV.fetch(0))
	rescue StandardError => e
		warn e.full_message(highlight: false)
		exit Integer(ARGV.fetch(1))
	end`
	got := run(t, nil, "ruby", "-rprometheus/client", "-rprometheus/client/formats/text", "-e", script, dir, fmt.Sprint(raised))
	switch got.code {
	case 0:
	case raised, crashed:
		return "", errors.New(excerpt(got.stderr))
	default: // no gem, for one
		t.Fatalf("ruby: exit status %d\n%s", got.code, excerpt(got.stderr))
	}
	return got.stdout, nil
}

// render returns the program's page of a directory. A page is whatever the
// directory holds: the exit status is always 0.
func render(t *testing.T, dir string) (text, stderr string) {
	t.Helper()
	got := run(t, nil, program, "render", dir)
	if got.code != 0 {
		t.Fatalf("render %s: exit status %d\n%s", dir, got.code, got.stderr)
	}
	return got.stdout, got.stderr
}

// A page is one scrape in the text format.
type page struct {
	families []family
	samples  []sample
}

type family struct{ name, kind string }

type sample struct {
	id     string // equal for two samples exactly if they are of one series
	family int    // index in page.families; -1 before the first
	name   string
	labels []label // in the order of the line
	value  float64
}

type label struct{ name, value string }

// identify returns the id of a sample: name a="x" b="y".
func identify(name string, labels []label) string {
	labels = slices.Clone(labels)
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	id := []byte(name)
	for _, l := range labels {
		id = append(append(id, ' '), l.name...)
		id = strconv.AppendQuote(append(id, '='), l.value)
	}
	return string(id)
}

func (s sample) label(name string) string {
	for _, l := range s.labels {
		if l.name == name {
			return l.value
		}
	}
	return ""
}

// types returns the TYPE of each family.
func (p page) types() map[string]string {
	types := map[string]string{}
	for _, f := range p.families {
		types[f.name] = f.kind
	}
	return types
}

// values returns the value of each series; a series that stands there twice
// is an error.
func (p page) values() (map[string]float64, error) {
	values := map[string]float64{}
	for _, s := range p.samples {
		if _, twice := values[s.id]; twice {
			return nil, fmt.Errorf("two lines for %s", s.id)
		}
		values[s.id] = s.value
	}
	return values, nil
}

var (
	typeLine   = regexp.MustCompile(`(?s)^# TYPE (.*) ([^ ]*)$`)
	sampleLine = regexp.MustCompile(`(?s)^([^{ ]+(?: [^{ ]+)*?)(\{.*\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`(?s)^[{,]([^="]+)="((?:[^"\\]|\\.)*)"`)
)

// parse reads a page leniently: any name is a name. How label values are
// escaped is the caller's to say.
func parse(text string, unescape func(string) (string, error)) (page, error) {
	var p page
	if text != "" && !strings.HasSuffix(text, "\n") {
		return p, errors.New("the last line does not end")
	}
	for number, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fail := func(what any) (page, error) { return p, fmt.Errorf("line %d %.200q: %v", number+1, line, what) }
		if m := typeLine.FindStringSubmatch(line); m != nil {
			p.families = append(p.families, family{m[1], m[2]})
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return fail("not a sample")
		}
		s := sample{family: len(p.families) - 1, name: m[1]}
		var err error
		if s.value, err = strconv.ParseFloat(m[3], 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return fail(err)
		}
		rest := m[2]
		for rest != "" && rest != "}" {
			pair := labelPair.FindStringSubmatch(rest)
			if pair == nil {
				return fail("bad labels at " + rest)
			}
			value, err := unescape(pair[2])
			if err != nil {
				return fail(err)
			}
			s.labels = append(s.labels, label{pair[1], value})
			rest = rest[len(pair[0]):]
		}
		s.id = identify(s.name, s.labels)
		p.samples = append(p.samples, s)
	}
	return p, nil
}

// unescapeJSON undoes the escapes of JSON strings, which the gem copies from
// its keys into the page.
func unescapeJSON(raw string) (value string, err error) {
	err = json.Unmarshal([]byte(`"`+raw+`"`), &value)
	return value, err
}

// unescapeText undoes the three escapes that the text format has.
func unescapeText(raw string) (string, error) {
	if strings.Contains(withoutEscapes.Replace(raw), `\`) {
		return "", fmt.Errorf("unknown escape in %q", raw)
	}
	return unescaped.Replace(raw), nil
}

var (
	unescaped      = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
	withoutEscapes = strings.NewReplacer(`\\`, ``, `\"`, ``, `\n`, ``)
)

// applications returns a page without the families about the program itself.
func applications(p page) page {
	var apps page
	renumbered := map[int]int{}
	for i, f := range p.families {
		if !strings.HasPrefix(f.name, "gme_") {
			renumbered[i] = len(apps.families)
			apps.families = append(apps.families, f)
		}
	}
	for _, s := range p.samples {
		if i, ok := renumbered[s.family]; ok {
			s.family = i
			apps.samples = append(apps.samples, s)
		}
	}
	return apps
}

// parseGem reads the gem's page.
func parseGem(t *testing.T, text string) page {
	t.Helper()
	p, err := parse(text, unescapeJSON)
	if err != nil {
		t.Fatalf("the gem's page: %v", err)
	}
	return p
}

// parseOurs reads a page of the program's and fails unless it is in good
// order, by our own rules and by those of Prometheus' own parser.
func parseOurs(t *testing.T, text string) page {
	t.Helper()
	p, err := checked(text)
	if err != nil {
		t.Fatalf("our page: %v\n%s", err, excerpt(text))
	}
	return p
}

func checked(text string) (page, error) {
	p, err := parse(text, unescapeText)
	if err != nil {
		return p, err
	}
	// What the server says about itself it may put where it likes.
	if err := checkOrder(applications(p)); err != nil {
		return p, err
	}
	if err := checkExpfmt(text, p); err != nil {
		return p, fmt.Errorf("expfmt: %w", err)
	}
	return p, nil
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// suffixes are the samples that a family of a type may have.
var suffixes = map[string][]string{
	"counter": {""}, "gauge": {""}, "untyped": {""}, "summary": {"", "_sum", "_count"}, "histogram": {"_bucket", "_sum", "_count"},
}

// checkOrder checks what is promised of every page: families sorted and each
// in one piece, samples that fit their family, histograms with their buckets
// ascending, then _sum, then _count, one label set after the other.
func checkOrder(p page) error {
	if _, err := p.values(); err != nil {
		return err
	}
	for i, f := range p.families {
		if i > 0 && p.families[i-1].name >= f.name {
			return fmt.Errorf("family %s stands after %s", f.name, p.families[i-1].name)
		}
	}
	spots := map[string]spot{} // of the latest sample of each histogram's label set
	latest := ""
	for _, s := range p.samples {
		if s.family < 0 {
			return fmt.Errorf("%s has no TYPE", s.id)
		}
		f := p.families[s.family]
		if !slices.ContainsFunc(suffixes[f.kind], func(suffix string) bool { return s.name == f.name+suffix }) {
			return fmt.Errorf("%s does not fit family %s of type %s", s.id, f.name, f.kind)
		}
		if !metricName.MatchString(s.name) {
			return fmt.Errorf("bad metric name %q", s.name)
		}
		seen := map[string]bool{}
		for _, l := range s.labels {
			if !labelName.MatchString(l.name) || seen[l.name] || !utf8.ValidString(l.value) {
				return fmt.Errorf("bad or double label %q=%q of %s", l.name, l.value, s.name)
			}
			seen[l.name] = true
		}
		if f.kind != "histogram" {
			continue
		}
		set, at, err := histogramSpot(f.name, s)
		if err != nil {
			return err
		}
		if last, seen := spots[set]; seen && (latest != set || !last.before(at)) {
			return fmt.Errorf("%s is out of order", s.id)
		}
		spots[set], latest = at, set
	}
	return nil
}

// A spot is where a sample stands within its histogram.
type spot struct {
	part  int // 0 for buckets, 1 for _sum, 2 for _count
	bound float64
}

// before allows for equal bounds, written in two ways such as 1 and 1.0.
func (a spot) before(b spot) bool {
	return a.part < b.part || a.part == 0 && b.part == 0 && a.bound <= b.bound
}

// histogramSpot returns the label set that a histogram's sample belongs to,
// and its spot there.
func histogramSpot(family string, s sample) (set string, at spot, err error) {
	var rest []label
	for _, l := range s.labels {
		if l.name != "le" {
			rest = append(rest, l)
		}
	}
	set = identify(family, rest)
	switch s.name {
	case family + "_sum":
		return set, spot{part: 1}, nil
	case family + "_count":
		return set, spot{part: 2}, nil
	}
	if n := len(s.labels); n == 0 || s.labels[n-1].name != "le" {
		return set, at, fmt.Errorf("le is not the last label of %s", s.id)
	}
	at.bound, err = strconv.ParseFloat(s.labels[len(s.labels)-1].value, 64)
	if err != nil {
		return set, at, fmt.Errorf("%s: %w", s.id, err)
	}
	return set, at, nil
}

// checkSyntax checks that Prometheus' own parser reads the page at all.
func checkSyntax(text string) error {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	_, err := parser.TextToMetricFamilies(strings.NewReader(text))
	return err
}

// checkExpfmt checks that Prometheus' own parser reads the page, and reads
// the same from it as we do.
func checkExpfmt(text string, p page) error {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return err
	}
	for _, f := range p.families {
		if got := families[f.name]; got == nil || strings.ToLower(got.GetType().String()) != f.kind {
			return fmt.Errorf("family %s is not a %s", f.name, f.kind)
		}
	}
	if len(families) != len(p.families) {
		return fmt.Errorf("%d families with %d TYPE lines", len(families), len(p.families))
	}
	// Without its TYPE lines every sample of a page is untyped, and nothing of
	// it is converted: a histogram's counts would be whole numbers.
	var untyped strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			untyped.WriteString(line)
		}
	}
	families, err = parser.TextToMetricFamilies(strings.NewReader(untyped.String()))
	if err != nil {
		return err
	}
	var flat page
	for name, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{name: name, value: m.GetUntyped().GetValue()}
			for _, l := range m.GetLabel() {
				s.labels = append(s.labels, label{l.GetName(), l.GetValue()})
			}
			s.id = identify(s.name, s.labels)
			flat.samples = append(flat.samples, s)
		}
	}
	want, err := p.values()
	if err != nil {
		return err
	}
	got, err := flat.values()
	if err != nil {
		return err
	}
	return differ(want, got)
}

// differ returns an error that names the series in which two pages differ.
// All NaNs are equal; the two zeros are not.
func differ(want, got map[string]float64) error {
	var lines []string
	for id, w := range want {
		if g, ok := got[id]; !ok {
			lines = append(lines, fmt.Sprintf("missing: %.300s %v", id, w))
		} else if math.Float64bits(g) != math.Float64bits(w) && !(math.IsNaN(g) && math.IsNaN(w)) {
			lines = append(lines, fmt.Sprintf("%.300s is %v, want %v", id, g, w))
		}
	}
	for id, g := range got {
		if _, ok := want[id]; !ok {
			lines = append(lines, fmt.Sprintf("unexpected: %.300s %v", id, g))
		}
	}
	return listed("series differ", lines)
}

// listed returns an error that lists the first few of many complaints, or nil
// if there are none.
func listed(what string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return fmt.Errorf("%d %s:\n%s", len(lines), what, strings.Join(lines[:min(len(lines), 20)], "\n"))
}

// checkParity fails unless the two pages say the same: the same series, the
// same values, the same types.
func checkParity(t *testing.T, theirs, ours page) {
	t.Helper()
	want, err := theirs.values()
	if err != nil {
		t.Fatalf("the gem's page has %v: not a case for this test", err)
	}
	got, err := ours.values()
	if err != nil {
		t.Fatalf("our page: %v", err)
	}
	if err := differ(want, got); err != nil {
		t.Error(err)
	}
	if err := differTypes(theirs.types(), ours.types()); err != nil {
		t.Error(err)
	}
}

// differTypes returns an error that names the families whose TYPE is another.
func differTypes(want, got map[string]string) error {
	var lines []string
	for name, kind := range want {
		if got[name] != kind {
			lines = append(lines, fmt.Sprintf("%.100s is %q, want %q", name, got[name], kind))
		}
	}
	for name, kind := range got {
		if _, ok := want[name]; !ok {
			lines = append(lines, fmt.Sprintf("unexpected: %.100s of type %s", name, kind))
		}
	}
	return listed("families differ", lines)
}

func excerpt(text string) string {
	const most = 4000
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
