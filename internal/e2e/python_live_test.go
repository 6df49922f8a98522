package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
)

// TestPythonLiveWriters scrapes the server without a pause while processes with
// the real prometheus_client count, add series, fork, are killed and come back.
func TestPythonLiveWriters(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url := serve(ctx, t, dir)
	stopWatching := watchPython(ctx, t, url)

	const rounds = 1000
	cluster := startPython(ctx, t, dir, "master", rounds, "web-1", "web-2")
	victim := startPython(ctx, t, dir, "victim", 1_000_000)
	phoenix := startPython(ctx, t, dir, "7", rounds)

	// Killed in the middle of whatever it is doing, it goes on where it was.
	poll(ctx, t, url, "the victim has counted", func(values map[string]float64) bool {
		select {
		case <-victim.exited:
			t.Fatalf("the victim ended early with %v\n%s", victim.err, victim.output)
		default:
		}
		return values[`live_total worker="victim"`] >= 50
	})
	victim.kill(t)
	left := pythonValues(ctx, t, url)
	victim = startPython(ctx, t, dir, "victim", rounds)
	phoenix.done(ctx, t)
	phoenix.kill(t)
	phoenix = startPython(ctx, t, dir, "7", rounds)
	phoenix.done(ctx, t)
	phoenix.end(ctx, t)
	phoenix = startPython(ctx, t, dir, "7", rounds)
	for _, w := range []*writer{cluster, victim, phoenix} {
		w.done(ctx, t)
	}
	stopWatching()
	cluster.end(ctx, t)
	victim.kill(t)
	phoenix.kill(t)

	// All is quiet now, and every number known.
	p, err := scrape(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	values, err := p.values()
	if err != nil {
		t.Fatal(err)
	}
	for worker, times := range map[string]float64{"master": 1, "web-1": 1, "web-2": 1, "victim": 1, "7": 3} {
		of := func(values map[string]float64, name string) float64 {
			return values[fmt.Sprintf("%s worker=%q", name, worker)]
		}
		total := times * rounds
		for name, want := range map[string]float64{
			"live_total": total, "live_summary_count": total, "live_summary_sum": 2 * total,
		} {
			if worker == "victim" {
				want += of(left, name)
			}
			if got := of(values, name); got != want {
				t.Errorf("%s: %s is %v, want %v", worker, name, got, want)
			}
		}
		if worker == "victim" {
			if got := of(values, "live_total"); got < 50+rounds {
				t.Errorf("victim: live_total is %v, want at least %v", got, 50+rounds)
			}
			continue
		}
		if got := sumOf(p, "live_rounds_total", worker, ""); got != total/2 {
			t.Errorf("%s: live_rounds_total adds up to %v, want %v", worker, got, total/2)
		}
		for _, name := range []string{"live_seconds_count", "live_seconds_bucket"} {
			if got := sumOf(p, name, worker, "+Inf"); got != total {
				t.Errorf("%s: %s adds up to %v, want %v", worker, name, got, total)
			}
		}
		if got := of(values, "live_most"); got != rounds-1 {
			t.Errorf("%s: live_most is %v, want %v", worker, got, rounds-1)
		}
		if got := values[fmt.Sprintf("live_latest pid=%q", worker)]; got != rounds-1 {
			t.Errorf("%s: live_latest is %v, want %v", worker, got, rounds-1)
		}
	}
	checkAgainstLibrary(t, dir)
}

// checkAgainstLibrary compares what the library makes of a directory, in which
// nobody writes, with what we make of it.
func checkAgainstLibrary(t *testing.T, dir string) {
	t.Helper()
	want := parsePython(t, runPython(t, "python/read.py", dir))
	if diff := cmp.Diff(want, families(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}})); diff != "" {
		t.Errorf("-library +we:\n%s", excerpt(diff))
	}
}

// watchPython starts to scrape without a pause, and to check every page. What it
// returns waits until there were enough scrapes, and ends them.
func watchPython(ctx context.Context, t *testing.T, url string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var scrapes atomic.Int32
	failed := make(chan error, 2)
	var watchers sync.WaitGroup
	watchers.Go(func() { failed <- watch(ctx, url, &scrapes).err })
	watchers.Go(func() { failed <- watchHistograms(ctx, url, &scrapes) })
	end := sync.OnceFunc(func() {
		cancel()
		watchers.Wait()
	})
	t.Cleanup(end)
	return func() {
		t.Helper()
		poll(ctx, t, url, "there are enough scrapes", func(map[string]float64) bool {
			return scrapes.Load() >= 20 || len(failed) > 0
		})
		end()
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		t.Logf("%d scrapes", scrapes.Load())
	}
}

// watchHistograms scrapes until ctx ends, and checks every histogram.
func watchHistograms(ctx context.Context, url string, scrapes *atomic.Int32) error {
	for {
		p, err := scrape(ctx, url)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = checkHistograms(applications(p))
		}
		if err != nil {
			return err
		}
		scrapes.Add(1)
	}
}

// checkHistograms checks that buckets do not go down, and end with that of all
// observations, which are as many as the count says. The client makes buckets one
// by one, the last of all last: until then nothing is observed.
func checkHistograms(p page) error {
	latest := map[string]sample{} // of each label set
	counts := map[string]float64{}
	for _, s := range p.samples {
		f := p.families[s.family]
		if f.kind != "histogram" {
			continue
		}
		set, at, err := histogramSpot(f.name, s)
		if err != nil {
			return err
		}
		switch at.part {
		case 0:
			if last, ok := latest[set]; ok && last.value > s.value {
				return fmt.Errorf("%s is %v, less than %s, which is %v", s.id, s.value, last.id, last.value)
			}
			latest[set] = s
		case 2:
			counts[set] = s.value
		}
	}
	for set, last := range latest {
		if count, ok := counts[set]; !ok || count != last.value || last.label("le") != "+Inf" && count != 0 {
			return fmt.Errorf("%s: count is %v (there: %v), and %s is %v", set, count, ok, last.id, last.value)
		}
	}
	if len(latest) != len(counts) {
		return fmt.Errorf("%d histograms have buckets, %d have a count", len(latest), len(counts))
	}
	return nil
}

func pythonValues(ctx context.Context, t *testing.T, url string) map[string]float64 {
	t.Helper()
	p, err := scrape(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	values, err := p.values()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// startPython starts a busy.py.
func startPython(ctx context.Context, t *testing.T, dir, id string, rounds int, children ...string) *writer {
	t.Helper()
	return startCounting(t, id, command(ctx, dir, python, append([]string{filepath.Join("testdata", "python", "busy.py"), dir, id, fmt.Sprint(rounds)}, children...)...))
}

// TestGunicorn has clients ask a gunicorn for pages, whose workers are replaced
// after some requests, and killed. Whatever a client had an answer to is counted,
// once; and gauges are those of workers that live.
func TestGunicorn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url := serve(ctx, t, dir)
	gunicorn, address := startGunicorn(ctx, t, dir)
	stopWatching := watchPython(ctx, t, url)

	const clients, each, kills, workers = 4, 100, 3, 3
	answers := askAll(ctx, address, clients, each)
	answered, failed := map[string]bool{}, map[string]bool{}
	pids, killed := map[int]bool{}, map[int]bool{}
	for a := range answers {
		if a.err != nil {
			failed[a.request] = true
			continue
		}
		answered[a.request] = true
		pids[a.pid] = true
		// Not just any process: the worker may be gone, and replaced.
		if len(killed) < kills && len(answered) >= clients*each*(len(killed)+1)/(kills+1) && parent(a.pid) == gunicorn.cmd.Process.Pid {
			if err := syscall.Kill(a.pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed[a.pid] = true
		}
	}
	t.Logf("%d requests answered by %d workers, %d not; killed: %v", len(answered), len(pids), len(failed), killed)
	if len(killed) != kills || len(pids) < workers+kills+2 {
		t.Errorf("%d workers killed, and %d there were; want %d, and %d at least\n%s", len(killed), len(pids), kills, workers+kills+2, gunicorn.output)
	}
	// A worker that is killed takes no more with it than the request it is at.
	if len(failed) > kills {
		t.Errorf("%d requests without an answer", len(failed))
	}

	poll(ctx, t, url, "the gauges are those of workers that live", func(values map[string]float64) bool {
		n := 0
		for id := range values {
			text, ok := strings.CutPrefix(id, `web_worker pid="`)
			if !ok {
				continue
			}
			pid, err := strconv.Atoi(strings.TrimSuffix(text, `"`))
			if err != nil || killed[pid] || parent(pid) != gunicorn.cmd.Process.Pid {
				return false
			}
			n++
		}
		return n == workers && values["web_workers"] == workers
	})
	stopWatching()
	checkAnswers(t, pythonValues(ctx, t, url), answered, failed)

	if err := gunicorn.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gunicorn.exited:
	case <-ctx.Done():
		t.Fatalf("SIGTERM did not end gunicorn\n%s", gunicorn.output)
	}
	values := pythonValues(ctx, t, url)
	checkAnswers(t, values, answered, failed)
	for id := range values {
		if strings.HasPrefix(id, "web_worker") {
			t.Errorf("all workers are gone, but %s is there", id)
		}
	}
	checkAgainstLibrary(t, dir)
}

// startGunicorn returns a gunicorn and its address.
func startGunicorn(ctx context.Context, t *testing.T, dir string) (*writer, string) {
	t.Helper()
	scripts := filepath.Join("testdata", "python")
	w := &writer{
		id:     "gunicorn",
		cmd:    command(ctx, dir, python, "-m", "gunicorn", "-c", filepath.Join(scripts, "gunicorn.conf.py"), "--pythonpath", scripts, "web:application"),
		output: newWatchedOutput(regexp.MustCompile(`Listening at: http://(\S+) `)), exited: make(chan struct{}),
	}
	w.cmd.Env = append(w.cmd.Env, "PROMETHEUS_MULTIPROC_DIR="+dir, "PYTHONDONTWRITEBYTECODE=1")
	// Its workers end when it does, or with it.
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.cmd.Cancel = func() error { return syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) }
	w.start(t)
	select {
	case match := <-w.output.matched:
		return w, match[1]
	case <-w.exited:
		t.Fatalf("gunicorn ended early with %v\n%s", w.err, w.output)
	case <-ctx.Done():
		t.Fatalf("gunicorn does not listen: %v\n%s", ctx.Err(), w.output)
	}
	return nil, ""
}

// An answer is what came of a request.
type answer struct {
	request string // client and number
	pid     int    // of the worker
	err     error
}

// askAll has clients send their requests, one after the other each.
func askAll(ctx context.Context, address string, clients, each int) <-chan answer {
	// Nothing is ever sent twice: connections are not used again.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answers := make(chan answer)
	var asking sync.WaitGroup
	for c := range clients {
		asking.Go(func() {
			for number := range each {
				a := answer{request: fmt.Sprintf("client=%q number=%q", fmt.Sprint(c), fmt.Sprint(number))}
				a.pid, a.err = askOnce(ctx, client, fmt.Sprintf("http://%s/%d/%d", address, c, number))
				answers <- a
			}
		})
	}
	go func() {
		asking.Wait()
		close(answers)
	}()
	return answers
}

func askOnce(ctx context.Context, client *http.Client, url string) (pid int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(body))
}

// parent returns the process id of a process's parent, 0 if there is no such
// process.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// What is in parentheses may be anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 || string(fields[0]) == "Z" {
		return 0
	}
	number, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return number
}

// checkAnswers checks that all requests that were answered are counted once, and
// the others once at most.
func checkAnswers(t *testing.T, values map[string]float64, answered, failed map[string]bool) {
	t.Helper()
	for id, value := range values {
		request, ok := strings.CutPrefix(id, "web_requests_total ")
		switch {
		case !ok:
		case answered[request] && value == 1, failed[request] && (value == 0 || value == 1):
		default:
			t.Errorf("%s is %v (answered: %v, failed: %v)", id, value, answered[request], failed[request])
		}
	}
	for request := range answered {
		if _, ok := values["web_requests_total "+request]; !ok {
			t.Errorf("the answer to %s is not counted", request)
		}
	}
	least, most := float64(len(answered)), float64(len(answered)+len(failed))
	count := 0.0
	for id, value := range values {
		if strings.HasPrefix(id, "web_seconds_count ") {
			count += value
		}
	}
	for name, got := range map[string]float64{"web_answers_total": values["web_answers_total"], "web_seconds_count": count} {
		if got < least || got > most {
			t.Errorf("%s is %v, want %v to %v", name, got, least, most)
		}
	}
}
