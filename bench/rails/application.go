package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	bootTime = 90 * time.Second // on a busy machine
	// Puma 8 sometimes waits 30 seconds for a worker that does not end; there is
	// nothing here that it would have to finish.
	stopTime = 10 * time.Second
)

// An application is a Puma that runs examples/rails, with its metrics server.
type application struct {
	name         string // of the language of its server
	dir          string // of its metrics
	output       string // file of what Puma prints
	port         int
	exporterPort int
	command      *exec.Cmd
	ended        chan struct{}
	server       int // pid of the metrics server
}

// boot starts both applications at the same time, and returns when both answer
// and both servers serve: the one with the server in Go, then the other. What it
// returns is to be stopped, also after an error.
func boot(ctx context.Context, dir string) (apps []*application, err error) {
	for _, name := range []string{"Go", "Ruby"} {
		app, err := newApplication(dir, name)
		if err != nil {
			return apps, err
		}
		if err := app.start(); err != nil {
			return apps, err
		}
		apps = append(apps, app)
	}
	for _, app := range apps {
		if err := app.wait(ctx); err != nil {
			return apps, fmt.Errorf("the application with the server in %s: %w\n%s", app.name, err, app.lastOutput())
		}
	}
	return apps, nil
}

func newApplication(dir, name string) (*application, error) {
	app := &application{
		name:   name,
		dir:    filepath.Join(dir, "metrics-"+name),
		output: filepath.Join(dir, name+".log"),
	}
	var err error
	if app.port, err = freePort(); err != nil {
		return nil, err
	}
	app.exporterPort, err = freePort()
	return app, err
}

// start starts Puma, in a process group of its own: Ctrl-C is for us.
func (a *application) start() error {
	output, err := os.Create(a.output)
	if err != nil {
		return err
	}
	defer output.Close() // Puma has it too
	a.command = bundled(context.Background(), "puma", "-C", "config/puma.rb")
	a.command.Stdout, a.command.Stderr = output, output
	a.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	a.command.Env = append(a.command.Env,
		"WEB_CONCURRENCY=2",
		"RAILS_LOG_LEVEL=error",
		"EXPORTER_LOG=false",
		fmt.Sprintf("PORT=%d", a.port),
		fmt.Sprintf("WEB_EXPORTER_PORT=%d", a.exporterPort),
		fmt.Sprintf("GITLAB_GOLANG_METRICS_SERVER=%t", a.name == "Go"),
		"prometheus_multiproc_dir="+a.dir,
	)
	if err := a.command.Start(); err != nil {
		return err
	}
	a.ended = make(chan struct{})
	go func() {
		a.command.Wait()
		close(a.ended)
	}()
	return nil
}

// bundled returns a command that is to run with the application's gems.
func bundled(ctx context.Context, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "bundle", append([]string{"exec"}, arguments...)...)
	c.Dir = filepath.Join(*root, "examples", "rails")
	c.Env = append(os.Environ(),
		"PATH="+filepath.Join(*root, "bin")+":"+os.Getenv("PATH"),
		"PWD="+c.Dir, // which Puma believes
		"BUNDLE_GEMFILE="+filepath.Join(c.Dir, "Gemfile"),
		"RAILS_ENV=production",
		"SECRET_KEY_BASE=of no use",
		"RUBYOPT=",
	)
	return c
}

// wait returns when the application answers and its server shows the
// application's metrics.
func (a *application) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTime, errors.New("it does not get ready"))
	defer cancel()
	for !a.ready(ctx) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.ended:
			return errors.New("it has ended")
		case <-time.After(100 * time.Millisecond):
		}
	}
	var err error
	a.server, err = listeningOn(a.exporterPort)
	return err
}

func (a *application) ready(ctx context.Context) bool {
	if err := get(ctx, a.urls()[0]); err != nil {
		return false
	}
	page, err := wholePage(ctx, a.metricsURL())
	return err == nil && strings.Contains(page, "shop_requests_total")
}

// urls are the pages that are asked for in turn. One in four keeps a processor
// busy for some tens of milliseconds: few enough that the median is one of the
// others, and enough that the 99th percentile is one of these.
func (a *application) urls() []string {
	application := fmt.Sprintf("http://127.0.0.1:%d", a.port)
	quick, long := application+"/products/1", application+"/report"
	return []string{quick, quick, quick, long}
}

func (a *application) metricsURL() string {
	return fmt.Sprintf("http://127.0.0.1:%d/metrics", a.exporterPort)
}

// stopAll ends the applications and all that they have started.
func stopAll(apps []*application) {
	for _, app := range apps {
		syscall.Kill(app.command.Process.Pid, syscall.SIGTERM) // a child not waited for: cannot be another's
	}
	for _, app := range apps {
		app.stop()
	}
}

// stop waits for the end of Puma, which ends its workers and its server, and
// kills what is left. The server has a process group of its own.
func (a *application) stop() {
	select {
	case <-a.ended:
	case <-time.After(stopTime):
		log.Printf("the application with the server in %s does not end and is killed", a.name)
	}
	syscall.Kill(-a.command.Process.Pid, syscall.SIGKILL)
	<-a.ended
	for deadline := time.Now().Add(stopTime); a.serves(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log.Printf("the server in %s does not end and is killed", a.name)
			syscall.Kill(a.server, syscall.SIGKILL)
			return
		}
	}
}

// serves reports whether the metrics server is still there. It is not told by
// its pid alone, which may be another's by now.
func (a *application) serves() bool {
	pid, err := listeningOn(a.exporterPort)
	return err == nil && pid == a.server
}

func (a *application) lastOutput() string {
	content, _ := os.ReadFile(a.output)
	return string(content[max(0, len(content)-4000):])
}

// versions returns a line about what is measured.
func versions(ctx context.Context) (string, error) {
	ruby := bundled(ctx, "ruby", "-e", `
		gems = %w[railties puma prometheus-client-mmap webrick rack gitlab-metrics-server]
		print "Ruby #{RUBY_VERSION}, ", gems.map { |gem| "#{gem} #{Gem.loaded_specs.fetch(gem).version}" }.join(', ')`)
	ruby.Stderr = os.Stderr
	gems, err := ruby.Output()
	if err != nil {
		return "", fmt.Errorf("the gems of the application: %w", err)
	}
	own, err := exec.CommandContext(ctx, serverPath(), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("the server in Go: %w", err)
	}
	found := regexp.MustCompile(`version (\S+).*revision: (\S*)\)(?s:.*)go version:\s*(\S+)`).FindSubmatch(own)
	if found == nil {
		return "", fmt.Errorf("the server in Go does not say its version: %q", own)
	}
	return fmt.Sprintf("%s; gitlab-metrics-exporter %s (%s, %s)", gems, found[1], found[2], found[3]), nil
}

func serverPath() string { return filepath.Join(*root, "bin", "gitlab-metrics-exporter") }

// freePort returns a port on which nobody listens.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// get asks for a page of the application, on a connection of its own, so that
// whichever worker is free takes it.
func get(ctx context.Context, url string) error {
	return read(ctx, visitor, url)
}

var visitor = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	Timeout:   30 * time.Second,
}
