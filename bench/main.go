// Command bench compares a running gitlab-metrics-exporter with the Ruby gem
// on the same directory, in one run, turn by turn, and prints the medians.
//
// What is timed: for the gem the call of marshal_multiprocess, in a process that
// is warm; for us the same, collecting and writing a page that nobody reads, and
// a whole scrape of a running server over HTTP on loopback, client included.
// Cold is a new process up to the last byte of its page. Beside them is what the
// machine needs to read the files alone.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/bench/internal/reading"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	binary   = flag.String("binary", "bin/gitlab-metrics-exporter", "the server")
	ruby     = flag.String("ruby", "ruby", "command of a Ruby with the gem")
	work     = flag.String("work", "", "existing directory to work in; a temporary one if empty")
	rubyWork = flag.String("ruby-work", "", "the same directory as Ruby sees it, if that differs")
	rounds   = flag.Int("rounds", 15, "warm measurements of each")
	colds    = flag.Int("colds", 5, "cold measurements of each")
)

func main() {
	options.Parse()
	debug.SetGCPercent(20) // as the server does
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, remove, err := cleanup.Dir(*work)
	if err != nil {
		return err
	}
	defer remove()
	*work, *rubyWork = dir, filepath.Join(cmp.Or(*rubyWork, filepath.Dir(dir)), filepath.Base(dir))
	script, err := os.ReadFile("bench/gem.rb")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*work, "gem.rb"), script, 0o600); err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s\n\n", cpu(), runtime.NumCPU(), runtime.Version())
	for _, plan := range []fleet.Plan{{Processes: 8, Entries: 2_000}, {Processes: 16, Entries: 20_000}, {Processes: 64, Entries: 20_000}} {
		if err := compare(plan); err != nil {
			return fmt.Errorf("%d x %d: %w", plan.Processes, plan.Entries, err)
		}
	}
	return nil
}

// compare measures one directory and prints its table.
func compare(plan fleet.Plan) (err error) {
	dir := filepath.Join(*work, "metrics")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := fleet.Generate(dir, plan); err != nil {
		return err
	}
	gem, err := startGem()
	if err != nil {
		return err
	}
	defer gem.stop()
	server, err := startServer(dir)
	if err != nil {
		return err
	}
	defer server.Stop()

	if err := samePage(dir); err != nil {
		return err
	}
	page := newPage(dir)
	if _, err := page.scrape(); err != nil { // the first is not warm
		return err
	}
	files, err := page.files(dir)
	if err != nil {
		return err
	}
	var t times
	for range *rounds {
		t.measure("reading", func() (result, error) { return read(files) })
		t.measure("gem", gem.scrape)
		t.measure("page", page.scrape)
		t.measure("warm", func() (result, error) { return server.scrape("identity") })
		t.measure("gzip", func() (result, error) { return server.scrape("gzip") })
	}
	for range 100 {
		if _, err := server.scrape("identity"); err != nil {
			return err
		}
	}
	memory, err := server.Memory()
	if err != nil {
		return err
	}
	gemPeak := gem.peak // not what it grows to below
	for range *colds {
		t.measure("gem cold", func() (result, error) {
			return process(gemOnce()...)
		})
		t.measure("cold", func() (result, error) { return process(*binary, "render", dir) })
	}
	for round := range *rounds {
		if err := fleet.Grow(dir, plan, plan.Entries/100, round+1); err != nil {
			return err
		}
		t.measure("gem grown", gem.scrape)
		t.measure("grown", func() (result, error) { return server.scrape("identity") })
	}
	if t.err != nil {
		return t.err
	}
	t.print(plan, gem.version, memory, gemPeak)
	return nil
}

// gemOnce is the command of a Ruby that prints one page.
func gemOnce() []string {
	return append(strings.Fields(*ruby), *rubyWork+"/gem.rb", *rubyWork+"/metrics", "-")
}

// samePage returns an error unless the gem's page and ours have as many samples of each
// name.
func samePage(dir string) error {
	var pages [2]map[string]int
	for i, command := range [][]string{gemOnce(), {*binary, "render", dir}} {
		c := exec.Command(command[0], command[1:]...)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
		pages[i] = map[string]int{}
		for line := range bytes.Lines(out) {
			if end := bytes.IndexAny(line, "{ "); end > 0 && line[0] != '#' {
				pages[i][string(line[:end])]++
			}
		}
	}
	if len(pages[0]) == 0 || !maps.Equal(pages[0], pages[1]) {
		return fmt.Errorf("the pages differ: samples by name are %v of the gem, %v of the server", pages[0], pages[1])
	}
	return nil
}

// A result is one measurement.
type result struct {
	seconds float64
	bytes   int64
}

// times collects measurements by name, and the first error.
type times struct {
	of  map[string][]result
	err error
}

func (t *times) measure(name string, f func() (result, error)) {
	if t.err != nil {
		return
	}
	r, err := f()
	if err != nil {
		t.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	if t.of == nil {
		t.of = map[string][]result{}
	}
	t.of[name] = append(t.of[name], r)
}

func (t *times) median(name string) float64 {
	var seconds []float64
	for _, r := range t.of[name] {
		seconds = append(seconds, r.seconds)
	}
	slices.Sort(seconds)
	return seconds[len(seconds)/2]
}

func (t *times) size(name string) float64 { return float64(t.of[name][0].bytes) / 1e6 }

func (t *times) print(plan fleet.Plan, gem string, memory program.Memory, gemPeak float64) {
	fmt.Printf("### %d processes x %d entries; page of %.1f MB, gem %s\n\n", plan.Processes, plan.Entries, t.size("warm"), gem)
	fmt.Println("| scrape | server, ms | gem, ms | times faster |")
	fmt.Println("|---|---|---|---|")
	for _, row := range []struct{ title, ours, theirs string }{
		{"nothing but reading, with all cores", "reading", "gem"},
		{"warm, the page alone", "page", "gem"},
		{"warm, over HTTP", "warm", "gem"},
		{"warm, over HTTP, 1 % new series", "grown", "gem grown"},
		{fmt.Sprintf("warm, over HTTP, gzip (%.1f MB)", t.size("gzip")), "gzip", "gem"},
		{"cold: new process, first page", "cold", "gem cold"},
	} {
		ours, theirs := t.median(row.ours), t.median(row.theirs)
		fmt.Printf("| %s | %.1f | %.1f | %.1f |\n", row.title, ours*1e3, theirs*1e3, theirs/ours)
	}
	fmt.Printf("\nResident after 100 scrapes more, MB: server %.1f (anonymous %.1f, file %.1f; peak %.1f), gem's process at its peak %.1f\n\n",
		memory.Resident, memory.Anonymous, memory.File, memory.Peak, gemPeak)
}

// process runs a command to its end and reads what it prints.
func process(command ...string) (result, error) {
	c := exec.Command(command[0], command[1:]...)
	var out countingWriter
	c.Stdout, c.Stderr = &out, os.Stderr
	start := time.Now()
	err := c.Run()
	return result{time.Since(start).Seconds(), int64(out)}, err
}

type countingWriter int64

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}

// A page is made in this process, for io.Discard.
type page struct {
	engine *collect.Engine
	writer *exposition.Writer
}

func newPage(dir string) *page {
	return &page{collect.New(dir), exposition.NewWriter(io.Discard)}
}

func (p *page) scrape() (result, error) {
	start := time.Now()
	snapshot, err := p.engine.Collect(context.Background())
	if err != nil {
		return result{}, err
	}
	defer snapshot.Release()
	p.writer.Begin(io.Discard, exposition.Text)
	err = errors.Join(p.writer.Snapshot(snapshot, snapshot.Layout.Families), p.writer.Flush())
	return result{seconds: time.Since(start).Seconds()}, err
}

func (p *page) files(dir string) ([]reading.File, error) {
	snapshot, err := p.engine.Collect(context.Background())
	if err != nil {
		return nil, err
	}
	defer snapshot.Release()
	return reading.Files(dir, snapshot), nil
}

// read reads files as fast as it can: what no server can be faster than.
func read(files []reading.File) (result, error) {
	start := time.Now()
	err := reading.Each(files, runtime.NumCPU(), reading.Nothing)
	return result{seconds: time.Since(start).Seconds()}, err
}

// A gem is a warm Ruby process.
type gem struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	version string
	peak    float64 // of its memory, in MB
}

func startGem() (*gem, error) {
	args := append(strings.Fields(*ruby), *rubyWork+"/gem.rb", *rubyWork+"/metrics")
	g := &gem{command: exec.Command(args[0], args[1:]...)}
	g.command.Stderr = os.Stderr
	in, err := g.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := g.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.in, g.out = in, bufio.NewScanner(out)
	if err := g.command.Start(); err != nil {
		return nil, err
	}
	if !g.out.Scan() {
		return nil, errors.New("the Ruby process does not start")
	}
	g.version = g.out.Text()
	_, err = g.scrape() // the first is not warm
	return g, err
}

func (g *gem) scrape() (r result, err error) {
	if _, err := fmt.Fprintln(g.in); err != nil {
		return r, err
	}
	if !g.out.Scan() {
		return r, errors.New("the Ruby process has ended")
	}
	var kB float64
	_, err = fmt.Sscan(g.out.Text(), &r.seconds, &r.bytes, &kB)
	g.peak = program.MB(kB)
	return r, err
}

func (g *gem) stop() {
	g.in.Close()
	g.command.Wait()
}

// A server is the program under test.
type server struct {
	*program.Program
	buffer []byte
}

func startServer(dir string) (*server, error) {
	p, err := program.Start(*binary, dir)
	if err != nil {
		return nil, err
	}
	s := &server{p, make([]byte, pieceSize)}
	_, err = s.scrape("identity") // the first is not warm
	return s, err
}

func (s *server) scrape(encoding string) (result, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL(), nil)
	if err != nil {
		return result{}, err
	}
	request.Header.Set("Accept-Encoding", encoding) // so that the client does not unzip
	start := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return result{}, err
	}
	defer response.Body.Close()
	var n int64
	for err == nil {
		var piece int
		piece, err = response.Body.Read(s.buffer)
		n += int64(piece)
	}
	if err == io.EOF {
		err = nil
	}
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("the server answers %s", response.Status))
	}
	return result{time.Since(start).Seconds(), n}, err
}

// client reads in large pieces, so that it is the server that is measured.
var client = &http.Client{Transport: &http.Transport{ReadBufferSize: pieceSize}}

const pieceSize = 256 << 10 // bytes

func cpu() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); found != nil {
		return string(found[1])
	}
	return runtime.GOARCH
}
