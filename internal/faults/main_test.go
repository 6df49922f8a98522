//go:build linux

// Package faults proves what the server promises when things break. Real writers
// (Ruby's gem, Python's library, and processes of our own) count in two directories, a
// real server serves them, and files, directories, processes, connections and limits
// are broken at random and mended, many at a time, while scrapes check laws that
// must always hold; docs/reliability.md has them in words.
//
//   - model_test.go says what each writer's files must add to a page,
//   - writer_test.go is a writer, and what it has counted after so many rounds,
//   - faults_test.go breaks things, and tells the model what that must show,
//   - clock_test.go breaks the clock,
//   - laws_test.go scrapes, and compares each page with the model,
//   - run_test.go brings all that together, and looks for leaks at the end.
//
// GME_TEST_SEED repeats the choices of a run, though not its timing;
// GME_FAULTS_TIME says how long it takes.
package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// program is the path of the binary under test. It looks for data races if the
// tests do, and its clock can be set.
var program string

// asWriter, in the environment, makes the test's binary a writer.
const asWriter = "GME_FAULTS_WRITER"

func TestMain(m *testing.M) {
	if os.Getenv(asWriter) != "" {
		fmt.Fprintln(os.Stderr, write(os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "faults")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // the server may be another user
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "gitlab-metrics-exporter")
	flag, err := wrongClock(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args, cgo := []string{"build", flag, "-o", program}, "CGO_ENABLED=0"
	if racing() {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "gitlab-metrics-exporter/cmd/gitlab-metrics-exporter")...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// racing reports whether this test was built with -race.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
