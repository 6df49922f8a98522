// Command python compares us with Python's prometheus_client on the same
// directory, in one run, turn by turn in changing order, and prints the medians
// as a table for docs/performance.md.
//
// What is timed: for the library generate_latest with its collector for many
// processes; for us collecting, and writing a page that nobody reads, with a new
// engine (cold) and with one that knows the files (warm). Each of the three is a
// process of its own. The files are made by processes of the library, two by
// each: 380 entries together, in a different order.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
)

var (
	python = flag.String("python", "/usr/bin/python3", "command of a Python with prometheus_client")
	work   = flag.String("work", "", "existing directory to work in; a temporary one if empty")
	files  = flag.String("files", "16,1000,5000", "numbers of files, two for each process")
	rounds = flag.Int("rounds", 9, "measurements of each")
)

//go:embed library.py
var library string

func main() {
	run := compareAll
	if len(os.Args) == 3 && (os.Args[1] == "cold" || os.Args[1] == "warm") { // what the benchmark starts as its own part in the comparison
		run = func() error { return answer(os.Args[1] == "cold", os.Args[2]) }
	} else {
		options.Parse()
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func compareAll() error {
	fmt.Printf("%d cores, %s\n", runtime.NumCPU(), runtime.Version())
	for i, text := range strings.Split(*files, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 || n%2 > 0 {
			return fmt.Errorf("-files: %q is not an even number", text)
		}
		if err := compare(n, i == 0); err != nil {
			return fmt.Errorf("%d files: %w", n, err)
		}
	}
	return nil
}

// compare measures one directory and prints its row of the table.
func compare(files int, first bool) error {
	dir, remove, err := cleanup.Dir(*work)
	if err != nil {
		return err
	}
	defer remove()
	if _, err := python3("make", dir, strconv.Itoa(files/2)).Output(); err != nil {
		return fmt.Errorf("making files: %w", err)
	}
	entries, err := check(dir)
	if err != nil {
		return err
	}

	own, err := os.Executable()
	if err != nil {
		return err
	}
	peers := []*peer{
		{command: python3("scrape", dir)},
		{command: exec.Command(own, "cold", dir)},
		{command: exec.Command(own, "warm", dir)},
	}
	for _, p := range peers {
		if err := p.start(); err != nil {
			return err
		}
		defer p.stop()
	}
	for range *rounds {
		for _, i := range rand.Perm(len(peers)) {
			if err := peers[i].measure(); err != nil {
				return err
			}
		}
	}
	if first {
		fmt.Printf("%s; medians of %d\n\n", peers[0].title, *rounds)
		fmt.Println("| files | entries | library, ms | server, cold, ms | times faster | server, warm, ms | times faster | library, MB | server, MB |")
		fmt.Println("|---|---|---|---|---|---|---|---|---|")
	}
	theirs, cold, warm := peers[0].median(), peers[1].median(), peers[2].median()
	libraryHas, err := program.MemoryOf(peers[0].command.Process.Pid)
	if err != nil {
		return err
	}
	serverHas, err := program.MemoryOf(peers[2].command.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("| %d | %d | %.1f | %.1f | %.1f | %.2f | %.1f | %.1f | %.1f |\n", files, entries,
		theirs*1e3, cold*1e3, theirs/cold, warm*1e3, theirs/warm, libraryHas.Peak, serverHas.Peak)
	return nil
}

// python3 returns the command that runs the library's side.
func python3(args ...string) *exec.Cmd {
	command := append(strings.Fields(*python), "-c", library)
	c := exec.Command(command[0], append(command[1:], args...)...)
	c.Stderr = os.Stderr
	return c
}

// check compares the library's page with ours: as many samples of each name, and
// the same sum of their values. It returns the number of entries in the files.
func check(dir string) (entries int, err error) {
	theirs, err := python3("page", dir).Output()
	if err != nil {
		return 0, fmt.Errorf("the library's page: %w", err)
	}
	snapshot, err := collect.New(dir).Survey(context.Background())
	if err != nil {
		return 0, err
	}
	defer snapshot.Release()
	for _, family := range snapshot.Layout.Families {
		for _, id := range family.Series {
			entries += int(snapshot.Entries(id))
		}
	}
	var ours bytes.Buffer
	if err := write(exposition.NewWriter(&ours), snapshot); err != nil {
		return 0, err
	}
	want, got := totals(theirs), totals(ours.Bytes())
	if len(want) == 0 || !maps.Equal(want, got) {
		return 0, fmt.Errorf("the pages differ:\nlibrary %v\nserver  %v", want, got)
	}
	return entries, nil
}

func write(w *exposition.Writer, s *collect.Snapshot) error {
	return errors.Join(w.Snapshot(s, s.Layout.Families), w.Flush())
}

// A total is of all samples of one name.
type total struct {
	samples int
	sum     float64
}

func totals(page []byte) map[string]total {
	all := map[string]total{}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			log.Panicf("%s: %v", line, err)
		}
		t := all[name]
		all[name] = total{t.samples + 1, t.sum + value}
	}
	return all
}

// answer answers each line of standard input with the seconds that a page takes.
func answer(cold bool, dir string) error {
	debug.SetGCPercent(20) // as the server does
	fmt.Println("ready")
	engine := collect.New(dir)
	writer := exposition.NewWriter(io.Discard)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		start := time.Now()
		if cold {
			engine, writer = collect.New(dir), exposition.NewWriter(io.Discard)
		}
		snapshot, err := engine.Collect(context.Background())
		if err != nil {
			return err
		}
		writer.Begin(io.Discard, exposition.Text)
		err = write(writer, snapshot)
		snapshot.Release()
		if err != nil {
			return err
		}
		fmt.Println(time.Since(start).Seconds())
	}
	return nil
}

// A peer is a process that makes pages when asked to.
type peer struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	title   string
	seconds []float64
}

func (p *peer) start() (err error) {
	p.command.Stderr = os.Stderr
	if p.in, err = p.command.StdinPipe(); err != nil {
		return err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewScanner(out)
	if err := p.command.Start(); err != nil {
		return err
	}
	if p.out.Scan() {
		p.title = p.out.Text()
	}
	err = p.measure() // the first is not warm
	p.seconds = nil
	return err
}

func (p *peer) measure() error {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return err
	}
	if !p.out.Scan() {
		return fmt.Errorf("%s has ended", p.command.Path)
	}
	seconds, err := strconv.ParseFloat(p.out.Text(), 64)
	p.seconds = append(p.seconds, seconds)
	return err
}

func (p *peer) median() float64 {
	slices.Sort(p.seconds)
	return p.seconds[len(p.seconds)/2]
}

func (p *peer) stop() {
	p.in.Close()
	p.command.Wait()
}
