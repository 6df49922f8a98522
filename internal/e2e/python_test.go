package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/series"
)

// python is the interpreter that has Debian's prometheus_client.
var python = pythonProgram()

func pythonProgram() string {
	if program := os.Getenv("PYTHON"); program != "" {
		return program
	}
	return "/usr/bin/python3"
}

// A pythonFamily is what a client makes of a family: its samples by name and
// labels, their values to the bit.
type pythonFamily struct {
	Type, Help string
	Samples    map[string]string
}

// TestPython compares what the real prometheus_client makes of a directory with
// what we make of it: the same families and series, the same values to the bit.
// GME_TEST_SEED repeats a run that failed.
func TestPython(t *testing.T) {
	seed := randomSeed(t)
	for round := range uint32(12) {
		t.Run(fmt.Sprint(seed+round), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			runPython(t, "python/write.py", dir, fmt.Sprint(seed+round), fmt.Sprint(1+round%5))
			want := parsePython(t, runPython(t, "python/read.py", dir))
			if diff := cmp.Diff(want, families(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}})); diff != "" {
				t.Errorf("-library +we:\n%s", excerpt(diff))
			}
			parseOpenMetrics(t, dir)
		})
	}
}

// parseOpenMetrics has the library, whose parser is the strict one, read our page of a
// directory in OpenMetrics.
func parseOpenMetrics(t *testing.T, dir string) {
	t.Helper()
	page := run(t, nil, program, "render", "--format=openmetrics", dir).stdout
	if r := run(t, strings.NewReader(page), python, "testdata/python/openmetrics.py"); r.code != 0 {
		t.Errorf("the library does not read our OpenMetrics: %s", r.stderr)
	}
}

func randomSeed(t *testing.T) uint32 {
	t.Helper()
	seed := rand.Uint32() >> 1
	if text := os.Getenv("GME_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatalf("GME_TEST_SEED: %v", err)
		}
		seed = uint32(n)
	}
	t.Logf("GME_TEST_SEED=%d", seed)
	return seed
}

// runPython runs a script of testdata and returns what it prints.
func runPython(t *testing.T, script string, args ...string) string {
	t.Helper()
	r := run(t, nil, python, append([]string{filepath.Join("testdata", script)}, args...)...)
	if r.code != 0 {
		t.Fatalf("%s: exit code %d\n%s", script, r.code, r.stderr)
	}
	return r.stdout
}

// parsePython parses what the scripts say of families. Those without samples, such
// as a gauge of the most recent value that nobody has set, are not shown by us.
func parsePython(t *testing.T, text string) map[string]pythonFamily {
	t.Helper()
	var said []saidFamily
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		t.Fatalf("%v:\n%s", err, excerpt(text))
	}
	return familiesSaid(t, said)
}

// A saidFamily is a family as the scripts print it.
type saidFamily struct {
	Name    string
	Type    string
	Help    string
	Samples [][3]json.RawMessage
}

func familiesSaid(t *testing.T, said []saidFamily) map[string]pythonFamily {
	t.Helper()
	all := map[string]pythonFamily{}
	for _, f := range said {
		samples := map[string]string{}
		title := f.Name
		for _, s := range f.Samples {
			var name, value string
			labels := map[string]string{}
			for i, into := range []any{&name, &labels, &value} {
				if err := json.Unmarshal(s[i], into); err != nil {
					t.Fatal(err)
				}
			}
			if f.Type == "counter" {
				title = name // as the library's page has it
			}
			samples[identity(name, labels)] = hexFloat(t, value)
		}
		if len(samples) > 0 {
			all[title] = pythonFamily{f.Type, f.Help, samples}
		}
	}
	return all
}

// identity is the text of a series, whatever characters it has.
func identity(name string, labels map[string]string) string {
	text, err := json.Marshal([]any{name, labels})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// hexFloat spells a number as the scripts do, but for what they may spell in
// several ways.
func hexFloat(t *testing.T, text string) string {
	t.Helper()
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return bits(value)
}

func bits(value float64) string {
	if math.IsNaN(value) {
		return "nan"
	}
	return strconv.FormatFloat(value, 'x', -1, 64)
}

// families is what we make of a directory.
func families(t *testing.T, c collect.Config) map[string]pythonFamily {
	t.Helper()
	s, err := c.Engine().Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Files {
		if f.Damage != nil {
			t.Errorf("%s: %v", f.Name, f.Damage)
		}
	}
	all := map[string]pythonFamily{}
	for _, family := range s.Layout.Families {
		samples := map[string]string{}
		for _, id := range family.Series {
			samples[seriesIdentity(s.Layout, id)] = bits(s.Value(id))
		}
		all[family.Name] = pythonFamily{strings.Replace(family.Type.String(), "untyped", "unknown", 1), family.Help, samples}
	}
	return all
}

func seriesIdentity(l *series.Layout, id series.ID) string {
	labels := map[string]string{}
	for name, value := range l.Labels(id) {
		labels[string(name)] = string(value)
	}
	return identity(l.Name(id), labels)
}
