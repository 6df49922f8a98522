package cli

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/promslog"
)

var (
	logLevels  = []string{"debug", "info", "warn", "error", "quiet"}
	logFormats = []string{"logfmt", "json"}
)

// A logConfig says what to log and where.
type logConfig struct {
	level  string // one of logLevels; quiet means nothing
	format string // one of logFormats
	file   string // "" means standard error
}

// open returns the logger, and a function that opens its file again, if it has one.
func (c logConfig) open(stderr io.Writer) (log *slog.Logger, reopen func() error, err error) {
	if c.level == "quiet" {
		return slog.New(slog.DiscardHandler), nil, nil
	}
	to := stderr
	if c.file != "" {
		file := &logFile{path: c.file}
		if err := file.reopen(); err != nil {
			return nil, nil, wrong("log.file", "GME_LOG_FILE", c.file, "%v", err)
		}
		to, reopen = file, file.reopen
	}
	level, format := promslog.NewLevel(), promslog.NewFormat()
	if err := level.Set(c.level); err != nil {
		return nil, nil, err
	}
	if err := format.Set(c.format); err != nil {
		return nil, nil, err
	}
	w := &patient{to: to, busy: make(chan struct{}, 1)}
	log = promslog.New(&promslog.Config{Level: level, Format: format, Writer: w})
	w.caughtUp = func(lost int64) { log.Warn("Log lines are lost, because nobody took them", "lines", lost) }
	return log, reopen, nil
}

// logPatience is how long a line of the log may take to be written.
const logPatience = 250 * time.Millisecond

// A patient writer waits for a while that a line is written, but no scrape, and no
// end, waits for a pipe that nobody reads, or a disk that hangs. Until such a line is
// written others are lost, and counted. Only one line may be written at a time.
type patient struct {
	to       io.Writer
	busy     chan struct{} // holds one token while a line is written
	lost     atomic.Int64
	caughtUp func(lost int64)
}

func (w *patient) Write(line []byte) (int, error) {
	select {
	case w.busy <- struct{}{}:
	default:
		w.lost.Add(1)
		return len(line), nil
	}
	written := make(chan error, 1)
	kept := bytes.Clone(line) // the caller's is used again
	go func() {
		_, err := w.to.Write(kept)
		<-w.busy
		written <- err
		if lost := w.lost.Swap(0); lost > 0 {
			w.caughtUp(lost)
		}
	}()
	select {
	case err := <-written:
		return len(line), err
	case <-time.After(logPatience):
		return len(line), nil
	}
}

// A logFile is a file that can be replaced while it is written to.
type logFile struct {
	path string

	mu   sync.Mutex // protects file
	file *os.File
}

// reopen opens the path, which may be a new file now. On error the old file
// stays in use.
func (l *logFile) reopen() error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
	}
	l.file = file
	return nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}
