package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

var (
	// program is the path of the binary under test. It looks for data races
	// if the tests do.
	program string

	// plain is the path of a binary that is as it is installed.
	plain string

	// version is what --version says.
	version string
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gitlab-metrics-exporter-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := buildAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func buildAll(dir string) error {
	text, err := os.ReadFile(filepath.Join("..", "..", "VERSION"))
	if err != nil {
		return err
	}
	version = strings.TrimSpace(string(text))
	if plain, err = buildInto(filepath.Join(dir, "plain"), "CGO_ENABLED=0"); err != nil {
		return err
	}
	program = plain
	if racing() {
		program, err = buildInto(filepath.Join(dir, "race"), "CGO_ENABLED=1", "-race")
	}
	return err
}

func buildInto(dir, setting string, flags ...string) (path string, err error) {
	path = filepath.Join(dir, "gitlab-metrics-exporter")
	args := append([]string{"build", "-o", path, "-ldflags", "-X github.com/prometheus/common/version.Version=" + version}, flags...)
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Env = append(os.Environ(), setting)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return path, nil
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

// environment returns an environment without settings of the program, plus
// the given ones.
func environment(settings ...string) []string {
	env := []string{"VERSION=" + version, "GORACE=atexit_sleep_ms=0 exitcode=66"}
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		switch {
		case strings.HasPrefix(name, "GME_"), strings.HasPrefix(name, "LISTEN_"),
			name == "prometheus_multiproc_dir", name == "GORACE", name == "GOGC", name == "GOMEMLIMIT":
		default:
			env = append(env, setting)
		}
	}
	return append(env, settings...)
}

// patience is how long the tests wait for what should happen at once: long
// enough for a busy machine.
const patience = 20 * time.Second

// eventually returns when ok does return true, and fails the test if that
// takes too long. what says what was waited for.
func eventually(t *testing.T, limit time.Duration, what func() string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %v still not: %s", limit, what())
		}
	}
}

// An output keeps what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// A process is a running program, ended when the test ends.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{}
	err            error // of Wait, once exited is closed
}

// spawn starts a command. It must end with exit code 0 once it is told to, be
// it by the test or by the test's end.
func spawn(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		p.ends(patience)
	})
	return p
}

// said returns what the process has written, for a failure message.
func (p *process) said() string {
	return fmt.Sprintf("\nstdout: %s\nstderr: %s", p.stdout, p.stderr)
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("%v: %v%s", s, err, p.said())
	}
}

// ends waits until the process has ended, with exit code 0.
func (p *process) ends(limit time.Duration) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.cmd.Process.Kill()
		p.t.Errorf("the process has not ended within %v%s", limit, p.said())
		return
	}
	if p.err != nil {
		p.t.Errorf("the process ended with %v%s", p.err, p.said())
	}
}

// alive fails the test if the process has ended.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.exited:
		p.t.Fatalf("the process has ended: %v%s", p.err, p.said())
	default:
	}
}

// says waits until pattern is in the process's standard error, and returns
// the match.
func (p *process) says(pattern string) []string {
	p.t.Helper()
	return p.waitFor(pattern, p.stderr.String)
}

// waitFor waits until pattern is in a text that the process writes.
func (p *process) waitFor(pattern string, text func() string) (match []string) {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	eventually(p.t, patience, func() string { return fmt.Sprintf("%q in %q%s", pattern, text(), p.said()) }, func() bool {
		match = expression.FindStringSubmatch(text())
		if match == nil {
			p.alive()
		}
		return match != nil
	})
	return match
}

// A server is the program, serving.
type server struct {
	*process
	address string // host:port
	url     string // without a path
}

const listening = `msg="?Listening on"? address=(\S+)`

// command returns a command that runs the program with these settings of the
// environment, and arguments.
func command(settings []string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = environment(settings...)
	return cmd
}

// start starts a server on a free port of 127.0.0.1.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return serve(t, command(nil, append([]string{"--web.listen-address=127.0.0.1:0"}, args...)...))
}

// serve starts a server, and waits until it says where it listens.
func serve(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	p := spawn(t, cmd)
	address := p.says(listening)[1]
	return &server{p, address, "http://" + address}
}

// A reply is what came back from a request.
type reply struct {
	code   int
	header http.Header
	body   string
}

// client does nothing on its own: no compression, no redirects.
var client = newClient()

func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
}

// do sends a request; header is name and value in turn.
func (s *server) do(c *http.Client, method, path string, header ...string) (reply, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, s.url+path, nil)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body)}, err
}

// get fetches a page.
func (s *server) get(path string, header ...string) reply {
	s.t.Helper()
	return s.request(http.MethodGet, path, header...)
}

func (s *server) request(method, path string, header ...string) reply {
	s.t.Helper()
	r, err := s.do(client, method, path, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v%s", method, path, err, s.said())
	}
	return r
}

// scrape fetches the metrics, which must be there.
func (s *server) scrape() string {
	s.t.Helper()
	return s.scrapeWith(client)
}

func (s *server) scrapeWith(c *http.Client) string {
	s.t.Helper()
	r, err := s.do(c, http.MethodGet, "/metrics")
	if err != nil {
		s.t.Fatalf("GET /metrics: %v%s", err, s.said())
	}
	if r.code != http.StatusOK {
		s.t.Fatalf("GET /metrics: status %d: %s%s", r.code, r.body, s.said())
	}
	return r.body
}

// answers waits until the server takes requests: what to do where its log
// does not say so.
func (s *server) answers() {
	s.t.Helper()
	eventually(s.t, patience, func() string { return s.address + " answers" + s.said() }, func() bool {
		s.alive()
		_, err := s.do(client, http.MethodGet, "/-/ready")
		return err == nil
	})
}

// valueOf returns the value of a sample, given its line up to the value.
func valueOf(page, sample string) (float64, bool) {
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, sample+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return value, err == nil
		}
	}
	return 0, false
}

// wantValue fails the test if a sample is not on the page with this value.
func wantValue(t *testing.T, page, sample string, want float64) {
	t.Helper()
	if got, ok := valueOf(page, sample); !ok || got != want {
		t.Errorf("%s is %v (there: %v), want %v", sample, got, ok, want)
	}
}

// unzip unpacks a body that was sent with gzip.
func unzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// promtool fails the test if Prometheus' own parser refuses the page. That
// names and help texts are not to its liking (exit code 3) is the
// application's business.
func promtool(t *testing.T, page string) {
	t.Helper()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
		t.Errorf("promtool check metrics: %v\n%s\n%.2000s", err, out, page)
	}
}

// write writes the file of one counter.
func write(t *testing.T, dir, file, counter string, value float64) {
	t.Helper()
	key, err := clientmmap.AppendKey(nil, counter, counter, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	image := clientmmap.AppendEntry(clientmmap.AppendHeader(nil, 0), key, value)
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, file), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort returns a port of a host that nobody listens on.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
