package collect_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/collect"
)

// live is the image of a file with one live gauge.
func live(value float64) []byte {
	return pythonImage(stamped, stampedEntry{pythonKey("g", "g", "{}", "Help."), value, 0})
}

// deadPID returns the id of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	must(t, cmd.Run())
	return cmd.Process.Pid
}

// claim writes a file of a live gauge that bears our own process id, and maps it, as
// Python does.
func claim(t *testing.T, dir string, value float64) (name string) {
	t.Helper()
	return claimAs(t, dir, "gauge_livesum", live(value))
}

// claimAs is claim for another kind of file.
func claimAs(t *testing.T, dir, kind string, content []byte) (name string) {
	t.Helper()
	name = fmt.Sprintf("%s_%d.db", kind, os.Getpid())
	rewrite(t, filepath.Join(dir, name), content)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	mapped, err := unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Munmap(mapped)) })
	return name
}

func withLiveness(dir string, l collect.Liveness) *collect.Engine {
	return collect.Config{Dirs: []collect.Directory{{Path: dir}}, Liveness: l}.Engine()
}

// Live gauges of a dead process do not count where it is certain that it is dead.
func TestLiveness(t *testing.T) {
	dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
	tests := []struct {
		name     string
		liveness collect.Liveness
		proof    bool
		want     string
	}{
		{"off", collect.LivenessOff, true, "g 11"},
		{"auto, proved", collect.LivenessAuto, true, "g 1"},
		{"auto, not proved", collect.LivenessAuto, false, "g 10"},
		{"on, proved", collect.LivenessOn, true, "g 1"},
		{"on, not proved", collect.LivenessOn, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			counter := stampedEntry{pythonKey("c", "c_total", "{}", "Help."), 5, 0}
			dir := inDir(t, map[string][]byte{dead: live(10), "counter_" + dead[len("gauge_livesum_"):]: pythonImage(stamped, counter)})
			if tt.proof {
				claim(t, dir, 1)
			}
			want := []string{"# c_total counter", "c_total 5"} // dead or alive
			if tt.want != "" {
				want = append(want, "# g gauge", tt.want)
			}
			e := withLiveness(dir, tt.liveness)
			for range 3 {
				wantPage(t, lookBoth(t, e), helped(want...))
			}
			s, err := e.Collect(t.Context())
			must(t, err)
			if s.Dirs[0].Proved != (tt.proof && tt.liveness != collect.LivenessOff) {
				t.Errorf("proved: %t", s.Dirs[0].Proved)
			}
			for _, f := range s.Files {
				if f.Dead && (f.Name != dead || f.Size != int64(len(live(10))) || f.Process() != dead[len("gauge_livesum_"):len(dead)-3]) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// What was proved stays proved when the last process has ended.
func TestLivenessOfAll(t *testing.T) {
	dir := t.TempDir()
	name := claim(t, dir, 1)
	e := withLiveness(dir, collect.LivenessAuto)
	wantPage(t, look(t, e), helped("# g gauge", "g 1"))
	must(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("gauge_livesum_%d.db", deadPID(t)))))
	wantPage(t, look(t, e), "")
}

// Any file proves it: processes that live may not have set a live gauge.
func TestLivenessProvedByACounter(t *testing.T) {
	dir := inDir(t, map[string][]byte{fmt.Sprintf("gauge_livesum_%d.db", deadPID(t)): live(10)})
	e := withLiveness(dir, collect.LivenessAuto)
	wantPage(t, lookBoth(t, e), helped("# g gauge", "g 10"))
	claimAs(t, dir, "counter", pythonImage(stamped, stampedEntry{pythonKey("c", "c_total", "{}", "Help."), 5, 0}))
	wantPage(t, lookBoth(t, e), helped("# c_total counter", "c_total 5"))
}

// A process that has the id, but has not mapped the file, is another one.
func TestLivenessOfAStranger(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	must(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	stranger := fmt.Sprintf("gauge_livesum_%d.db", cmd.Process.Pid)
	dir := inDir(t, map[string][]byte{stranger: live(10)})
	e := withLiveness(dir, collect.LivenessAuto)
	wantPage(t, lookBoth(t, e), helped("# g gauge", "g 10"))
	claim(t, dir, 1)
	wantPage(t, lookBoth(t, e), helped("# g gauge", "g 1"))
}

// A file that changes has a process that lives, wherever it is: then nothing is
// proved any more.
func TestLivenessDisproved(t *testing.T) {
	dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
	dir := inDir(t, map[string][]byte{dead: live(10)})
	claim(t, dir, 1)
	e := withLiveness(dir, collect.LivenessAuto)
	wantPage(t, look(t, e), helped("# g gauge", "g 1"))
	rewrite(t, filepath.Join(dir, dead), live(20))
	wantPage(t, look(t, e), helped("# g gauge", "g 21"))
	wantPage(t, look(t, e), helped("# g gauge", "g 21"))
	s, err := e.Collect(t.Context())
	must(t, err)
	if !s.Dirs[0].Disproved {
		t.Error("nobody says so")
	}
}

// Names without a process id are nobody's, and Ruby's say nothing.
func TestLivenessOfNames(t *testing.T) {
	dir := inDir(t, map[string][]byte{
		"gauge_livesum_web.db": live(1), "gauge_livesum_0.db": live(2), "gauge_livesum_007.db": live(4), "gauge_livesum_99999999999999999999.db": live(8),
		"gauge_sum_4194304.db": live(16), "gauge_livesum_4194303-0.db": image(sample(32, "g")),
	})
	wantPage(t, lookBoth(t, withLiveness(dir, collect.LivenessOn)), helped("# g gauge", "g 63"))
}

// A process that maps its file later is its owner from then on.
func TestLivenessOfLateOwner(t *testing.T) {
	dir := inDir(t, map[string][]byte{fmt.Sprintf("gauge_livesum_%d.db", os.Getpid()): live(1)})
	e := withLiveness(dir, collect.LivenessOn)
	wantPage(t, look(t, e), "")
	claim(t, dir, 2)
	wantPage(t, look(t, e), helped("# g gauge", "g 2"))
}

// A file that cannot be read, for a while, has not changed.
func TestLivenessOfUnreadable(t *testing.T) {
	for _, order := range []string{"good bad", "bad good"} {
		dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
		dir := t.TempDir()
		claim(t, dir, 1)
		e := withLiveness(dir, collect.LivenessAuto)
		path := filepath.Join(dir, dead)
		for _, state := range strings.Fields(order) {
			must(t, os.RemoveAll(path))
			if state == "good" {
				rewrite(t, path, live(10))
			} else {
				loop(t, path)
			}
			wantPage(t, look(t, e), helped("# g gauge", "g 1"))
		}
		s, err := e.Collect(t.Context())
		must(t, err)
		if s.Dirs[0].Disproved {
			t.Errorf("%s: disproved", order)
		}
		s.Release()
	}
}

// A process may have any name.
func TestLivenessOfOddName(t *testing.T) {
	comm := fmt.Sprintf("/proc/%d/comm", os.Getpid())
	name, err := os.ReadFile(comm)
	must(t, err)
	must(t, os.WriteFile(comm, []byte("x) Z 1 (y"), 0))
	defer func() { must(t, os.WriteFile(comm, name, 0)) }()
	dir := t.TempDir()
	claim(t, dir, 1)
	wantPage(t, look(t, withLiveness(dir, collect.LivenessOn)), helped("# g gauge", "g 1"))
}

// What is no number as the system writes it is no process.
func TestLivenessOfOddNumber(t *testing.T) {
	dir := inDir(t, map[string][]byte{"gauge_livesum_-4194303.db": live(1), "gauge_livesum_04194303.db": live(2)})
	wantPage(t, lookBoth(t, withLiveness(dir, collect.LivenessOn)), helped("# g gauge", "g 3"))
}

// A collection that is cut short forgets nothing about processes.
func TestLivenessCutShort(t *testing.T) {
	dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
	dir := inDir(t, map[string][]byte{dead: live(10)})
	claim(t, dir, 1)
	e := withLiveness(dir, collect.LivenessAuto)
	wantPage(t, look(t, e), helped("# g gauge", "g 1"))
	if _, err := e.Collect(newCountdown(0)); err == nil {
		t.Fatal("not cut short")
	}
	rewrite(t, filepath.Join(dir, dead), live(20))
	wantPage(t, look(t, e), helped("# g gauge", "g 21"))
}

// A change behind the first window is one, too.
func TestLivenessOfLargeFile(t *testing.T) {
	content := func(last float64) []byte {
		var entries []stampedEntry
		for i := range 2000 {
			entries = append(entries, stampedEntry{pythonKey("g", "g", fmt.Sprintf(`{"l": "%0100d"}`, i), "Help."), last * float64(i/1999), 0})
		}
		return pythonImage(stamped, entries...)
	}
	dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
	dir := inDir(t, map[string][]byte{dead: content(10)})
	claim(t, dir, 1)
	e := withLiveness(dir, collect.LivenessAuto)
	if n := look(t, e).Series; n != 1 {
		t.Fatalf("%d series", n)
	}
	rewrite(t, filepath.Join(dir, dead), content(20))
	if n := look(t, e).Series; n != 2001 {
		t.Errorf("%d series, want those of a process that lives, too", n)
	}
}

// Who has ended is not there, even if nobody has waited for it.
func TestLivenessOfZombie(t *testing.T) {
	cmd := exec.Command("true")
	must(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	eventually(t, "the end of a process", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") Z ")
	})
	dir := inDir(t, map[string][]byte{fmt.Sprintf("gauge_livesum_%d.db", cmd.Process.Pid): live(1)})
	wantPage(t, look(t, withLiveness(dir, collect.LivenessOn)), "")
}

// A file of the same name in another directory is another file.
func TestLivenessOfSameName(t *testing.T) {
	dir := inDir(t, map[string][]byte{claim(t, t.TempDir(), 1): live(2)})
	wantPage(t, look(t, withLiveness(dir, collect.LivenessOn)), "")
}

// Who says "on" is believed, whatever changes.
func TestLivenessOnIsBelieved(t *testing.T) {
	dead := fmt.Sprintf("gauge_livesum_%d.db", deadPID(t))
	dir := inDir(t, map[string][]byte{dead: live(10)})
	e := withLiveness(dir, collect.LivenessOn)
	for i := range 4 {
		rewrite(t, filepath.Join(dir, dead), live(float64(i)))
		wantPage(t, look(t, e), "")
	}
}
