package probe

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
)

// maxNamed is how many files, and how many metrics, one scrape names in the log.
const maxNamed = 20

// faults logs what is wrong with a directory and its files: when it begins and
// when it ends, not in between.
type faults struct {
	log *slog.Logger

	mu        sync.Mutex        // protects what follows
	told      map[string]string // what is wrong with what, but for files
	late      time.Time         // when it was said that time was up
	files     map[string]*format.Damage
	conflicts []string // families that files disagree about, in order
}

// report takes note of the result of a collection.
func (f *faults) report(e *collect.Engine, s *collect.Snapshot, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unreadable, bug := (*collect.UnreadableError)(nil), (*collect.PanicError)(nil)
	switch {
	case err == nil:
		f.reportTime(false, "")
		f.reportPanic(nil)
		for _, dir := range s.Dirs {
			f.reportDir(dir.Path, dir.Err)
			f.reportMetadata(dir)
			f.reportLiveness(dir)
		}
		f.reportFiles(s)
		f.reportConflicts(s.Layout.Conflicts)
	case errors.As(err, &unreadable):
		for i, dir := range e.Dirs {
			f.reportDir(dir.Path, unreadable.Errs[i])
		}
	case errors.Is(err, context.DeadlineExceeded):
		f.reportTime(true, e.Reading())
	case errors.As(err, &bug):
		f.reportPanic(bug)
	}
	// That a client has left says nothing of the directories.
}

// lateAgain is how long it is not said again that time was up: clients say how much
// they give, and one that gives none shall not fill the log.
const lateAgain = time.Minute

func (f *faults) reportTime(late bool, reading string) {
	now := ""
	if late {
		if f.told["time"] == "" && time.Since(f.late) < lateAgain {
			return
		}
		now, f.late = "late", time.Now()
	}
	f.tell("time", now,
		func() { f.log.Warn("The scrape's time was up before all metric files were read", "reading", reading) },
		func() { f.log.Info("All metric files are read in time again") })
}

func (f *faults) reportPanic(bug *collect.PanicError) {
	now := ""
	if bug != nil {
		now = bug.Error()
	}
	f.tell("panic", now,
		func() {
			f.log.Error("Metric files cannot be read; this is a bug", "panic", bug.Cause, "stack", string(bug.Stack))
		},
		func() { f.log.Info("Metric files can be read again") })
}

// reportProbe says that a probe panicked, for which there is no excuse: so it does not
// say when that is over.
func (f *faults) reportProbe(name string, bug *collect.PanicError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell("probe "+name, bug.Error(), func() {
		f.log.Error("Probe failed; this is a bug", "probe", name, "panic", bug.Cause, "stack", string(bug.Stack))
	}, nil)
}

func (f *faults) reportDir(dir string, err error) {
	f.tell("directory "+dir, text(err),
		func() { f.log.Warn("Metrics directory cannot be read", "dir", dir, "err", err) },
		func() { f.log.Info("Metrics directory can be read again", "dir", dir) })
}

func (f *faults) reportMetadata(dir collect.Dir) {
	f.tell("metadata "+dir.Path, text(dir.MetadataErr),
		func() {
			f.log.Warn("Metadata of metrics cannot be read; what was known of them stays", "dir", dir.Path, "err", dir.MetadataErr)
		},
		func() { f.log.Info("Metadata of metrics can be read again", "dir", dir.Path) })
}

// reportLiveness says when processes that seem dead are not.
func (f *faults) reportLiveness(dir collect.Dir) {
	if !dir.Disproved { // which stays true
		return
	}
	f.tell("liveness "+dir.Path, "disproved", func() {
		f.log.Warn("Files of processes that seem dead change: some process ids are not of our pid namespace, so live gauges count until their files are deleted",
			"dir", dir.Path)
	}, nil)
}

// tell calls begins if what is wrong with something is news, or ends if nothing is
// any more: then now is empty.
func (f *faults) tell(what, now string, begins, ends func()) {
	if f.told[what] == now {
		return
	}
	if f.told == nil {
		f.told = map[string]string{}
	}
	f.told[what] = now
	if now != "" {
		begins()
	} else {
		ends()
	}
}

// text returns an error's text, "" if there is none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (f *faults) reportFiles(s *collect.Snapshot) {
	now := map[string]*format.Damage{}
	var fresh, mended []string
	for _, file := range s.Files {
		if file.Damage == nil {
			continue
		}
		path := s.Path(file)
		now[path] = file.Damage
		if !file.Damage.Same(f.files[path]) {
			fresh = append(fresh, path)
		}
	}
	for path := range f.files {
		if now[path] == nil {
			mended = append(mended, path)
		}
	}
	some(fresh, func(path string) {
		f.log.Warn("Metric file is damaged; the damaged part is absent", "file", path, "reason", now[path].Reason, "err", now[path])
	}, func(n int) {
		f.log.Warn("More metric files are damaged; the check command names all of them", "files", n)
	})
	some(mended, func(path string) { f.log.Info("Metric file is no longer damaged", "file", path) },
		func(n int) { f.log.Info("More metric files are no longer damaged", "files", n) })
	f.files = now
}

func (f *faults) reportConflicts(now []string) {
	if slices.Equal(now, f.conflicts) {
		return // as nearly always
	}
	// Names are the files' to choose, and may be megabytes.
	some(without(now, f.conflicts), func(family string) {
		f.log.Warn("Metric files disagree about a metric, which cannot be shown as declared", "family", cardinality.Clip(family))
	}, func(n int) {
		f.log.Warn("Metric files disagree about more metrics; the check command names all of them", "families", n)
	})
	some(without(f.conflicts, now), func(family string) {
		f.log.Info("Metric files no longer disagree about a metric", "family", cardinality.Clip(family))
	}, func(n int) { f.log.Info("Metric files no longer disagree about more metrics", "families", n) })
	f.conflicts = now
}

// some calls name for each of a list, but no more than maxNamed, and more with how many
// are left.
func some(list []string, name func(string), more func(int)) {
	first, left := cardinality.Head(list, maxNamed)
	for _, one := range first {
		name(one)
	}
	if left > 0 {
		more(left)
	}
}

// without returns what of a list is not in another. Both are in order.
func without(list, other []string) (rest []string) {
	for _, name := range list {
		if _, in := slices.BinarySearch(other, name); !in {
			rest = append(rest, name)
		}
	}
	return rest
}
