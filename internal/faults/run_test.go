//go:build linux

package faults

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long things may take that take moments on an idle machine.
	patience = 2 * time.Minute

	// smallSize is how much room there is in the file system that is filled.
	smallSize = "size=6m"

	// fewDescriptors is how many the server has in every other run.
	fewDescriptors  = 96
	manyDescriptors = 1024

	// nobody is who the server runs as if the tests are root's: who may read anything.
	nobody = 65534
)

// A run is a server, its writers, and what becomes of them.
type run struct {
	t       *testing.T
	model   *model
	server  *server
	url     string
	writers []*writer
	stills  []*still
	small   *home         // the one whose file system can be filled; nil if there is none
	space   sync.RWMutex  // held by who fills it, and read-held by who needs room
	limited bool          // the server has few descriptors
	crowded int           // connections that are more than it can have
	clock   *atomic.Int32 // seconds that the server's is wrong by

	cancel context.CancelFunc
	crowds atomic.Int32 // begun and ended: odd while there is one

	mu      sync.Mutex
	events  []string // the latest
	counts  map[string]int
	scrapes int
	longest time.Duration
	total   time.Duration
}

// TestFaults breaks things for a while, then mends all, and looks for leaks.
func TestFaults(t *testing.T) {
	seed, length := rand.Uint64N(1<<32), 15*time.Second
	setting(t, "GME_TEST_SEED", func(text string) (err error) { seed, err = strconv.ParseUint(text, 10, 64); return err })
	setting(t, "GME_FAULTS_TIME", func(text string) (err error) { length, err = time.ParseDuration(text); return err })
	t.Logf("GME_TEST_SEED=%d GME_FAULTS_TIME=%v", seed, length)

	r := &run{t: t, model: &model{}, counts: map[string]int{}, crowded: 550}
	if r.limited = seed%2 == 1; r.limited {
		r.crowded = fewDescriptors + 20
	}
	random := rand.New(rand.NewPCG(seed, 0))
	r.prepare(random)
	before := r.warmUp()

	// Two who never leave: at the end the server must have let them go.
	for _, text := range []string{pages, request[:len(request)-2]} {
		c, err := (&breaker{run: r}).ask(text)
		r.must(err)
		defer c.Close()
	}

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	r.cancel = cancel
	var busy sync.WaitGroup
	for range 2 {
		s := r.scraper()
		busy.Go(func() { r.watch(ctx, s) })
	}
	for _, g := range groups(r) {
		for i := range g.breakers {
			name := fmt.Sprintf("%s %d", g.what, i)
			b := &breaker{run: r, ctx: ctx, name: name, random: rand.New(rand.NewPCG(seed, random.Uint64())), scraper: r.scraper()}
			busy.Go(func() { b.work(g) })
		}
	}
	busy.Wait()
	if !t.Failed() {
		r.end(before)
	}
	r.report()
}

func setting(t *testing.T, name string, parse func(string) error) {
	t.Helper()
	if text := os.Getenv(name); text != "" {
		if err := parse(text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// prepare starts the server and the writers.
func (r *run) prepare(random *rand.Rand) {
	base := r.directory()
	for _, name := range []string{"blue", "red"} {
		h := &home{path: filepath.Join(base, "home-"+name), link: filepath.Join(base, name), up: true}
		r.must(os.Mkdir(h.path, 0o755))
		r.must(os.Symlink(h.path, h.link))
		r.model.homes = append(r.model.homes, h)
	}
	if small := r.model.homes[1]; r.mount(small.path) {
		r.small = small
	}
	for i := range 8 {
		p := &part{name: fmt.Sprintf("still%d", i), home: r.model.homes[i%2], files: 1, listed: 1}
		n, wide := 20+random.IntN(200), 0
		if i == 0 {
			n, wide = 400, 320 // more than is read at once
		}
		s := newStill(p, filepath.Join(p.home.path, "counter_"+p.name+"-0.db"), "still_total", n, wide, func(int) float64 { return anyValue(random) })
		r.must(os.WriteFile(s.path, s.image, 0o644))
		p.still = s.whole()
		r.stills, r.model.parts = append(r.stills, s), append(r.model.parts, p)
	}
	progresses := r.directory()
	writer := func(name string, h *home, prefix string, command ...string) {
		path := filepath.Join(progresses, name)
		p, err := openProgress(path)
		r.must(err)
		w := &writer{part: newProcess(name, h, prefix, p), progress: p}
		w.command = func() *exec.Cmd {
			cmd := exec.Command(command[0], append(slices.Clone(command[1:]), h.path, name, path)...)
			cmd.Env = environment()
			if command[0] == os.Args[0] {
				cmd.Args = append(cmd.Args, []string{"write", "map"}[name[len(name)-1]%2])
				cmd.Env = append(cmd.Env, asWriter+"=1")
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			return cmd
		}
		r.must(w.start())
		r.t.Cleanup(func() { w.kill() })
		w.wild = false
		r.writers, r.model.parts = append(r.writers, w), append(r.model.parts, w.part)
	}
	disk, other := r.model.homes[0], r.model.homes[1]
	writer("go0", disk, "faults", os.Args[0])
	writer("go1", disk, "faults", os.Args[0])
	writer("go2", other, "faults", os.Args[0])
	writer("go3", other, "faults", os.Args[0])
	writer("ruby0", disk, "faults", "ruby", filepath.Join("testdata", "writer.rb"))
	writer("python0", disk, "python", "/usr/bin/python3", filepath.Join("testdata", "writer.py"))
	r.server = r.serve()
	r.url = "http://" + r.server.address + "/metrics"
}

// directory returns a directory that any user can read.
func (r *run) directory() string {
	dir, err := os.MkdirTemp("", "faults")
	r.must(err)
	r.t.Cleanup(func() { os.RemoveAll(dir) })
	r.must(os.Chmod(dir, 0o755))
	return dir
}

// mount gives a directory a small file system of its own, if that is permitted.
func (r *run) mount(path string) bool {
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, smallSize+",mode=755"); err != nil {
		r.t.Logf("no file system will be filled: mounting one: %v", err)
		return false
	}
	r.t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			r.t.Error(err)
		}
	})
	return true
}

func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// environment is one without settings of the program, and of the writers' libraries.
func environment() []string {
	env := []string{"LC_ALL=C.UTF-8", "GORACE=atexit_sleep_ms=0 exitcode=66", "PYTHONDONTWRITEBYTECODE=1"}
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, "GME_") && name != "GORACE" && !strings.EqualFold(name, "prometheus_multiproc_dir") {
			env = append(env, setting)
		}
	}
	return env
}

// A server is the program, serving.
type server struct {
	pid     int
	address string
	limit   int // of descriptors
	log     *tail
	exited  chan error
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

func (r *run) serve() *server {
	args := []string{program, "serve", "--web.listen-address=127.0.0.1:0", "--web.enable-openmetrics"}
	for _, h := range r.model.homes {
		args = append(args, fmt.Sprintf("--mmap.dir=%s{at=%q}", h.link, filepath.Base(h.link)))
	}
	clock := filepath.Join(r.directory(), "clock")
	memory, err := shared(clock)
	r.must(err)
	r.clock = (*atomic.Int32)(memory)
	s := &server{limit: manyDescriptors, log: &tail{}, exited: make(chan error, 1)}
	if r.limited {
		s.limit = fewDescriptors
	}
	args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, s.limit)}, args...)
	cmd := asServer(args)
	cmd.Env, cmd.Stderr = append(environment(), clockVariable+"="+clock), s.log
	r.must(cmd.Start())
	s.pid = cmd.Process.Pid
	go func() { s.exited <- cmd.Wait() }()
	r.t.Cleanup(func() { cmd.Process.Kill() })
	for deadline := time.Now().Add(patience); s.address == ""; time.Sleep(10 * time.Millisecond) {
		if match := listening.FindStringSubmatch(s.log.String()); match != nil {
			s.address = match[1]
		} else if time.Now().After(deadline) {
			r.t.Fatalf("the server does not listen: %s", s.log)
		}
	}
	return s
}

// asServer returns a command that runs as the user who the server is.
func asServer(args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// allow sets how many descriptors the server may have, up to its limit.
func (s *server) allow(n int) error {
	out, err := asServer([]string{"prlimit", "--pid", fmt.Sprint(s.pid), fmt.Sprintf("--nofile=%d:", n)}).CombinedOutput()
	if err != nil {
		return fmt.Errorf("prlimit: %w: %s", err, out)
	}
	return nil
}

// descriptors returns how many files the server has open.
func (s *server) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		return -1
	}
	return len(entries)
}

// A usage is what the server has.
type usage struct {
	descriptors, goroutines int
	resident, peak          int // MB
}

func (s *server) usage(v verdict) usage {
	u := usage{descriptors: s.descriptors(), goroutines: int(v.own["gme_go_goroutines"])}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "VmRSS: %d", &u.resident)
		fmt.Sscanf(line, "VmHWM: %d", &u.peak)
	}
	u.resident /= 1024
	u.peak /= 1024
	return u
}

// warmUp lets the server reach the size that it has in quiet times.
func (r *run) warmUp() usage {
	s := r.scraper()
	defer s.client.CloseIdleConnections()
	var v verdict
	for range 2 * len(turns) {
		var err error
		if v, err = s.scrape(r.t.Context()); err != nil {
			r.t.Fatalf("before anything is broken: %v", err)
		}
	}
	return r.server.usage(v)
}

// watch scrapes all the time.
func (r *run) watch(ctx context.Context, s *scraper) {
	defer s.client.CloseIdleConnections()
	for ctx.Err() == nil {
		_, err := s.scrape(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.fail("a scrape", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// work breaks one thing after the other.
func (b *breaker) work(g group) {
	defer b.scraper.client.CloseIdleConnections()
	for b.ctx.Err() == nil {
		f := pick(b, g.faults)
		if err := f.run(b); err != nil {
			b.fail(f.name, err)
			return
		}
		b.mark(f.name)
		b.pause(100 * time.Millisecond)
	}
}

// full waits until the system takes no more for a client that does not read.
func full(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	taken, same := 0, 0
	for deadline := time.Now().Add(patience); same < 20 && err == nil; time.Sleep(10 * time.Millisecond) {
		before := taken
		if failed := raw.Control(func(fd uintptr) { taken, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); failed != nil {
			return failed
		}
		if same++; taken == 0 || taken != before {
			same = 0
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d bytes are taken for a client that does not read, and still more", taken)
		}
	}
	return err
}

// crowding returns what reports whether there has been a crowd of clients since.
func (r *run) crowding() func() bool {
	before := r.crowds.Load()
	return func() bool { return before%2 == 1 || r.crowds.Load() != before }
}

// mark counts something that happened.
func (r *run) mark(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

// tell keeps what is done just now, for who looks for a cause.
func (b *breaker) tell(text string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	event := time.Now().Format("05.000 ") + b.name + ": " + fmt.Sprintf(text, args...)
	b.events = append(b.events[max(0, len(b.events)-40):], event)
}

// count counts a scrape.
func (r *run) count(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scrapes++
	r.total += took
	r.longest = max(r.longest, took)
}

// fail ends the run.
func (r *run) fail(what string, err error) {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.t.Failed() {
		r.t.Logf("then %s: %.300v", what, err)
		return
	}
	r.t.Errorf("%s %s: %v\nwhat was done last:\n%s\nthe server's log ends:\n%s", time.Now().Format("05.000"), what, err,
		strings.Join(r.events, "\n"), r.server.log)
}

// end is the law that nothing leaks, and that the server ends when it is told to.
func (r *run) end(before usage) {
	for _, w := range r.writers {
		w.kill()
	}
	s := r.scraper()
	var after usage
	most := usage{descriptors: before.descriptors, goroutines: before.goroutines + 5, resident: before.resident + 16}
	if racing() {
		most.resident = 4 * before.resident
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		v, err := s.scrape(r.t.Context())
		if err != nil {
			r.fail("at the end", err)
			return
		}
		after = r.server.usage(v)
		if after.descriptors <= most.descriptors && after.resident <= most.resident && after.goroutines <= most.goroutines {
			break
		}
		if time.Now().After(deadline) {
			r.fail("at the end", fmt.Errorf("the server has %+v, before it had %+v", after, before))
			return
		}
	}
	r.t.Logf("before: %+v; at the end: %+v", before, after)

	// A client that does not read must not keep it.
	if c, err := (&breaker{run: r}).ask(pages); err == nil {
		defer c.Close()
		r.must(full(c))
	}
	start := time.Now()
	r.must(syscall.Kill(r.server.pid, syscall.SIGTERM))
	select {
	case err := <-r.server.exited:
		if err != nil {
			r.fail("SIGTERM", err)
		}
		r.t.Logf("SIGTERM ended it in %v", time.Since(start).Round(time.Millisecond))
	case <-time.After(timeout / 2):
		r.fail("SIGTERM", fmt.Errorf("the server has not ended"))
	}
	if r.server.log.alarm {
		r.fail("the log", fmt.Errorf("the server panicked"))
	}
}

// report logs what was done.
func (r *run) report() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines strings.Builder
	total := 0
	for _, g := range groups(r) {
		for _, f := range g.faults {
			fmt.Fprintf(&lines, "| %s | %s | %d |\n", f.name, f.shows, r.counts[f.name])
			total += r.counts[f.name]
			delete(r.counts, f.name)
		}
	}
	for what, n := range r.counts {
		fmt.Fprintf(&lines, "%s: %d\n", what, n)
	}
	r.t.Logf("%d faults, %d scrapes, %v on average, %v at most; few descriptors: %v\n%s",
		total, r.scrapes, (r.total / time.Duration(max(1, r.scrapes))).Round(time.Microsecond), r.longest.Round(time.Millisecond), r.limited, lines.String())
}

// A tail keeps the end of what a process writes, and whether it ever sounded alarming.
type tail struct {
	mu    sync.Mutex
	text  []byte
	alarm bool
}

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alarm = o.alarm || bytes.Contains(p, []byte("panic")) || bytes.Contains(p, []byte("DATA RACE"))
	o.text = append(o.text, p...)
	if most := 8 << 10; len(o.text) > 2*most {
		o.text = append(o.text[:0], o.text[len(o.text)-most:]...)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
