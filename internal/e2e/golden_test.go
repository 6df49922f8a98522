package e2e

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pages anew; read every one before you commit it")

// TestGolden renders every directory in testdata and compares the whole page
// with its want.txt.
func TestGolden(t *testing.T) {
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(golden, entry.Name())
			got, stderr := render(t, dir)
			parseOurs(t, got)
			// Exit status 3 is about taste: names without _total, no HELP.
			if lint := run(t, strings.NewReader(got), "promtool", "check", "metrics"); lint.code != 0 && lint.code != 3 {
				t.Errorf("promtool check metrics: exit status %d\n%s%s", lint.code, lint.stdout, lint.stderr)
			}
			if entry.Name() != "odd-shapes" { // which has a histogram whose buckets do not rise
				parseOpenMetrics(t, dir)
			}
			want := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(text) {
				t.Errorf("the page differs from want.txt:\n%s\nwant:\n%s\nstderr:\n%s", got, text, stderr)
			}
		})
	}
}
