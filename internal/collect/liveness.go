package collect

import (
	"context"
	"hash/maphash"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/discover"
)

// Python's gauges in the modes live... are to count only while their process
// lives. The library relies on somebody who deletes the files of the dead. We see
// for ourselves, as far as process ids in the names of files are those of our own
// pid namespace.

// A Liveness says whether live gauges of dead processes count. The zero value is
// LivenessOff.
type Liveness uint8

const (
	// LivenessOff: they do, until their files are deleted.
	LivenessOff Liveness = iota

	// LivenessAuto: they do not, in a directory of which it is proved that the
	// names have process ids as we know them: a process has, or had, mapped the file
	// that bears its id. Should a file change whose process is said to be dead, that
	// is the end of it.
	LivenessAuto

	// LivenessOn: they do not.
	LivenessOn
)

// Livenesses are the names of all values, in their order.
var Livenesses = []string{"off", "auto", "on"}

// A standing is what is known of the process that a file is named after.
type standing uint8

const (
	unclear  standing = iota // it may be there
	owner                    // it is there, and has mapped the file
	stranger                 // it is there, and has not mapped the file: it is another one with that id
	gone                     // it is not there
)

// census is what is known of the processes of a directory.
type census struct {
	proved    bool // see [LivenessAuto]
	disproved bool // a file has changed whose process is not there

	owners map[string]process // by name of the file
	dead   map[string]*corpse // the same; files that do not count
}

// A process is one that was looked at.
type process struct {
	start    uint64 // when it was started, in ticks; 0 if that is not known
	standing standing
}

// A corpse is a file whose process is dead.
type corpse struct {
	digest uint64
	looks  int // how often it was found dead
}

// take finds out which of the files named do not count. If ctx ends meanwhile,
// nothing is found out: then the collection fails.
func (c *census) take(ctx context.Context, dir int, names []string, want Liveness) {
	if want == LivenessOff || c.disproved && want == LivenessAuto {
		c.dead = nil
		return
	}
	before, owners := c.dead, c.owners
	c.dead, c.owners = nil, map[string]process{}
	var suspects []string
	for _, name := range names {
		pid, ok := livePID(name)
		if !ok {
			continue
		}
		if ctx.Err() != nil {
			c.dead, c.owners = before, owners
			return
		}
		switch c.look(dir, name, pid, owners[name]) {
		case owner:
			c.proved = true
		case stranger, gone:
			suspects = append(suspects, name)
		}
	}
	if len(suspects) == 0 || want == LivenessAuto && !c.proved && !c.prove(ctx, dir, names, owners) {
		return
	}
	c.dead = map[string]*corpse{}
	w := newWindow()
	for _, name := range suspects {
		b := before[name]
		if b == nil {
			b = &corpse{}
		}
		c.dead[name] = b
		if want == LivenessAuto && b.moves(w, dir, name) {
			c.dead, c.disproved = nil, true
			return
		}
	}
}

// prove looks for proof among all other files: those who live may have no live gauges.
func (c *census) prove(ctx context.Context, dir int, names []string, known map[string]process) bool {
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		if f, pid, ok := pidOf(name); ok && !f.Live() && c.look(dir, name, pid, known[name]) == owner {
			c.proved = true
			break
		}
	}
	return c.proved
}

// livePID returns the process id in the name of a file of Python's live gauges.
func livePID(name string) (pid int, ok bool) {
	if !strings.HasPrefix(name, "gauge_live") {
		return 0, false // as nearly all
	}
	f, pid, ok := pidOf(name)
	return pid, ok && f.Live()
}

// pidOf returns what the name of a file says that is Python's, and the process id in
// it. Ruby's files have something behind that.
func pidOf(name string) (f discover.File, pid int, ok bool) {
	f, err := discover.Parse(name, discover.Python)
	if err != nil {
		return f, 0, false
	}
	pid, err = strconv.Atoi(f.PID)
	return f, pid, err == nil && pid > 0 && strconv.Itoa(pid) == f.PID
}

// look returns the standing of a process. What was found out before holds as long
// as it is the same process.
func (c *census) look(dir int, name string, pid int, known process) standing {
	start, there := started(pid)
	if !there {
		return gone
	}
	now := process{start: start}
	if start != 0 && known.start == start && known.standing != stranger {
		now = known
	} else {
		now.standing = mapping(pid, dir, name)
	}
	c.owners[name] = now
	return now.standing
}

// moves reports whether a file has changed since its process was first found dead.
// It reads the file when that was once, twice, four times, eight times ... ago.
func (b *corpse) moves(w *window, dir int, name string) bool {
	b.looks++
	if b.looks&(b.looks-1) != 0 {
		return false
	}
	before := b.digest
	b.digest = digest(w, dir, name)
	return b.looks > 1 && b.digest != before && before != 0 && b.digest != 0
}

var seed = maphash.MakeSeed()

// digested is how much of a file goes into its digest, in bytes.
const digested = 1 << 20

// digest returns a hash of a file's content, read through w; 0 if it cannot be read.
func digest(w *window, dir int, name string) uint64 {
	fd, id, err := openFile(dir, name)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if _, err := w.open(fd, windowSize); err != nil {
		return 0
	}
	w.bound(min(id.sizeBytes, digested))
	var hash maphash.Hash
	hash.SetSeed(seed)
	_, _ = hash.Write(w.slice(0, w.end))
	for w.end < w.limit {
		if w.load(w.end, 1) != nil {
			return 0
		}
		_, _ = hash.Write(w.slice(w.base, w.end))
	}
	return max(1, hash.Sum64())
}
