package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A server is the program under test.
type server struct {
	command *exec.Cmd
	address string
}

func start(dir string) (*server, error) {
	s := &server{command: exec.Command(*binary, "--mmap.dir", dir, "--web.listen-address=127.0.0.1:0", "--log.level=info")}
	logs, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	address := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			s.address = found[1]
			go io.Copy(io.Discard, logs)
			return s, nil
		}
	}
	return nil, errors.New("the server does not start")
}

func (s *server) stop() {
	s.command.Process.Signal(syscall.SIGTERM)
	s.command.Wait()
}

// watch returns the most memory that the server had resident until ctx ended,
// in MB.
func (s *server) watch(ctx context.Context) (most float64, err error) {
	for ctx.Err() == nil {
		now, err := s.resident()
		if err != nil {
			return 0, err
		}
		most = max(most, now)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return most, nil
}

func (s *server) resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); fields[0] == "VmRSS:" {
			kB, err := strconv.ParseFloat(fields[1], 64)
			return kB / 1e3, err
		}
	}
	return 0, errors.New("the server's memory is not known")
}
