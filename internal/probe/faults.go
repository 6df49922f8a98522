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

	mu    sync.Mutex // protects what follows
	dir   string     // what is wrong with the directory, "" if nothing is
	files map[string]*format.Damage
}

// report takes note of the result of a collection.
func (f *faults) report(dir string, s *collect.Snapshot, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.reportDir(dir, err)
		return
	}
	if f.dir != "" {
		f.log.Info("Metrics directory is read in full again", "dir", dir)
		f.dir = ""
	}
	f.reportFiles(s)
}

func (f *faults) reportDir(dir string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client has left, which says nothing of the directory
	}
	if f.dir == err.Error() {
		return
	}
	f.dir = err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		f.log.Warn("The scrape's time was up before all metric files were read", "dir", dir)
		return
	}
	f.log.Warn("Metrics directory cannot be read", "dir", dir, "err", err)
}

func (f *faults) reportFiles(s *collect.Snapshot) {
	now := map[string]*format.Damage{}
	fresh := 0
	for _, file := range s.Files {
		if file.Damage == nil {
			continue
		}
		now[file.Name] = file.Damage
		if file.Damage.Same(f.files[file.Name]) {
			continue
		}
		if fresh++; fresh <= maxNamed {
			f.log.Warn("Metric file is damaged; the damaged part is absent",
				"file", file.Name, "reason", file.Damage.Reason, "err", file.Damage)
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
