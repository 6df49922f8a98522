package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLogLevels(t *testing.T) {
	for i, level := range logLevels {
		var out bytes.Buffer
		log, reopen, err := logConfig{level: level, format: "logfmt"}.open(&out)
		if err != nil {
			t.Fatalf("%s: %v", level, err)
		}
		log.Debug("one")
		log.Info("two")
		log.Warn("three")
		log.Error("four")
		if got, want := strings.Count(out.String(), "\n"), len(logLevels)-1-i; got != want {
			t.Errorf("%s: %d lines, want %d:\n%s", level, got, want, out.String())
		}
		if reopen != nil {
			t.Errorf("%s: there is a file", level)
		}
	}
}

// TestQuietTouchesNoFile: not even one that could not be opened.
func TestQuietTouchesNoFile(t *testing.T) {
	var out bytes.Buffer
	log, reopen, err := logConfig{level: "quiet", format: "logfmt", file: filepath.Join(t.TempDir(), "missing", "log")}.open(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Error("nobody hears it")
	if reopen != nil {
		t.Error("there is a file")
	}
	if log.Enabled(t.Context(), slog.LevelError) || out.Len() != 0 {
		t.Errorf("it is not quiet: %q", out.String())
	}
}

func TestLogFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	var out bytes.Buffer
	log, reopen, err := logConfig{level: "info", format: "json", file: file}.open(&out)
	if err != nil {
		t.Fatal(err)
	}
	content := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	log.Info("one")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("two") // until it is told, the file is the one that it has
	if err := reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("three")
	if old := content(file + ".1"); strings.Count(old, "\n") != 2 || !strings.Contains(old, `"msg":"two"`) {
		t.Errorf("the old file: %s", old)
	}
	if now := content(file); strings.Count(now, "\n") != 1 || !strings.Contains(now, `"msg":"three"`) {
		t.Errorf("the new file: %s", now)
	}

	// What cannot be opened costs nothing.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := reopen(); err == nil {
		t.Error("a directory was opened as a log file")
	}
	log.Info("four")
	if out.Len() != 0 {
		t.Errorf("with a file nothing goes to standard error: %q", out.String())
	}
}

func TestLogFileErrors(t *testing.T) {
	_, _, err := logConfig{level: "info", format: "logfmt", file: filepath.Join(t.TempDir(), "missing", "log")}.open(nil)
	if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), "--log.file (GME_LOG_FILE)") {
		t.Errorf("the error is %v", err)
	}
}

// TestLogFileIsClosed: of a log that is opened again and again one file is open.
func TestLogFileIsClosed(t *testing.T) {
	l := &logFile{path: filepath.Join(t.TempDir(), "log")}
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	old := l.file
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	defer l.file.Close()
	if err := old.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the old one stays open: %v", err)
	}
}

// TestLogThatNobodyTakes: who logs does not wait for it, and what is lost is counted.
func TestLogThatNobodyTakes(t *testing.T) {
	taken, to := io.Pipe()
	log, _, err := logConfig{level: "info", format: "logfmt"}.open(to)
	if err != nil {
		t.Fatal(err)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for _, text := range []string{"one", "two", "three"} {
			log.Info(text)
		}
	}()
	select {
	case <-logged:
	case <-time.After(20 * logPatience):
		t.Error("who logs waits")
	}
	lines := bufio.NewScanner(taken)
	for _, want := range []string{"msg=one", "lines=2", "msg=four"} {
		if want == "msg=four" {
			go log.Info("four")
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Errorf("got %q, want %s", lines.Text(), want)
		}
	}
}
