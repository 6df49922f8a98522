// Package status shows how the server and its directory are: as a page for
// people, at /, and as JSON, below [Path].
//
// What stands in files is hostile: names and values are cut, made visible and
// escaped, and lists end after so many. Each answer is made anew, from a survey
// of the directory; all that is remembered are the last scrapes, and one number
// for each family.
package status

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
)

// Path is where the JSON is.
const Path = "/api/v1/status/"

// Config says what the status is of.
type Config struct {
	Build       Build
	Directories []string // their paths
	Survey      func(context.Context) (*collect.Snapshot, error)
	Links       []Link // to what else the server has
	Log         *slog.Logger
}

// A Link leads from the page to another.
type Link struct{ Path, Text string }

// A Build says which program this is.
type Build struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Branch    string `json:"branch"`
	GoVersion string `json:"go_version"`
	Platform  string `json:"platform"`
}

// Runtime says how the process is.
type Runtime struct {
	Start      time.Time `json:"start_time"`
	Uptime     float64   `json:"uptime_seconds"`
	PID        int       `json:"pid"`
	Threads    int       `json:"gomaxprocs"`
	Goroutines int       `json:"goroutines"`
	Memory     uint64    `json:"go_memory_bytes"` // that Go has from the system
}

// A Status is that of one server. Use New.
type Status struct {
	Config
	now     func() time.Time
	start   time.Time
	scrapes *scrapes
	growth  *growth
}

// New returns the status of a server that starts now.
func New(c Config) *Status {
	return &Status{Config: c, now: time.Now, start: time.Now(), scrapes: &scrapes{}, growth: newGrowth()}
}

// runtime returns how the process is now.
func (s *Status) runtime() Runtime {
	memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(memory)
	return Runtime{
		Start:      s.start.UTC(),
		Uptime:     s.now().Sub(s.start).Seconds(),
		PID:        os.Getpid(),
		Threads:    runtime.GOMAXPROCS(0),
		Goroutines: runtime.NumGoroutine(),
		Memory:     memory[0].Value.Uint64() - memory[1].Value.Uint64(),
	}
}

// surveyTime is how long a survey may take.
const surveyTime = 30 * time.Second

// survey calls use with a snapshot of the directory. The error is one of the
// directory.
func (s *Status) survey(ctx context.Context, use func(*collect.Snapshot)) error {
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	snapshot, err := s.Survey(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("not all metric files could be read in time")
	}
	if err != nil {
		return err
	}
	defer snapshot.Release()
	s.growth.note(snapshot.Layout)
	use(snapshot)
	return nil
}

// cardinality returns what has the most series in a snapshot.
func (s *Status) cardinality(snapshot *collect.Snapshot, q query) *cardinality.Report {
	report := cardinality.Of(snapshot)
	s.growth.fill(report)
	report.Cut(q.sort, q.limit)
	return report
}
