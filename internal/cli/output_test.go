package cli

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
)

// full is where no more can be written.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestFullOutput: commands fail whose answer is not read.
func TestFullOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "counter_1-0.db")
	image := append(append([]byte{40, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0}, `["m","m",[],[]]  `...), make([]byte, 11)...)
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"top", dir}, {"top", "--format=json", dir}, {"check", dir}, {"dump", file}, {"dump", "--format=json", file}, {"render", dir}} {
		var errs bytes.Buffer
		if code := Main(args, full{}, &errs); code != failed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%q: %d %s", args, code, &errs)
		}
	}
}

// TestDumpOddities: what neither JSON nor a terminal takes as it is.
func TestDumpOddities(t *testing.T) {
	for want, print := range map[string]func(*bytes.Buffer) error{
		"0\tk\t0\t1767322800.25\n": func(b *bytes.Buffer) error {
			return printText(b, collect.Entry{Key: []byte("k"), Stamped: true, Stamp: 1767322800.25})
		},
		"0\t\"a\\xffb\"\t0\n": func(b *bytes.Buffer) error { return printText(b, collect.Entry{Key: []byte("a\xffb")}) },
		"{\"offset\":0,\"key\":\"k\",\"value\":\"-Inf\",\"timestamp\":\"NaN\"}\n": func(b *bytes.Buffer) error {
			return printJSON(b, collect.Entry{Key: []byte("k"), Value: math.Inf(-1), Stamped: true, Stamp: math.NaN()})
		},
	} {
		var b bytes.Buffer
		if err := print(&b); err != nil || b.String() != want {
			t.Errorf("%q, %v, want %q", &b, err, want)
		}
	}
}
