//go:build linux

package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// What a writer does in a round: it counts the round in a counter, a histogram and
// gauges, and one part of the counter "grown", of which there is a new one now and
// then: files grow while they are read.
const (
	partRounds = 64
	maxParts   = 50
)

// A counted is a series of a writer, and its value after so many rounds.
type counted struct {
	file, family, sample string
	names                []string // but for the label writer, which is last
	values               []any
	value                func(rounds uint64) float64
}

// all returns the series that a writer has from its first round on.
func all(prefix string) []counted {
	rounds := func(n uint64) float64 { return float64(n) }
	bucket := func(le string, value func(uint64) float64) counted {
		return counted{"histogram", prefix + "_seconds", prefix + "_seconds_bucket", []string{"le"}, []any{le}, value}
	}
	return []counted{
		{"counter", prefix + "_ops_total", prefix + "_ops_total", nil, nil, rounds},
		{"gauge_max", prefix + "_latest", prefix + "_latest", nil, nil, rounds},
		{"gauge_all", prefix + "_rounds", prefix + "_rounds", nil, nil, rounds},
		// Round n took n mod 3 seconds.
		bucket("+Inf", rounds),
		bucket("0", func(n uint64) float64 { return float64((n + 2) / 3) }),
		bucket("1", func(n uint64) float64 { return float64((n+2)/3 + (n+1)/3) }),
		{"histogram", prefix + "_seconds", prefix + "_seconds_sum", nil, nil, func(n uint64) float64 { return float64((n+1)/3 + 2*(n/3)) }},
		{"histogram", prefix + "_seconds", prefix + "_seconds_count", nil, nil, rounds},
	}
}

// grown returns a part of the counter that grows.
func grown(prefix string, part uint64) counted {
	name := prefix + "_grown_total"
	return counted{"counter", name, name, []string{"part"}, []any{fmt.Sprint(part)}, func(n uint64) float64 {
		return float64(min(max(n, part*partRounds)-part*partRounds, partRounds))
	}}
}

func (c counted) key(writer string) ([]byte, error) {
	names := append(append([]string{}, c.names...), "writer")
	values := append(append([]any{}, c.values...), writer)
	return clientmmap.AppendKey(nil, c.family, c.sample, names, values)
}

// A progress is where a writer tells which round it has begun, and which it has done.
// It survives the writer.
type progress struct{ begun, done atomic.Uint64 }

func openProgress(path string) (*progress, error) {
	memory, err := shared(path)
	return (*progress)(memory), err
}

// shared returns memory that is the beginning of a file, which is made if it is not there.
func shared(path string) (unsafe.Pointer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(4096); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Pointer(&memory[0]), nil
}

// write is a writer: it counts in the files of DIR for ID, as PROGRESS says, and goes on
// where another left off who was killed. HOW is "write" or "map".
func write(args []string) error {
	dir, id, how := args[0], args[1], args[3]
	p, err := openProgress(args[2])
	if err != nil {
		return err
	}
	books := map[string]*book{}
	set := func(c counted, rounds uint64) {
		for {
			if books[c.file] == nil {
				books[c.file], err = openBook(filepath.Join(dir, c.file+"_"+id+"-0.db"), how == "map")
			}
			if err == nil {
				err = books[c.file].set(c, id, rounds)
			}
			if err == nil {
				return
			}
			time.Sleep(5 * time.Millisecond) // the file system is full
			err = nil
		}
	}
	series := all("faults")
	for n := p.done.Load(); ; n++ {
		p.begun.Store(n + 1)
		for _, c := range series {
			set(c, n+1)
		}
		if part := n / partRounds; part < maxParts {
			set(grown("faults", part), n+1)
		}
		p.done.Store(n + 1)
		if n%20 == 19 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// A book is a metric file that is written.
type book struct {
	out  io.WriterAt
	used int64
	at   map[string]int64 // of values, by key
	buf  []byte
}

// openBook opens a file, which may have entries already.
func openBook(path string, mapped bool) (*book, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	b := &book{out: file, used: frame.Used(content), at: map[string]int64{}}
	for at := int64(frame.HeaderSize); at < b.used; {
		e, damage := clientmmap.Layout.At(content[at:], at, b.used)
		if damage != nil {
			return nil, errors.Join(damage, file.Close())
		}
		b.at[string(content[e.Key:e.KeyTo])] = e.Value
		at = e.End
	}
	if mapped {
		b.out = &mapping{file: file}
	}
	return b, nil
}

// set sets a value, in the order of steps that lets a reader look at any time.
func (b *book) set(c counted, id string, rounds uint64) error {
	key, err := c.key(id)
	if err != nil {
		return err
	}
	value := c.value(rounds)
	if at, there := b.at[string(key)]; there {
		_, err := b.out.WriteAt(frame.AppendFloat(b.buf[:0], value), at)
		return err
	}
	b.buf = clientmmap.AppendEntry(b.buf[:0], key, value)
	if _, err := b.out.WriteAt(b.buf, b.used); err != nil {
		return err
	}
	end := b.used + int64(len(b.buf))
	if _, err := b.out.WriteAt(clientmmap.AppendHeader(nil, end)[:4], 0); err != nil {
		return err
	}
	b.at[string(key)], b.used = end-8, end
	return nil
}

// A mapping writes as the libraries do: into memory that is the file. If the file
// has lost that part, or there is no room for it, the process dies.
type mapping struct {
	file   *os.File
	memory []byte
}

func (m *mapping) WriteAt(p []byte, at int64) (int, error) {
	size := max(len(m.memory), 4096)
	for size < int(at)+len(p) {
		size *= 2
	}
	if size > len(m.memory) {
		info, err := m.file.Stat()
		if err != nil {
			return 0, err
		}
		if info.Size() < int64(size) {
			err = m.file.Truncate(int64(size))
		}
		if err == nil && m.memory != nil {
			err = unix.Munmap(m.memory)
		}
		if err != nil {
			return 0, err
		}
		if m.memory, err = unix.Mmap(int(m.file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return 0, err
		}
	}
	return copy(m.memory[at:], p), nil
}

// A writer is a process that counts, as its part of the model says.
type writer struct {
	*part
	progress *progress
	command  func() *exec.Cmd
	cmd      *exec.Cmd
	exited   chan struct{}
	claim    sync.Mutex // held by who breaks it
}

// start starts the process, and waits until it has counted.
func (w *writer) start() error {
	w.cmd, w.exited = w.command(), make(chan struct{})
	output := &tail{}
	w.cmd.Stderr = output
	if err := w.cmd.Start(); err != nil {
		return err
	}
	go func() {
		w.cmd.Wait()
		close(w.exited)
	}()
	before := w.progress.done.Load()
	for deadline := time.Now().Add(patience); w.progress.done.Load() == before; time.Sleep(time.Millisecond) {
		select {
		case <-w.exited:
			return fmt.Errorf("%s ended: %s", w.name, output)
		default:
		}
		if time.Now().After(deadline) {
			w.kill()
			return fmt.Errorf("%s does not count: %s", w.name, output)
		}
	}
	return nil
}

// kill kills the process, and reports whether it was in the middle of a round.
func (w *writer) kill() (halfway bool) {
	w.cmd.Process.Kill()
	<-w.exited
	return w.progress.begun.Load() != w.progress.done.Load()
}

// reset kills the process, and makes that it counts from the beginning.
func (w *writer) reset() error {
	w.kill()
	for _, path := range w.paths() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	w.progress.begun.Store(0)
	w.progress.done.Store(0)
	return nil
}

// running reports whether the process is there.
func (w *writer) running() bool {
	select {
	case <-w.exited:
		return false
	default:
		return true
	}
}

// paths returns the metric files of the writer. Its directory may be one that cannot be
// listed.
func (w *writer) paths() (paths []string) {
	for _, kind := range []string{"counter", "gauge_all", "gauge_max", "histogram"} {
		for _, end := range []string{"-0.db", ".db"} {
			path := filepath.Join(w.home.path, kind+"_"+w.name+end)
			if _, err := os.Lstat(path); err == nil {
				paths = append(paths, path)
			}
		}
	}
	return paths
}
