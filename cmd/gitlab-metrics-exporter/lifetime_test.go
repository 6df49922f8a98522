package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// ending is how long the program may take to end once it is told to.
const ending = 2 * time.Second

// cutting is how long it may take if somebody has to be cut off first.
const cutting = ending + time.Second

// TestSignalsThatDoNotEndIt: sidekiq-cluster passes these on to all its
// children.
func TestSignalsThatDoNotEndIt(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self", "--log.level=debug")
	signals := []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP}
	for _, signal := range signals {
		s.signal(signal)
		// An answer proves that it is neither ended nor stopped.
		if r := s.get("/-/ready"); r.code != 200 {
			t.Errorf("after %v: status %d%s", signal, r.code, s.said())
		}
	}
	s.says("There is no log file to open again") // the last of them has arrived
	if r := s.get("/-/ready"); r.code != 200 {
		t.Errorf("after all of them: status %d%s", r.code, s.said())
	}
	s.alive()
}

// TestPortIsFreeAgain: a supervisor starts the next one on the same port as
// soon as the last one has ended.
func TestPortIsFreeAgain(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.3" // nobody else's connections come from there
	address := host + ":" + freePort(t, host)
	for round := range 5 {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			s := serve(t, command(nil, "--web.listen-address="+address, "--probes=self"))
			s.scrape() // on a connection that is kept
			s.signal(signal)
			s.ends(ending)
			if t.Failed() {
				t.Fatalf("round %d, %v", round, signal)
			}
		}
	}
}

// TestIdleConnectionDoesNotHoldUpTheEnd: nor does one on which nothing was
// ever asked.
func TestIdleConnectionDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	dial(t, s.address)
	s.scrape() // so the connection before it is accepted
	s.signal(syscall.SIGTERM)
	s.ends(cutting)
}

// TestScrapeUnderWayIsAnswered: a client that is still reading when the server
// is told to end gets the whole page.
func TestScrapeUnderWayIsAnswered(t *testing.T) {
	t.Parallel()
	s := start(t, "--mmap.dir="+hugeDirectory(t), "--probes=mmap")
	whole := s.scrape()
	slow := slowClient(t, s.address, "/metrics")

	s.signal(syscall.SIGTERM)
	s.says("Stopping")
	eventually(t, patience, func() string { return "new connections are refused" + s.said() }, func() bool {
		connection, err := net.DialTimeout("tcp", s.address, patience)
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatalf("%v%s", err, s.said())
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("after %d bytes of about %d: %v%s", len(body), len(whole), err, s.said())
	}
	wantValue(t, string(body), `gme_probe_success{probe="mmap"}`, 1)
	if got, want := strings.Count(string(body), "\n"), strings.Count(whole, "\n"); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	s.ends(ending)
}

// TestStalledClientDoesNotHoldUpTheEnd: one that reads nothing is cut off.
func TestStalledClientDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, "--mmap.dir="+hugeDirectory(t), "--probes=mmap")
	slowClient(t, s.address, "/metrics")
	s.signal(syscall.SIGTERM)
	s.ends(cutting)
	s.says("cut off")
}

// hugeDirectory returns a directory whose page is larger than all that the
// kernel holds back for a client that does not read.
func hugeDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image := clientmmap.AppendHeader(nil, 0)
	for i := range 800 {
		text := fmt.Sprintf("%010000d", i)
		key, err := clientmmap.AppendKey(nil, "huge_total", "huge_total", []string{"text"}, []any{text})
		if err != nil {
			t.Fatal(err)
		}
		image = clientmmap.AppendEntry(image, key, 1)
	}
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, "counter_1-0.db"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// slowClient asks for a page and returns when it has begun to come, but reads
// no more than its first byte.
func slowClient(t *testing.T, address, path string, header ...string) io.Reader {
	t.Helper()
	connection := dial(t, address)
	fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, strings.Join(header, "\r\n"))
	first := make([]byte, 1)
	if _, err := io.ReadFull(connection, first); err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(strings.NewReader(string(first)), connection)
}

// TestParentWatch: the program ends when the process ends that it was told to
// watch, be that the one that started it or not, and be it waited for or not.
func TestParentWatch(t *testing.T) {
	t.Parallel()
	// Its process is one of its own, and its end is only known to those who
	// wait for it: which the test does last.
	watched := exec.Command("cat")
	keep, err := watched.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	if err := watched.Start(); err != nil {
		t.Fatal(err)
	}
	defer watched.Wait()
	defer watched.Process.Kill()

	// The shell is the parent, and lives on.
	shell := exec.Command("sh", "-c", `"$0" "$@" & echo "pid=$!"; wait $!; echo "code=$?"`,
		program, "--web.listen-address=127.0.0.1:0", "--probes=self")
	shell.Env = environment("GME_PARENT_PID=" + strconv.Itoa(watched.Process.Pid))
	p := spawn(t, shell)
	pid, err := strconv.Atoi(p.waitFor(`pid=(\d+)`, p.stdout.String)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() { // else it has ended, and the number may be another's
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	address := p.says(listening)[1]
	s := &server{p, address, "http://" + address}
	wantValue(t, s.scrape(), `gme_probe_success{probe="self"}`, 1)

	if err := watched.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.ends(ending)
	if got := p.stdout.String(); !strings.Contains(got, "code=0\n") {
		t.Errorf("the server's exit code: %q%s", got, p.said())
	}
	if !strings.Contains(p.stderr.String(), "Parent process has ended") {
		t.Errorf("the log does not say why%s", p.said())
	}
}

// TestParentWatchIgnoresOthers: that some process ends is no reason to end,
// and a server with a parent to watch ends by signals like any other.
func TestParentWatchIgnoresOthers(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self", "--parent.pid="+strconv.Itoa(os.Getpid()))
	if err := exec.Command("true").Run(); err != nil {
		t.Fatal(err)
	}
	s.scrape()
	s.signal(syscall.SIGTERM)
	s.ends(ending)
}

// TestClosedTerminal: who reads the log may go away; the server stays.
func TestClosedTerminal(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	s := startUnheard(t, writer)
	for range 3 {
		s.scrape()
	}
	s.signal(syscall.SIGTERM)
	s.ends(ending)
}

// TestLogThatNobodyReads: who reads the log may stop reading, too, wherever it goes.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"standard error", "a file"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			full, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			if err := full.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = full.Write([]byte("nobody reads it\n"))
			}
			var s *server
			if to == "a file" {
				s = startUnheard(t, nil, "--log.file="+path)
			} else {
				stderr, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				s = startUnheard(t, stderr)
			}
			for range 3 {
				s.scrape()
			}
			s.signal(syscall.SIGHUP) // to open a file again that is written to
			s.scrape()
			s.signal(syscall.SIGTERM)
			s.ends(ending)
		})
	}
}

// startUnheard starts a server that writes its log to stderr, which it closes here.
func startUnheard(t *testing.T, stderr *os.File, args ...string) *server {
	t.Helper()
	const host = "127.0.0.3"
	address := host + ":" + freePort(t, host)
	cmd := command(nil, append(args, "--web.listen-address="+address, "--probes=self", "--log.level=debug")...)
	if stderr != nil {
		cmd.Stderr = stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close() // or there is none
	p := &process{t: t, cmd: cmd, stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // does nothing to one that has ended
		<-p.exited
	})
	s := &server{p, address, "http://" + address}
	s.answers()
	return s
}

// TestEmptyRoot: where there is nothing but the program, as in systemd's RootDirectory=,
// it listens on localhost, which is what it does by default.
func TestEmptyRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root directory")
	}
	root := t.TempDir()
	if err := os.Link(plain, filepath.Join(root, "program")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/program", "--server.port=0", "--probes=self")
	cmd.Env = environment()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if s := serve(t, cmd); !strings.HasPrefix(s.address, "127.0.0.1:") {
		t.Errorf("it listens on %s", s.address)
	}
}

// TestMaxRequests: one client that does not read its page must not keep the
// others out for longer than it takes to find that out.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	dir := hugeDirectory(t)
	s := serve(t, command([]string{"GME_WEB_MAX_REQUESTS=1"}, "--web.listen-address=127.0.0.1:0", "--mmap.dir="+dir, "--probes=mmap"))
	s.scrape() // the first takes longer
	slowClient(t, s.address, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 2", "")

	r := s.get("/metrics")
	if r.code != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("while another scrape is under way: status %d, Retry-After %q: %.200s", r.code, r.header.Get("Retry-After"), r.body)
	}
	// The limit is one of what collects, as the status page does too.
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if r := s.get(path); r.code != 200 {
			t.Errorf("%s: status %d, want 200", path, r.code)
		}
	}
	// The client said that it waits for two seconds, and gets ten more to read.
	eventually(t, 18*time.Second, func() string { return "the next client is served" + s.said() }, func() bool {
		return s.get("/metrics").code == 200
	})
	s.says("Page was not sent")
}

// TestMaxRequestsClientLeaves: the place of a client that leaves is free at
// once.
func TestMaxRequestsClientLeaves(t *testing.T) {
	t.Parallel()
	s := start(t, "--mmap.dir="+hugeDirectory(t), "--probes=mmap", "--web.max-requests=2")
	first, second := dial(t, s.address), dial(t, s.address)
	for _, connection := range []*net.TCPConn{first, second} {
		fmt.Fprintf(connection, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := io.ReadFull(connection, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.get("/metrics"); r.code != http.StatusServiceUnavailable {
		t.Errorf("the third: status %d, want 503", r.code)
	}
	first.Close()
	eventually(t, 5*time.Second, func() string { return "the next client is served" + s.said() }, func() bool {
		return s.get("/metrics").code == 200
	})
}

// TestSlowLoris: a client that never gets to the end of its request is cut
// off.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self", "--web.max-requests=1")
	connection := dial(t, s.address)
	fmt.Fprintf(connection, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	begin := time.Now()
	closed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, connection)
		closed <- err
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case err := <-closed:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("it was not cut off within %v%s", patience, s.said())
			}
			done = true
		case <-tick.C:
			connection.Write([]byte("x"))
			s.scrape() // nobody else is kept out
		}
	}
	if took := time.Since(begin); took < 5*time.Second || took > 15*time.Second {
		t.Errorf("it was cut off after %v", took)
	}
}

// TestHugeHeader: a request has a size.
func TestHugeHeader(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	r := s.get("/metrics", "X-Huge", strings.Repeat("x", 64<<10))
	if r.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", r.code)
	}
}
