package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// nobody is the user that root plays here, who may read everything itself.
const nobody = 65534

// TestFileNotPermitted: a file that the user may not read is absent, counted
// and named; the others are served.
func TestFileNotPermitted(t *testing.T) {
	dir := t.TempDir()
	image := clientmmap.AppendEntry(clientmmap.AppendHeader(nil, 0), []byte(`["m","m",[],[]]`), 1)
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	for name, mode := range map[string]os.FileMode{"counter_open-0.db": 0o644, "counter_secret-0.db": 0} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	check := exec.Command("./gitlab-metrics-exporter", "check", dir)
	check.Dir = filepath.Dir(plain)
	check.Env = environment()
	if os.Geteuid() == 0 {
		for _, path := range []string{filepath.Dir(dir), filepath.Dir(plain), filepath.Dir(filepath.Dir(plain))} {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		check.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := check.CombinedOutput()
	if check.ProcessState == nil || check.ProcessState.ExitCode() != 1 {
		t.Fatalf("check: %v\n%s", err, out)
	}
	for _, want := range []string{
		"damaged: unreadable", "counter_secret-0.db: permission denied", "2 files, 1 damaged, 1 entries, 1 series",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
