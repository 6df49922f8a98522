// Package program builds the real program, runs it, and looks at it from
// outside: for benchmarks.
package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
)

// Build builds the program into dir, as the Makefile does, and returns its path.
func Build(dir string) (string, error) {
	path := filepath.Join(dir, "gitlab-metrics-exporter")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "gitlab-metrics-exporter/cmd/gitlab-metrics-exporter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, output)
	}
	return path, nil
}

// A Program is a running server.
type Program struct {
	command *exec.Cmd
	address string
	client  *http.Client
	page    bytes.Buffer
	end     func()
	ended   error // of end
}

// pieceSize is in how large pieces we read, in bytes: so that it is the server
// that is measured.
const pieceSize = 256 << 10

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// Start starts the program on a port of its own, to serve dir.
func Start(path, dir string, flags ...string) (*Program, error) {
	flags = append([]string{"--mmap.dir=" + dir, "--web.listen-address=127.0.0.1:0", "--log.level=info"}, flags...)
	p := &Program{
		command: exec.Command(path, flags...),
		client:  &http.Client{Transport: &http.Transport{ReadBufferSize: pieceSize, DisableCompression: true}},
	}
	logs, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.end = cleanup.Later(func() {
		p.ended = errors.Join(p.command.Process.Signal(syscall.SIGTERM), p.command.Wait())
	})
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			p.address = found[1]
			go io.Copy(io.Discard, logs)
			return p, nil
		}
	}
	p.end()
	return nil, errors.Join(errors.New("the server does not start"), p.ended)
}

// Stop ends the program, and reports whether it did so as it should.
func (p *Program) Stop() error {
	p.client.CloseIdleConnections()
	p.end()
	return p.ended
}

// Address returns where the program listens, HOST:PORT.
func (p *Program) Address() string { return p.address }

// URL returns where the page is.
func (p *Program) URL() string { return "http://" + p.address + "/metrics" }

// PID returns the number of the program's process.
func (p *Program) PID() int { return p.command.Process.Pid }

// Scrape asks for a page in a content coding. The page is there until the next
// scrape.
func (p *Program) Scrape(coding string) (page []byte, took time.Duration, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.URL(), nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept-Encoding", coding)
	start := time.Now()
	response, err := p.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	p.page.Reset()
	if _, err := p.page.ReadFrom(response.Body); err != nil {
		return nil, 0, err
	}
	took = time.Since(start)
	if response.StatusCode != http.StatusOK {
		return nil, took, fmt.Errorf("status %d: %.200s", response.StatusCode, p.page.Bytes())
	}
	return p.page.Bytes(), took, nil
}

// Own returns the metrics about the program itself that are on a page without
// coding: of each name the sum.
func Own(page []byte) map[string]float64 {
	own := map[string]float64{}
	for line := range bytes.Lines(page) {
		if !bytes.HasPrefix(line, []byte("gme_")) {
			continue
		}
		name := line[:bytes.IndexAny(line, "{ ")]
		last := bytes.TrimSpace(line[bytes.LastIndexByte(line, ' '):])
		value, _ := strconv.ParseFloat(string(last), 64)
		own[string(name)] += value
	}
	return own
}
