package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitlab-metrics-exporter/internal/fleet"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

const (
	beat         = time.Second // how often the application does something
	replaceBeats = 5           // a process is replaced so often
	growBeats    = 4           // and its files take so long to be full again

	jobbers  = 8  // processes whose series nobody else has
	jobBeats = 60 // how long each lives
)

// An application writes files into a directory: processes that come and go with
// the same series, and others that bring new ones all the time.
type application struct {
	dir, stash string
	rate       int // new series in a second
	random     *rand.Rand
	names      []string // of the processes that have the same series
	born       int      // how many processes ever were
	growing    []*growing
	jobbers    []*jobber
	beats      int
	replaced   int
	brought    int // how many series only one process ever had
}

// newApplication writes the files of plan into dir. What processes that come
// later will write is put into stash, on the same file system.
func newApplication(dir, stash string, plan fleet.Plan, rate int) (*application, error) {
	a := &application{dir: dir, stash: stash, rate: rate, random: rand.New(rand.NewPCG(5, 5)), born: plan.Processes}
	for i := range plan.Processes {
		a.names = append(a.names, fmt.Sprintf("puma_%d", i))
	}
	return a, errors.Join(
		fleet.Generate(dir, plan),
		fleet.Generate(stash, plan),
	)
}

// live lets the application live until ctx ends.
func (a *application) live(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := a.beat(); err != nil {
			return err
		}
	}
}

func (a *application) beat() error {
	a.beats++
	var errs []error
	left := a.growing[:0]
	for _, g := range a.growing {
		errs = append(errs, g.grow())
		if !g.full() {
			left = append(left, g)
		}
	}
	a.growing = left
	if a.beats%replaceBeats == 0 {
		errs = append(errs, a.replace())
	}
	return errors.Join(append(errs, a.jobs())...)
}

// replace replaces one process, in one of the ways in which that happens, by one
// that has the same series.
func (a *application) replace() error {
	i := a.random.IntN(len(a.names))
	files, err := filepath.Glob(filepath.Join(a.stash, fmt.Sprintf("*_puma_%d-0.db", i)))
	if err != nil {
		return err
	}
	name, way := a.names[i], a.replaced%3
	a.replaced++
	a.growing = deleteOf(a.growing, name)
	if way == 0 { // it dies, and one of another name comes
		if err := a.remove(name); err != nil {
			return err
		}
		name = fmt.Sprintf("puma_%d", a.born)
		a.names[i] = name
		a.born++
	}
	for _, from := range files {
		kind, _, _ := strings.Cut(filepath.Base(from), "_puma_")
		path := filepath.Join(a.dir, kind+"_"+name+"-0.db")
		image, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		image = image[:frame.Used(image)]
		if way == 1 { // its files are other files now
			aside := filepath.Join(a.stash, "aside")
			if err := errors.Join(os.WriteFile(aside, image, 0o600), os.Rename(aside, path)); err != nil {
				return err
			}
			continue
		}
		// In the third way the files stay, but are emptied.
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		a.growing = append(a.growing, &growing{path: path, process: name, image: image, done: frame.HeaderSize})
	}
	return nil
}

func (a *application) remove(process string) error {
	files, err := filepath.Glob(filepath.Join(a.dir, "*_"+process+"-0.db"))
	for _, file := range files {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// A growing is a file that is written little by little.
type growing struct {
	path, process string
	image         []byte
	done          int64
}

func deleteOf(all []*growing, process string) (left []*growing) {
	for _, g := range all {
		if g.process != process {
			left = append(left, g)
		}
	}
	return left
}

func (g *growing) full() bool { return g.done == int64(len(g.image)) }

// grow writes the next entries, and then how many bytes there are.
func (g *growing) grow() (err error) {
	used := int64(len(g.image))
	to := g.done
	for to < used && to < g.done+used/growBeats+1 {
		entry, damage := clientmmap.Layout.At(g.image[to:], to, used)
		if damage != nil {
			return fmt.Errorf("%s: %v", g.path, damage)
		}
		if to = entry.End; to == 0 {
			to = used
		}
	}
	file, err := os.OpenFile(g.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteAt(g.image[g.done:to], g.done); err != nil {
		return err
	}
	g.done = to
	_, err = file.WriteAt(clientmmap.AppendHeader(nil, to), 0)
	return err
}

// A jobber is a process that brings series that nobody else has. They go with it.
type jobber struct {
	file   *os.File
	writer *clientmmap.Writer
	places []int64
	left   int // beats to live
}

// jobs lets all jobbers work for a beat.
func (a *application) jobs() error {
	for i := len(a.jobbers); i < jobbers; i++ { // not all are of the same age
		a.jobbers = append(a.jobbers, &jobber{left: i * jobBeats / jobbers})
	}
	for i, j := range a.jobbers {
		if j.left--; j.left <= 0 || j.file == nil {
			next, err := a.newJobber(j)
			if err != nil {
				return err
			}
			a.jobbers[i] = next
			j = next
		}
		for range (a.rate + i) / jobbers { // which together are the rate
			a.brought++
			key, err := clientmmap.AppendKey(nil, "soak_jobs_total", "soak_jobs_total",
				[]string{"class", "queue", "tenant"},
				[]any{fmt.Sprintf("Namespace::Resource%dWorker", a.brought%50), "default", fmt.Sprintf("tenant-%d", a.brought)})
			if err != nil {
				return err
			}
			at, err := j.writer.Add(key, 1)
			if err != nil {
				return err
			}
			j.places = append(j.places, at)
		}
		for range min(len(j.places), 100) {
			if err := j.writer.Set(j.places[a.random.IntN(len(j.places))], a.random.Float64()*1000); err != nil {
				return err
			}
		}
	}
	return nil
}

// newJobber lets a jobber end, and another take its place.
func (a *application) newJobber(before *jobber) (*jobber, error) {
	left := before.left
	if before.file != nil {
		if err := errors.Join(before.file.Close(), os.Remove(before.file.Name())); err != nil {
			return nil, err
		}
	}
	if left <= 0 {
		left = jobBeats
	}
	file, err := os.Create(filepath.Join(a.dir, fmt.Sprintf("counter_sidekiq_%d-0.db", a.born)))
	if err != nil {
		return nil, err
	}
	a.born++
	return &jobber{file: file, writer: clientmmap.NewWriter(file), left: left}, nil
}
