package probe

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
)

// maxNamed is how many files one scrape names in the log.
const maxNamed = 20

// faults logs what is wrong with a directory and its files: when it begins and
// when it ends, not in between.
type faults struct {
	log *slog.Logger

	mu        sync.Mutex // protects what follows
	late      bool       // the last collection was not done in time
	disproved map[string]bool
	metadata  map[string]string // what is wrong with what applications say of their metrics
	dirs      map[string]string // what is wrong with directories
	files     map[string]*format.Damage
}

// report takes note of the result of a collection.
func (f *faults) report(dirs []collect.Directory, s *collect.Snapshot, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unreadable := (*collect.UnreadableError)(nil)
	switch {
	case err == nil:
		f.reportTime(false)
		for _, dir := range s.Dirs {
			f.reportDir(dir.Path, dir.Err)
			f.reportMetadata(dir)
			f.reportLiveness(dir)
		}
		f.reportFiles(s)
	case errors.As(err, &unreadable):
		for i, dir := range dirs {
			f.reportDir(dir.Path, unreadable.Errs[i])
		}
	case errors.Is(err, context.DeadlineExceeded):
		f.reportTime(true)
	}
	// That a client has left says nothing of the directories.
}

func (f *faults) reportTime(late bool) {
	if late && !f.late {
		f.log.Warn("The scrape's time was up before all metric files were read")
	}
	if f.late && !late {
		f.log.Info("All metric files are read in time again")
	}
	f.late = late
}

func (f *faults) reportDir(dir string, err error) {
	now := ""
	if err != nil {
		now = err.Error()
	}
	if f.dirs[dir] == now {
		return
	}
	if f.dirs == nil {
		f.dirs = map[string]string{}
	}
	f.dirs[dir] = now
	if err == nil {
		f.log.Info("Metrics directory can be read again", "dir", dir)
		return
	}
	f.log.Warn("Metrics directory cannot be read", "dir", dir, "err", err)
}

func (f *faults) reportMetadata(dir collect.Dir) {
	now := ""
	if dir.MetadataErr != nil {
		now = dir.MetadataErr.Error()
	}
	if now == f.metadata[dir.Path] {
		return
	}
	if f.metadata == nil {
		f.metadata = map[string]string{}
	}
	f.metadata[dir.Path] = now
	if now != "" {
		f.log.Warn("Metadata of metrics cannot be read; what was known of them stays", "dir", dir.Path, "err", dir.MetadataErr)
		return
	}
	f.log.Info("Metadata of metrics can be read again", "dir", dir.Path)
}

// reportLiveness says when processes that seem dead are not.
func (f *faults) reportLiveness(dir collect.Dir) {
	if !dir.Disproved || f.disproved[dir.Path] {
		return
	}
	if f.disproved == nil {
		f.disproved = map[string]bool{}
	}
	f.disproved[dir.Path] = true
	f.log.Warn("Files of processes that seem dead change: some process ids are not of our pid namespace, so live gauges count until their files are deleted",
		"dir", dir.Path)
}

func (f *faults) reportFiles(s *collect.Snapshot) {
	now := map[string]*format.Damage{}
	fresh := 0
	for _, file := range s.Files {
		if file.Damage == nil {
			continue
		}
		path := s.Path(file)
		now[path] = file.Damage
		if file.Damage.Same(f.files[path]) {
			continue
		}
		if fresh++; fresh <= maxNamed {
			f.log.Warn("Metric file is damaged; the damaged part is absent",
				"file", path, "reason", file.Damage.Reason, "err", file.Damage)
		}
	}
	if fresh > maxNamed {
		f.log.Warn("More metric files are damaged; the check command names all of them", "files", fresh-maxNamed)
	}
	mended := 0
	for name := range f.files {
		if _, still := now[name]; still {
			continue
		}
		if mended++; mended <= maxNamed {
			f.log.Info("Metric file is no longer damaged", "file", name)
		}
	}
	if mended > maxNamed {
		f.log.Info("More metric files are no longer damaged", "files", mended-maxNamed)
	}
	f.files = now
}
