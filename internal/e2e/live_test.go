package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestLiveWriters scrapes the server without a pause while Ruby processes
// count, add series, fork, are killed and come back.
func TestLiveWriters(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url := serve(ctx, t, dir)

	scraping, stop := context.WithCancel(ctx)
	defer stop()
	var scrapes atomic.Int32
	watchers := make(chan watched, 2) // holds one as soon as something is wrong
	for range 2 {
		go func() { watchers <- watch(scraping, url, &scrapes) }()
	}

	const rounds = 700
	// A master that forks its workers, as Puma does.
	cluster := startWriter(ctx, t, dir, "puma_master", rounds, "puma_0", "puma_1")
	// Two processes of one id at the same time: the second has files -1.
	twins := []*writer{startWriter(ctx, t, dir, "sidekiq_1", rounds), startWriter(ctx, t, dir, "sidekiq_1", rounds)}
	// A process that is killed in the middle of whatever it is doing.
	victim := startWriter(ctx, t, dir, "victim", 1_000_000)
	// A process that comes back twice.
	phoenix := startWriter(ctx, t, dir, "phoenix", rounds)

	poll(ctx, t, url, "the victim has counted", func(values map[string]float64) bool {
		return values[`live_total worker="victim"`] >= 50
	})
	victim.kill(t)
	victim = startWriter(ctx, t, dir, "victim", rounds)
	phoenix.done(ctx, t)
	phoenix.kill(t)
	phoenix = startWriter(ctx, t, dir, "phoenix", rounds)
	phoenix.done(ctx, t)
	phoenix.end(ctx, t)
	phoenix = startWriter(ctx, t, dir, "phoenix", rounds)
	for _, w := range append(twins, cluster, victim, phoenix) {
		w.done(ctx, t)
	}
	// On a slow machine the restless counters go on until it is worth it.
	poll(ctx, t, url, "there are enough scrapes", func(map[string]float64) bool {
		return scrapes.Load() >= 20 || len(watchers) > 0
	})
	cluster.end(ctx, t)
	twins[0].end(ctx, t)
	for _, w := range []*writer{twins[1], victim, phoenix} {
		w.kill(t)
	}

	stop()
	t.Logf("%d scrapes", scrapes.Load())
	for range 2 {
		w := <-watchers
		if w.err != nil {
			t.Error(w.err)
		}
		t.Logf("%d counters at the end", len(w.counters))
	}

	// All is quiet now, and every number known.
	p, err := scrape(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	values, err := p.values()
	if err != nil {
		t.Fatal(err)
	}
	for worker, times := range map[string]float64{
		"puma_master": 1, "puma_0": 1, "puma_1": 1, "sidekiq_1": 2, "phoenix": 3,
	} {
		of := func(name string) float64 { return values[fmt.Sprintf("%s worker=%q", name, worker)] }
		total := times * rounds
		if got := of("live_total"); got != total {
			t.Errorf("%s: live_total is %v, want %v", worker, got, total)
		}
		if count, sum := of("live_summary_count"), of("live_summary_sum"); count != total || sum != 2*total {
			t.Errorf("%s: live_summary has count %v and sum %v, want %v and %v", worker, count, sum, total, 2*total)
		}
		if got := sumOf(p, "live_rounds_total", worker, ""); got != total/2 {
			t.Errorf("%s: live_rounds_total adds up to %v, want %v", worker, got, total/2)
		}
		for _, name := range []string{"live_seconds_count", "live_seconds_bucket"} {
			if got := sumOf(p, name, worker, "+Inf"); got != total {
				t.Errorf("%s: %s adds up to %v, want %v", worker, name, got, total)
			}
		}
		if got := of("live_most"); got != rounds-1 {
			t.Errorf("%s: live_most is %v, want %v", worker, got, rounds-1)
		}
		if got := values[fmt.Sprintf("live_rounds pid=%q", worker)]; got != rounds-1 {
			t.Errorf("%s: live_rounds is %v, want %v", worker, got, rounds-1)
		}
	}
	if got := values[`live_total worker="victim"`]; got < 50+rounds {
		t.Errorf("victim: live_total is %v, want at least %v", got, 50+rounds)
	}

	// Who came back went on in the old files; only the twins have two.
	second, err := filepath.Glob(filepath.Join(dir, "*-1.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range second {
		if !strings.Contains(file, "sidekiq_1-1.db") {
			t.Errorf("%s: its process did not reuse the file it left", filepath.Base(file))
		}
	}
	if len(second) == 0 {
		t.Error("the twins share their files")
	}

	theirs, err := gem(t, dir)
	if err != nil {
		t.Fatalf("the gem: %v", err)
	}
	checkParity(t, parseGem(t, theirs), applications(p))

	// What is deleted is gone with the next scrape.
	files, err := filepath.Glob(filepath.Join(dir, "*_phoenix-0.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the files of phoenix: %q, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if theirs, err = gem(t, dir); err != nil {
		t.Fatalf("the gem: %v", err)
	}
	if p, err = scrape(ctx, url); err != nil {
		t.Fatal(err)
	}
	if n := sumOf(p, "live_total", "phoenix", ""); n != 0 {
		t.Errorf("live_total of phoenix is still %v", n)
	}
	checkParity(t, parseGem(t, theirs), applications(p))
}

// TestServeFilesChange: what the server remembers of a file must never show
// once the file says something else. After each step its page is the gem's.
func TestServeFilesChange(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url := serve(ctx, t, dir)
	source := func(path string) []byte { return readFile(t, filepath.Join(golden, path)) }
	counter, histogram := filepath.Join(dir, "counter_1-0.db"), filepath.Join(dir, "histogram_1-0.db")
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"first file", func() error { return os.WriteFile(counter, source("basic/counter_puma_0-0.db"), 0o644) }},
		{"second file", func() error { return os.WriteFile(histogram, source("basic/histogram_puma_0-0.db"), 0o644) }},
		// A mapping that is written leaves the time of the file as it was.
		{"new value, old mtime", func() error { return pokeValue(counter, 4711) }},
		{"new value again", func() error { return pokeValue(counter, 0.5) }},
		{"other content in place", func() error { return os.WriteFile(counter, source("restarted/counter_puma_0-0.db"), 0o644) }},
		{"larger in place", func() error { return os.WriteFile(counter, source("nasty-labels/counter_puma_1-0.db"), 0o644) }},
		{"replaced", func() error { return replaceFile(counter, source("basic/counter_puma_1-0.db")) }},
		// Keys of the same length, with the same ends.
		{"replaced by one alike", func() error {
			return replaceFile(counter, bytes.ReplaceAll(source("basic/counter_puma_1-0.db"), []byte(`"get"`), []byte(`"put"`)))
		}},
		{"emptied", func() error { return os.Truncate(counter, 0) }},
		{"a page of zeros", func() error { return os.Truncate(counter, 4096) }},
		{"filled again", func() error { return os.WriteFile(counter, source("basic/counter_puma_0-0.db"), 0o644) }},
		{"renamed to another type", func() error { return os.Rename(counter, filepath.Join(dir, "gauge_all_1-0.db")) }},
		{"renamed to another process", func() error {
			return os.Rename(filepath.Join(dir, "gauge_all_1-0.db"), filepath.Join(dir, "gauge_all_2-0.db"))
		}},
		{"deleted", func() error { return os.Remove(histogram) }},
		{"all deleted", func() error { return os.Remove(filepath.Join(dir, "gauge_all_2-0.db")) }},
		{"back", func() error { return os.WriteFile(counter, source("basic/counter_puma_1-0.db"), 0o644) }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		theirs, err := gem(t, dir)
		if err != nil {
			t.Fatalf("%s: the gem: %v", step.name, err)
		}
		// The second scrape finds everything as the first has left it.
		for _, turn := range []string{"first", "second"} {
			p, err := scrape(ctx, url)
			if err != nil {
				t.Fatalf("%s, %s scrape: %v", step.name, turn, err)
			}
			t.Run(step.name+"/"+turn, func(t *testing.T) { checkParity(t, parseGem(t, theirs), applications(p)) })
		}
	}
}

// replaceFile puts another file in the place of path.
func replaceFile(path string, data []byte) error {
	fresh := path + ".fresh"
	if err := os.WriteFile(fresh, data, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// pokeValue changes the value of the first entry as a mapping would: in
// place, and without a trace in the file's times.
func pokeValue(path string, value float64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	var length [4]byte
	if _, err := file.ReadAt(length[:], 8); err != nil {
		return err
	}
	stored := int64(4 + binary.LittleEndian.Uint32(length[:]))
	bits := binary.LittleEndian.AppendUint64(nil, math.Float64bits(value))
	if _, err := file.WriteAt(bits, 8+stored+8-stored%8); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// TestServeDamaged: what is wrong is counted, and takes nothing else from the
// page.
func TestServeDamaged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	for _, pattern := range []string{"damaged/*.db", "bad-keys/*.db", "two-types/*.db"} {
		files, err := filepath.Glob(filepath.Join(golden, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %q, %v", pattern, files, err)
		}
		for _, file := range files {
			copyFile(t, file, dir)
		}
	}
	p, err := scrape(ctx, serve(ctx, t, dir))
	if err != nil {
		t.Fatal(err)
	}
	values, err := p.values()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]float64{
		`gme_mmap_damaged_files reason="truncated"`: 3,
		`gme_mmap_damaged_files reason="entry"`:     8,
		`gme_mmap_damaged_files reason="key"`:       1,
		`gme_mmap_skipped_entries`:                  24,
		`good_total a="after"`:                      1,
		`none_total n="3"`:                          3,
		`gme_mmap_conflicting_families`:             4,
		`steady_total`:                              1,
	} {
		if got, ok := values[id]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", id, got, ok, want)
		}
	}
}

// TestServeNothingYet: the server may well start before the application.
func TestServeNothingYet(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	url := serve(ctx, t, dir)
	p, err := scrape(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if apps := applications(p); len(apps.samples) != 0 {
		t.Errorf("an empty directory has %d samples", len(apps.samples))
	}
	copyFile(t, filepath.Join(golden, "basic", "counter_puma_0-0.db"), dir)
	if p, err = scrape(ctx, url); err != nil {
		t.Fatal(err)
	}
	if apps := applications(p); len(apps.samples) != 3 {
		t.Errorf("%d samples of the first file, want 3", len(apps.samples))
	}
}

// sumOf adds up the samples of one name and worker, and of one bucket if it
// is one.
func sumOf(p page, name, worker, le string) (sum float64) {
	for _, s := range p.samples {
		if s.name == name && s.label("worker") == worker && (!strings.HasSuffix(name, "_bucket") || s.label("le") == le) {
			sum += s.value
		}
	}
	return sum
}

var listening = regexp.MustCompile(`msg="Listening on"(?: component=web)? address=(\S+)[ \n]`)

// serve runs the server for a directory until the test ends, and returns the
// address of its page.
func serve(ctx context.Context, t *testing.T, dir string, flags ...string) (url string) {
	t.Helper()
	// Not ctx: that ends before the clean-up that ends the server in good order.
	cmd := command(context.Background(), dir, program, append([]string{"serve", "--mmap.dir=" + dir, "--web.listen-address=127.0.0.1:0",
		"--probes=self,mmap,mmap_stats", "--log.level=info"}, flags...)...)
	return "http://" + start(ctx, t, cmd) + "/metrics"
}

// start runs a server until the test ends, and returns the address that its log
// says it listens on.
func start(ctx context.Context, t *testing.T, cmd *exec.Cmd) (address string) {
	t.Helper()
	log := newWatchedOutput(listening)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("SIGTERM: %v\n%s", err, log)
		}
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("after SIGTERM the server ended with %v\n%s", err, log)
			}
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			t.Errorf("SIGTERM did not end the server\n%s", log)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", log)
		}
	})
	select {
	case match := <-log.matched:
		return match[1]
	case <-ctx.Done():
		t.Fatalf("the server does not listen: %v\n%s", ctx.Err(), log)
	}
	return ""
}

// scrape fetches one page, which must be in good order.
func scrape(ctx context.Context, url string) (page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return page{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return page{}, err
	}
	if response.StatusCode != http.StatusOK {
		return page{}, fmt.Errorf("%s: %s", response.Status, body)
	}
	p, err := checked(string(body))
	if err != nil {
		return page{}, fmt.Errorf("%w\n%s", err, excerpt(string(body)))
	}
	values, err := p.values()
	if err != nil {
		return page{}, err
	}
	if success, ok := values[`gme_probe_success probe="mmap"`]; !ok || success != 1 {
		return page{}, fmt.Errorf(`gme_probe_success{probe="mmap"} is %v, %v`, success, ok)
	}
	return p, nil
}

// watched is what came of watch.
type watched struct {
	counters map[string]float64
	err      error
}

// watch scrapes until ctx ends, and makes sure that no counter of the
// application goes down or away.
func watch(ctx context.Context, url string, scrapes *atomic.Int32) (w watched) {
	for {
		p, err := scrape(ctx, url)
		if ctx.Err() != nil {
			return w
		}
		if err != nil {
			w.err = err
			return w
		}
		scrapes.Add(1)
		counters := map[string]float64{}
		for _, s := range p.samples {
			f := p.families[s.family]
			if f.kind != "gauge" && f.kind != "untyped" && !strings.HasPrefix(f.name, "gme_") {
				counters[s.id] = s.value
			}
		}
		for id, before := range w.counters {
			if now, ok := counters[id]; !ok || now < before {
				w.err = fmt.Errorf("%s is %v (there: %v), was %v", id, now, ok, before)
				return w
			}
		}
		w.counters = counters
	}
}

// poll scrapes until the page is as wanted.
func poll(ctx context.Context, t *testing.T, url, what string, ok func(map[string]float64) bool) {
	t.Helper()
	for {
		p, err := scrape(ctx, url)
		if err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		values, err := p.values()
		if err != nil {
			t.Fatal(err)
		}
		if ok(values) {
			return
		}
	}
}

// A writer is a running live.rb.
type writer struct {
	id     string
	cmd    *exec.Cmd
	stdin  io.Closer
	output *watchedOutput
	exited chan struct{}
	err    error // how it ended; only after exited
}

// startWriter starts a writer of the gem's files.
func startWriter(ctx context.Context, t *testing.T, dir, id string, rounds int, children ...string) *writer {
	t.Helper()
	return startCounting(t, id, command(ctx, dir, "ruby", append([]string{filepath.Join("testdata", "live.rb"), dir, id, fmt.Sprint(rounds)}, children...)...))
}

// startCounting starts a process that says done when it has counted all it was
// told to, and ends when its input does.
func startCounting(t *testing.T, id string, cmd *exec.Cmd) *writer {
	t.Helper()
	w := &writer{id: id, cmd: cmd, output: newWatchedOutput(regexp.MustCompile(`(?m)^done$`)), exited: make(chan struct{})}
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.stdin = stdin
	w.start(t)
	return w
}

// start starts the process, which lives no longer than the test.
func (w *writer) start(t *testing.T) {
	t.Helper()
	w.cmd.Stdout, w.cmd.Stderr = w.output, w.output
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.err = w.cmd.Wait()
		close(w.exited)
	}()
	t.Cleanup(func() {
		w.cmd.Process.Kill()
		<-w.exited
	})
}

// done returns when the writer has counted all it was told to.
func (w *writer) done(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-w.output.matched:
	case <-w.exited:
		t.Fatalf("%s ended early with %v\n%s", w.id, w.err, w.output)
	case <-ctx.Done():
		t.Fatalf("%s: %v\n%s", w.id, ctx.Err(), w.output)
	}
}

// kill ends the writer without giving it a chance to tidy up.
func (w *writer) kill(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatalf("killing %s: %v\n%s", w.id, err, w.output)
	}
	<-w.exited
	if exit := (*exec.ExitError)(nil); !errors.As(w.err, &exit) || exit.Exited() {
		t.Fatalf("%s was not killed, it ended with %v\n%s", w.id, w.err, w.output)
	}
}

// end lets the writer end by itself.
func (w *writer) end(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := w.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.exited:
	case <-ctx.Done():
		t.Fatalf("%s: %v\n%s", w.id, ctx.Err(), w.output)
	}
	if w.err != nil {
		t.Fatalf("%s ended with %v\n%s", w.id, w.err, w.output)
	}
}

// A watchedOutput keeps what a process writes, and tells when a pattern
// appears in it for the first time.
type watchedOutput struct {
	matched chan []string
	pattern *regexp.Regexp

	mu   sync.Mutex
	text bytes.Buffer
	told bool
}

func newWatchedOutput(pattern *regexp.Regexp) *watchedOutput {
	return &watchedOutput{pattern: pattern, matched: make(chan []string, 1)}
}

func (o *watchedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if !o.told {
		if match := o.pattern.FindStringSubmatch(o.text.String()); match != nil {
			o.told = true
			o.matched <- match
		}
	}
	return len(p), nil
}

func (o *watchedOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
