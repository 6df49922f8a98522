package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
)

// TestPythonLiveness: the live gauges of a worker that is killed stop counting at
// once, though nobody tells the library; what it has counted stays.
func TestPythonLiveness(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command(t.Context(), t.TempDir(), python, filepath.Join("testdata", "python", "live.py"), dir)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = input.Close()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var first, second int
	if _, err := fmt.Sscan(line, &first, &second); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	e := collect.Config{Dirs: []collect.Directory{{Path: dir}}, Liveness: collect.LivenessAuto}.Engine()
	check := func(want map[string]float64) {
		t.Helper()
		s, err := e.Collect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Release()
		got := map[string]float64{}
		for _, family := range s.Layout.Families {
			for _, id := range family.Series {
				text := string(s.Layout.AppendText(nil, id))
				if !strings.HasPrefix(text, "livemostrecent") { // since 0.18
					got[text] = s.Value(id)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	all := func(pid int) string { return fmt.Sprintf("liveall{pid=%q}", fmt.Sprint(pid)) }
	check(map[string]float64{all(first): 1, all(second): 2, "livemax": 2, "livemin": 1, "livesum": 3, "work_total": 2})
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Its parent does not wait for it: as long as it is a zombie, too, it is dead.
	for deadline := time.Now().Add(30 * time.Second); ; {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", second))
		if err != nil || strings.Contains(string(state), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker does not end")
		}
	}
	check(map[string]float64{all(first): 1, "livemax": 1, "livemin": 1, "livesum": 1, "work_total": 2})
}
