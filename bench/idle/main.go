// Command idle measures what the real program does while nobody asks it for
// anything: after one scrape it counts for a while how often the threads of the
// program ran, and for how much processor time. It prints a table for
// docs/performance.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	binary    = flag.String("binary", "", "the server; it is built if empty")
	work      = flag.String("work", "", "existing directory to work in; a temporary one if empty")
	duration  = flag.Duration("time", time.Minute, "of doing nothing")
	parts     = flag.Int("parts", 6, "that are counted one by one")
	processes = flag.Int("processes", 64, "of the application")
	entries   = flag.Int("entries", 20_000, "of each process")
)

func main() {
	options.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	top, remove, err := cleanup.Dir(*work)
	if err != nil {
		return err
	}
	defer remove()
	dir := filepath.Join(top, "metrics")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := fleet.Generate(dir, fleet.Plan{Processes: *processes, Entries: *entries}); err != nil {
		return err
	}
	if *binary == "" {
		if *binary, err = program.Build(top); err != nil {
			return err
		}
	}
	fmt.Printf("%d processes x %d entries, one scrape, then nothing for %v; %d cores, %s\n\n", *processes, *entries, *duration, runtime.NumCPU(), runtime.Version())
	fmt.Println("| | seconds | threads | woke up | was interrupted | processor time, ms | ticks |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, way := range []struct {
		title string
		flags []string
	}{
		{"as it is", nil},
		{"`--parent.pid`", []string{"--parent.pid=" + strconv.Itoa(os.Getpid())}},
	} {
		if err := idle(way.title, dir, way.flags); err != nil {
			return fmt.Errorf("%s: %w", way.title, err)
		}
	}
	return nil
}

// idle prints the rows of a program that was started with flags.
func idle(title, dir string, flags []string) (err error) {
	p, err := program.Start(*binary, dir, flags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if _, _, err := p.Scrape("gzip"); err != nil {
		return err
	}
	first, err := count(p.PID())
	if err != nil {
		return err
	}
	start, before := time.Now(), first
	for i := range *parts {
		time.Sleep(time.Until(start.Add(*duration * time.Duration(i+1) / time.Duration(*parts))))
		now, err := count(p.PID())
		if err != nil {
			return err
		}
		printRow(title, *duration*time.Duration(i)/time.Duration(*parts), *duration*time.Duration(i+1)/time.Duration(*parts), before, now)
		before = now
	}
	printRow("**"+title+", together**", 0, *duration, first, before)
	return nil
}

func printRow(title string, from, to time.Duration, before, now counts) {
	fmt.Printf("| %s | %.0f to %.0f | %d | %.0f | %.0f | %.2f | %.0f |\n", title, from.Seconds(), to.Seconds(), now.threads,
		now.voluntary-before.voluntary, now.involuntary-before.involuntary, (now.nanoseconds-before.nanoseconds)/1e6, now.ticks-before.ticks)
}

// counts are what the kernel has counted of all threads of a process.
type counts struct {
	threads                int
	voluntary, involuntary float64 // switches to another thread: each after a wake-up, or in the midst of work
	nanoseconds            float64 // of processor time
	ticks                  float64 // the same in ticks of the kernel's clock
}

func count(pid int) (c counts, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return c, err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			return c, err
		}
		status := program.Status(string(text))
		c.threads++
		c.voluntary += status["voluntary_ctxt_switches"]
		c.involuntary += status["nonvoluntary_ctxt_switches"]
		if text, err = os.ReadFile(filepath.Join(task, "schedstat")); err != nil {
			return c, err
		}
		var ns float64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			return c, err
		}
		c.nanoseconds += ns
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	// The name of the command, which is in parentheses, may have spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, field := range fields[11:13] { // utime and stime
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return c, err
		}
		c.ticks += ticks
	}
	return c, nil
}
