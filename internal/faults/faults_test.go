//go:build linux

package faults

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A fault is a way to break something and mend it again.
type fault struct {
	name  string
	shows string // in the metrics about the server, while it lasts
	run   func(*breaker) error
}

// groups are the faults, by what they break. Each group has a breaker, or several: faults of
// one group do not meet on the same thing, all others do.
func groups(r *run) []group {
	files := group{"file", 3, nil}
	for _, f := range fileFaults {
		files.faults = append(files.faults, fault{f.name, f.shows(), func(b *breaker) error { return b.breakFile(f) }})
	}
	writers := group{"writer", 1, []fault{
		{"writer: SIGKILL, in the middle of a round", "no damage", (*breaker).killWriter},
		{"writer: stopped, in the middle of a round", "no damage", (*breaker).pauseWriter},
		{"writer: file truncated under it", "at most its own damage", (*breaker).truncateUnderWriter},
		{"writer: file deleted under it", "at most its own damage", (*breaker).deleteUnderWriter},
		{"writer: file overwritten under it", "at most its own damage", (*breaker).overwriteUnderWriter},
	}}
	homes := group{"directory", 1, []fault{
		{"directory: gone", "`gme_source_up` 0", (*breaker).hideHome},
		{"directory: may not be listed", "`gme_source_up` 0", (*breaker).lockHome},
		{"directory: swapped with the other", "nothing; the labels follow", (*breaker).swapHomes},
		{"directory: both are the same", "`gme_source_up` 0 of the second", (*breaker).mergeHomes},
		{"clock: times of files and directories jump", "nothing", (*breaker).jumpTimes},
	}}
	if r.small != nil {
		homes.faults = append(homes.faults, fault{"file system: full", "no damage", (*breaker).fill})
	}
	server := group{"server", 1, []fault{
		{"server: no descriptor to be had", "`gme_source_up` 0, `gme_probe_success` 0", (*breaker).starve},
		{"server: hardly any descriptors", "at most files, or directories, that cannot be read", (*breaker).straiten},
		{"clock: jumps by decades, and back", "nothing", (*breaker).jumpClock},
		{"server: stopped and continued", "nothing; answers come late", (*breaker).freeze},
		{"clients: more than it has room for", "nothing; the same, if there are no descriptors for them", (*breaker).crowd},
	}}
	clients := group{"client", 1, []fault{
		{"client: leaves in the middle of a page", "nothing", (*breaker).hangUp},
		{"client: sends half a request", "nothing", (*breaker).askHalf},
		{"client: does not read its page", "nothing", (*breaker).stall},
	}}
	return []group{files, writers, homes, server, clients}
}

type group struct {
	what     string
	breakers int
	faults   []fault
}

// A breaker breaks one thing after the other.
type breaker struct {
	*run
	ctx     context.Context
	name    string
	random  *rand.Rand
	scraper *scraper
}

func (b *breaker) pause(most time.Duration) { time.Sleep(time.Duration(b.random.Int64N(int64(most)))) }

func pick[T any](b *breaker, list []T) T { return list[b.random.IntN(len(list))] }

// witness scrapes until a page says what it must of all of this, and so has shown the
// fault. Others may be breaking things that hide it.
func (b *breaker) witness(ok func(verdict) bool) error {
	for deadline := time.Now().Add(patience); ; {
		v, err := b.scraper.scrape(context.Background())
		if err != nil || ok(v) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("no page has shown it")
		}
		time.Sleep(time.Millisecond)
	}
}

func always(verdict) bool { return true }

// A still is a file that nobody writes.
type still struct {
	*part
	path    string
	entries []entry
	claim   sync.Mutex // held by who breaks it
	alike   bool       // what is there has keys of the same lengths and ends
	image   []byte
}

type entry struct {
	id    string
	value float64
	end   int64
}

// anyValue returns a value of a counter: few or many, whole or not, so that a page that
// rounds shows it.
func anyValue(random *rand.Rand) float64 {
	if random.IntN(2) == 0 {
		return float64(random.IntN(1000))
	}
	return math.Ldexp(1+random.Float64(), random.IntN(2000)-1000)
}

// newStill makes a file of n entries of a family. wide makes keys longer.
func newStill(p *part, path, family string, n, wide int, value func(int) float64) *still {
	s := &still{part: p, path: path, image: clientmmap.AppendHeader(nil, 0)}
	for i := range n {
		v := value(i)
		number := fmt.Sprintf("%0*d", 5+wide, i)
		key, err := clientmmap.AppendKey(nil, family, family, []string{"n", "writer"}, []any{number, p.name})
		if err != nil {
			panic(err)
		}
		s.image = clientmmap.AppendEntry(s.image, key, v)
		id := identify(family, map[string]string{"n": number, "writer": p.name})
		s.entries = append(s.entries, entry{id, v, int64(len(s.image))})
	}
	clientmmap.AppendHeader(s.image[:0], int64(len(s.image)))
	return s
}

// upTo is what is left of a file when it is cut at a place.
func (s *still) upTo(at int64) map[string]float64 {
	values := map[string]float64{}
	for _, e := range s.entries {
		if e.end <= at {
			values[e.id] = e.value
		}
	}
	return values
}

func (s *still) whole() map[string]float64 { return s.upTo(int64(len(s.image))) }

// start returns where entry i begins.
func (s *still) start(i int) int64 {
	if i == 0 {
		return frame.HeaderSize
	}
	return s.entries[i-1].end
}

// A fileFault breaks a file that nobody writes: it is known what of it must be on the
// page then, and why the rest is not.
type fileFault struct {
	name   string
	reason format.Reason // in gme_mmap_damaged_files; "" if it is no damage
	breaks func(*breaker, *still) (served map[string]float64, err error)
}

// shows says what the metrics about the server must say.
func (f fileFault) shows() string {
	switch f.reason {
	case "":
		return "no damage"
	case format.BadKey:
		return "`gme_mmap_damaged_files{reason=\"key\"}`, `gme_mmap_skipped_entries`"
	}
	return fmt.Sprintf("`gme_mmap_damaged_files{reason=%q}`", f.reason)
}

var fileFaults = []fileFault{
	{"file: truncated", format.Truncated, func(b *breaker, s *still) (map[string]float64, error) {
		at := 8 + b.random.Int64N(int64(len(s.image))-8)
		return s.upTo(at), os.Truncate(s.path, at)
	}},
	{"file: emptied", "", func(b *breaker, s *still) (map[string]float64, error) {
		return nil, os.Truncate(s.path, b.random.Int64N(8))
	}},
	{"file: a page of zeros", "", func(b *breaker, s *still) (map[string]float64, error) {
		return nil, b.put(s, make([]byte, 4096))
	}},
	{"file: deleted", "", func(b *breaker, s *still) (map[string]float64, error) {
		return nil, os.Remove(s.path)
	}},
	{"file: replaced by one alike", "", func(b *breaker, s *still) (map[string]float64, error) {
		other := newStill(s.part, s.path, "other_total", 1+b.random.IntN(2*len(s.entries)), 0, func(int) float64 { return anyValue(b.random) })
		s.alike = true
		return other.whole(), b.replace(s, other.image)
	}},
	{"file: other content in place", "", func(b *breaker, s *still) (map[string]float64, error) {
		other := newStill(s.part, s.path, "other_total", 1+b.random.IntN(2*len(s.entries)), 8*(1+b.random.IntN(5)), func(int) float64 { return 3 })
		return other.whole(), b.overwrite(s, other.image)
	}},
	{"file: used beyond its end", format.Truncated, func(b *breaker, s *still) (map[string]float64, error) {
		image := clientmmap.AppendHeader(nil, int64(len(s.image))+1+b.random.Int64N(1<<31))
		return s.whole(), b.put(s, append(image, s.image[8:]...))
	}},
	{"file: an entry's length is wrong", format.BadEntry, func(b *breaker, s *still) (map[string]float64, error) {
		i := b.random.IntN(len(s.entries))
		image := append([]byte{}, s.image...)
		binary.LittleEndian.PutUint32(image[s.start(i):], pick(b, []uint32{0, 1 << 24, 1<<31 - 1, 1<<32 - 1, uint32(len(s.image))}))
		return s.upTo(s.start(i)), b.put(s, image)
	}},
	{"file: a key is spoilt", format.BadKey, func(b *breaker, s *still) (map[string]float64, error) {
		// Not the first: that says which format it is.
		i := 1 + b.random.IntN(len(s.entries)-1)
		image := append([]byte{}, s.image...)
		length := int64(binary.LittleEndian.Uint32(image[s.start(i):]))
		image[s.start(i)+4+length-1] = pick(b, []byte{0, ' ', ',', 0xff})
		values := s.whole()
		delete(values, s.entries[i].id)
		return values, b.put(s, image)
	}},
	{"file: noise", format.Truncated, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, b.put(s, b.noise(8+b.random.IntN(1<<16)))
	}},
	{"file: may not be read", format.Unreadable, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, os.Chmod(s.path, 0)
	}},
	{"file: a directory", format.NotRegular, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, errors.Join(os.Remove(s.path), os.Mkdir(s.path, 0o755))
	}},
	{"file: a pipe", format.NotRegular, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, errors.Join(os.Remove(s.path), unix.Mkfifo(s.path, 0o644))
	}},
	{"file: a link to itself", format.Unreadable, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, errors.Join(os.Remove(s.path), os.Symlink(filepath.Base(s.path), s.path))
	}},
	{"file: a link to nowhere", "", func(b *breaker, s *still) (map[string]float64, error) {
		return nil, errors.Join(os.Remove(s.path), os.Symlink("nowhere", s.path))
	}},
	{"file: a name that no client gives", format.BadName, func(b *breaker, s *still) (map[string]float64, error) {
		return nil, os.Rename(s.path, b.misnamed(s))
	}},
}

func (b *breaker) misnamed(s *still) string {
	return filepath.Join(s.home.path, "exemplar_"+s.name+"-0.db")
}

// noise returns bytes that say they are a file, and of which nothing can be read.
func (b *breaker) noise(n int) []byte {
	noise := make([]byte, n+8)
	for i := range noise {
		noise[i] = byte(b.random.Uint32())
	}
	copy(noise, "\xff\xff\xff\xff")
	copy(noise[8:], "\xff\xff\xff\xff")
	return noise
}

// put gives a file other content, in either way.
func (b *breaker) put(s *still, image []byte) error {
	if b.random.IntN(2) == 0 {
		return b.replace(s, image)
	}
	return b.overwrite(s, image)
}

func (b *breaker) replace(s *still, image []byte) error {
	fresh := s.path + ".fresh"
	return errors.Join(os.WriteFile(fresh, image, 0o644), os.Rename(fresh, s.path))
}

func (b *breaker) overwrite(s *still, image []byte) error {
	file, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(image, 0)
	return errors.Join(err, file.Truncate(int64(len(image))), file.Close())
}

// breakFile breaks a file, waits until a page has shown it, and mends it.
func (b *breaker) breakFile(f fileFault) error {
	var s *still
	for s == nil {
		if s = pick(b, b.stills); !s.claim.TryLock() {
			s = nil
		}
	}
	defer s.claim.Unlock()
	b.tell("%s: %s", f.name, s.name)
	if err := b.inSpace(s, f.reason, func() (map[string]float64, error) { return f.breaks(b, s) }); err != nil {
		return err
	}
	if err := b.witness(func(v verdict) bool { return v.parts[s.part] }); err != nil {
		return err
	}
	b.pause(50 * time.Millisecond)
	b.tell("%s: %s is mended", f.name, s.name)
	if err := b.inSpace(s, "", func() (map[string]float64, error) { return s.whole(), b.mend(s) }); err != nil {
		return err
	}
	return b.witness(func(v verdict) bool { return v.parts[s.part] })
}

// inSpace changes a file while its file system has room for it.
func (b *breaker) inSpace(s *still, reason format.Reason, change func() (map[string]float64, error)) error {
	b.space.RLock()
	defer b.space.RUnlock()
	b.model.breaks(s.part)
	values, err := change()
	listed := 1
	if _, gone := os.Lstat(s.path); gone != nil {
		listed = 0
	}
	b.model.shows(s.part, listed, reason, values)
	return err
}

func (b *breaker) mend(s *still) error {
	if err := os.Remove(b.misnamed(s)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return os.WriteFile(s.path, s.image, 0o644)
	case err != nil:
		return err
	case s.alike:
		// In place that would not be noticed; but no library does it.
		s.alike = false
		return b.replace(s, s.image)
	case info.Mode().IsRegular():
		return errors.Join(os.Chmod(s.path, 0o644), b.put(s, s.image))
	}
	return errors.Join(os.Remove(s.path), os.WriteFile(s.path, s.image, 0o644))
}

// claimWriter returns a writer that is nobody else's until it is released, at a time when
// there is room for what it writes.
func (b *breaker) claimWriter() (w *writer, release func()) {
	b.space.RLock()
	w = pick(b, b.writers)
	w.claim.Lock()
	return w, func() { w.claim.Unlock(); b.space.RUnlock() }
}

// midway waits until a writer is in the middle of a round, if it is ever seen there.
func midway(w *writer) {
	for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); {
		if w.progress.begun.Load() != w.progress.done.Load() {
			return
		}
	}
}

func (b *breaker) killWriter() error {
	w, release := b.claimWriter()
	defer release()
	if !w.running() {
		return fmt.Errorf("%s has died", w.name)
	}
	midway(w)
	halfway := w.kill()
	b.tell("%s is killed, in the middle: %v", w.name, halfway)
	if halfway {
		b.mark("killed in the middle of a round")
		// What counts by adding counts that round's beginning twice.
		b.model.change(func() { w.slack++ })
	}
	if err := b.witness(func(v verdict) bool { return v.parts[w.part] }); err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	return b.witness(func(v verdict) bool { return v.parts[w.part] })
}

func (b *breaker) pauseWriter() error {
	w, release := b.claimWriter()
	defer release()
	midway(w)
	b.tell("%s is stopped", w.name)
	if err := w.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := b.witness(func(v verdict) bool { return v.parts[w.part] })
	b.pause(100 * time.Millisecond)
	return errors.Join(err, w.cmd.Process.Signal(syscall.SIGCONT))
}

func (b *breaker) truncateUnderWriter() error {
	return b.underWriter(func(path string) error { return os.Truncate(path, b.random.Int64N(8192)) })
}

func (b *breaker) deleteUnderWriter() error { return b.underWriter(os.Remove) }

func (b *breaker) overwriteUnderWriter() error {
	return b.underWriter(func(path string) error { return os.WriteFile(path, b.noise(b.random.IntN(8192)), 0o644) })
}

// underWriter breaks a file that is written. What is in it then nobody knows, and the
// writer may die of it. Then it starts anew.
func (b *breaker) underWriter(breaks func(path string) error) error {
	w, release := b.claimWriter()
	defer release()
	b.model.breaks(w.part)
	path := pick(b, w.paths())
	b.tell("%s is broken", filepath.Base(path))
	if err := breaks(path); err != nil {
		return err
	}
	for range 3 {
		if err := b.witness(always); err != nil {
			return err
		}
		b.pause(50 * time.Millisecond)
	}
	if err := errors.Join(w.reset(), w.start()); err != nil {
		return err
	}
	b.anew(w)
	return b.witness(func(v verdict) bool { return v.parts[w.part] })
}

// anew says that a writer counts from the beginning.
func (b *breaker) anew(w *writer) {
	b.tell("%s starts anew", w.name)
	b.model.change(func() { w.wild, w.stamp, w.slack = false, w.stamp+1, 0 })
}

// withHomes changes homes, and changes them back.
func (b *breaker) withHomes(homes []*home, breaks, mends func() error, then func()) error {
	seen := func(v verdict) bool { return v.homes[homes[0]] && v.homes[homes[len(homes)-1]] }
	changed := func(do func() error, then func()) error {
		b.model.change(func() {
			for _, h := range homes {
				h.wild, h.stamp = true, h.stamp+1
			}
		})
		err := do()
		b.model.change(func() {
			then()
			for _, h := range homes {
				h.wild, h.stamp = false, h.stamp+1
			}
		})
		if err != nil {
			return err
		}
		return b.witness(seen)
	}
	if err := changed(breaks, then); err != nil {
		return err
	}
	b.pause(100 * time.Millisecond)
	if mends == nil {
		return nil
	}
	return changed(mends, func() {
		for _, h := range homes {
			h.up = true
		}
	})
}

func (b *breaker) hideHome() error {
	h := pick(b, b.model.homes)
	hidden := h.link + ".hidden"
	b.tell("%s is gone", h.link)
	return b.withHomes([]*home{h},
		func() error { return os.Rename(h.link, hidden) },
		func() error { return os.Rename(hidden, h.link) },
		func() { h.up = false })
}

func (b *breaker) lockHome() error {
	h := pick(b, b.model.homes)
	b.tell("%s may not be listed", h.link)
	return b.withHomes([]*home{h},
		func() error { return os.Chmod(h.path, 0o300) },
		func() error { return os.Chmod(h.path, 0o755) },
		func() { h.up = false })
}

func (b *breaker) swapHomes() error {
	h := b.model.homes
	b.tell("directories are swapped")
	return b.withHomes(h, func() error {
		return unix.Renameat2(unix.AT_FDCWD, h[0].link, unix.AT_FDCWD, h[1].link, unix.RENAME_EXCHANGE)
	}, nil, func() { h[0].link, h[1].link = h[1].link, h[0].link })
}

func (b *breaker) mergeHomes() error {
	// The first that the server was told of is the one that it reads.
	first, second := b.model.homes[0], b.model.homes[1]
	if first.link > second.link {
		first, second = second, first
	}
	relink := func(to string) error {
		fresh := second.link + ".fresh"
		return errors.Join(os.Symlink(to, fresh), os.Rename(fresh, second.link))
	}
	b.tell("%s is %s", second.link, first.link)
	return b.withHomes([]*home{second},
		func() error { return relink(first.path) },
		func() error { return relink(second.path) },
		func() { second.up = false })
}

// jumpTimes gives all files times of other centuries.
func (b *breaker) jumpTimes() error {
	b.tell("times jump")
	for _, h := range b.model.homes {
		paths, err := filepath.Glob(filepath.Join(h.path, "*"))
		if err != nil {
			return err
		}
		for _, path := range append(paths, h.path) {
			at := time.Unix(b.random.Int64N(1<<34)-1<<31, 0)
			if err := os.Chtimes(path, at, at); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ELOOP) {
				return err
			}
		}
	}
	return b.witness(always)
}

// fill leaves no room in the file system of a directory. Writers that map their files die
// of it.
func (b *breaker) fill() error {
	b.space.Lock()
	defer b.space.Unlock()
	// One that starts anew needs room.
	w := pick(b, slices.DeleteFunc(slices.Clone(b.writers), func(w *writer) bool { return w.home != b.small }))
	b.model.breaks(w.part)
	if err := w.reset(); err != nil {
		return err
	}
	b.tell("the file system is full, and %s starts", w.name)
	ballast := filepath.Join(b.small.path, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	started := make(chan error, 1)
	go func() { started <- w.start() }()
	for range 3 {
		if err := b.witness(func(v verdict) bool { return v.homes[b.small] }); err != nil {
			return err
		}
		b.pause(200 * time.Millisecond)
	}
	if err := errors.Join(file.Close(), os.Remove(ballast)); err != nil {
		return err
	}
	<-started
	for _, w := range b.writers {
		if w.running() {
			continue
		}
		b.mark("writers that died because the file system was full")
		if err := w.start(); err != nil {
			return err
		}
	}
	b.anew(w)
	return b.witness(func(v verdict) bool { return v.homes[b.small] && v.parts[w.part] })
}

// unsure says that from now on nobody knows what the server can read.
func (b *breaker) unsure() {
	b.model.change(func() { b.model.wild, b.model.stamp = true, b.model.stamp+1 })
}

func (b *breaker) sure(starved bool) {
	b.model.change(func() { b.model.wild, b.model.starved, b.model.stamp = false, starved, b.model.stamp+1 })
}

func known(v verdict) bool { return v.whole }

func (b *breaker) starve() error {
	// There must be a connection already: for a new one there is no descriptor.
	if err := b.witness(known); err != nil {
		return err
	}
	b.tell("the server gets no descriptors")
	b.unsure()
	err := b.server.allow(3)
	b.sure(true)
	if err == nil {
		err = b.witness(known)
	}
	b.pause(300 * time.Millisecond)
	b.unsure()
	err = errors.Join(err, b.server.allow(b.server.limit))
	b.sure(false)
	if err != nil {
		return err
	}
	return b.witness(known)
}

// straiten leaves the server so few descriptors that it cannot open files side by side, or a
// directory.
func (b *breaker) straiten() error {
	if err := b.witness(known); err != nil {
		return err
	}
	b.tell("the server gets hardly any descriptors")
	b.unsure()
	pages := 0
	err := b.witness(func(verdict) bool {
		// Others come and go, and so do descriptors.
		_ = b.server.allow(b.server.descriptors() + b.random.IntN(3))
		pages++
		return pages > 30
	})
	err = errors.Join(err, b.server.allow(b.server.limit))
	b.sure(false)
	if err != nil {
		return err
	}
	return b.witness(known)
}

func (b *breaker) freeze() error {
	b.tell("the server is stopped")
	if err := syscall.Kill(b.server.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	b.pause(time.Second)
	if err := syscall.Kill(b.server.pid, syscall.SIGCONT); err != nil {
		return err
	}
	return b.witness(always)
}

// crowd opens more connections than the server has descriptors, or keeps open. Nobody
// asks for anything on them.
func (b *breaker) crowd() error {
	if err := b.witness(known); err != nil { // on a connection that it keeps
		return err
	}
	b.tell("a crowd of %d", b.crowded)
	if b.limited {
		b.unsure()
	}
	b.crowds.Add(1)
	var crowd []net.Conn
	for range b.crowded {
		c, err := net.DialTimeout("tcp", b.server.address, timeout)
		if err != nil {
			return err
		}
		crowd = append(crowd, c)
	}
	err := b.witness(always)
	b.pause(300 * time.Millisecond)
	for _, c := range crowd {
		c.Close()
	}
	// Connections are accepted one after the other: once this is, it costs no other one any more.
	last := b.run.scraper()
	defer last.client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); err == nil; time.Sleep(time.Millisecond) {
		if _, lost := last.fetch(context.Background()); lost == nil {
			break
		} else if time.Now().After(deadline) {
			err = lost
		}
	}
	if b.limited {
		// Until the last of them is really gone.
		for deadline := time.Now().Add(patience); err == nil && b.server.descriptors() > b.server.limit/2; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				err = errors.New("the server keeps connections that nobody has any more")
			}
		}
		b.sure(false)
	}
	b.crowds.Add(1)
	if err != nil {
		return err
	}
	return b.witness(known)
}

// ask opens a connection that takes next to nothing, and sends a request.
func (b *breaker) ask(request string) (*net.TCPConn, error) {
	crowded := b.crowding()
	c, err := net.DialTimeout("tcp", b.server.address, timeout)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetReadBuffer(4096)
	if _, err := io.WriteString(tcp, request); err != nil && !crowded() {
		return nil, errors.Join(err, c.Close())
	}
	return tcp, nil
}

const request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n"

// pages asks for so many that the system does not take them all for a client that does not
// read them: then the server has to wait for it.
var pages = strings.Repeat(request, 50)

func (b *breaker) hangUp() error {
	crowded := b.crowding()
	c, err := b.ask(pages)
	if err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(timeout))
	// A crowd may have cost it its connection.
	_, err = io.CopyN(io.Discard, c, b.random.Int64N(1<<14))
	if b.random.IntN(2) == 0 {
		c.SetLinger(0)
	}
	c.Close()
	if crowded() {
		return nil
	}
	return err
}

func (b *breaker) askHalf() error {
	c, err := b.ask(request[:1+b.random.IntN(len(request)-2)])
	if err != nil {
		return err
	}
	b.pause(300 * time.Millisecond)
	return c.Close()
}

func (b *breaker) stall() error {
	c, err := b.ask(pages)
	if err != nil {
		return err
	}
	err = b.witness(always)
	b.pause(300 * time.Millisecond)
	c.Close()
	return err
}
