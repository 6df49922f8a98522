package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web"
	"gitlab-metrics-exporter/internal/web/status"
)

// gcPercent is how much garbage, in percent of what is in use, makes the
// collector run. What is in use has next to no pointers, so a run is cheap and
// memory can be kept close to what is needed. It is set here because the
// wrapper of GitLab sets GOGC to a value that was meant for another program.
const gcPercent = 20

func addServe(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("serve", "Serve the metrics of a directory. This is what happens without a command.").Default().
		HelpLong(`Serves the metrics of a directory of metric files until it is told to end.

  /metrics          the page for Prometheus
  /-/healthy        200 while the process answers
  /-/ready          200 while it takes requests, 503 while it ends
  /                 the status, for people: scrapes, files, damage, which metrics and labels have the most series
  /api/v1/status/   the same as JSON

The directory may be empty, or not exist yet: it is looked at for each scrape. Damaged files are left out, counted
in gme_mmap_damaged_files and named in the log, once.

SIGTERM and SIGINT end it, SIGHUP opens the log file again.`)
	s := &settings{}
	s.dirsName = "--mmap.dir (" + dirVariable + ")"
	command.Flag("mmap.dir", `Directory of the metric files, or DIR{app="web"} to add labels to its series. Repeatable. Default: $`+
		rubyVariable+", else $"+pythonVariable+". ($"+dirVariable+")").
		PlaceHolder("DIR").StringsVar(&s.dirs)
	s.flags(command)
	return command.FullCommand(), func() error {
		c, err := s.config()
		if err != nil {
			return err
		}
		return serve(context.Background(), c, t, func([]string) {})
	}
}

// serve runs a server until it is told to end: by a signal, by ctx, or by the
// end of the parent process. It calls ready once its addresses are known.
func serve(ctx context.Context, c config, t terminal, ready func(addresses []string)) error {
	if err := c.checkFiles(); err != nil {
		return err
	}
	log, reopen, err := c.log.open(t.err)
	if err != nil {
		return err
	}
	limitMemory(log)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	defer handleSignals(log, reopen)()

	engine := c.engine.Engine()
	probes := probe.New(c.probes, engine, log)
	c.web.Scrape, c.web.Survey, c.web.Log = probes.ScrapeOnly, probes.Survey, log
	c.web.Build = build()
	for _, dir := range c.engine.Dirs {
		c.web.Directories = append(c.web.Directories, dir.Path)
	}
	if ctx, err = watchParent(ctx, c.parentPID, log); err != nil {
		return err
	}
	server, err := web.Listen(c.listening, web.NewHandler(c.web), log)
	if err != nil {
		return c.explain(err)
	}
	ready(server.Addresses())
	log.Info("Serving metrics", "version", version.Version, "dir", strings.Join(c.web.Directories, " "), "probes", c.probes, "path", c.web.TelemetryPath)
	if len(c.engine.Dirs) == 0 {
		log.Warn("No metrics directory is configured: set --mmap.dir or " + dirVariable)
	}
	return server.Serve(ctx)
}

// build says which program this is.
func build() status.Build {
	return status.Build{
		Version: version.Version, Revision: version.GetRevision(), Branch: version.Branch,
		GoVersion: version.GoVersion, Platform: version.GoOS + "/" + version.GoArch,
	}
}

// explain adds what to do to an error of listening.
func (c *config) explain(err error) error {
	operation := (*net.OpError)(nil)
	_ = errors.As(err, &operation)
	port := operation != nil && operation.Net == "tcp"
	switch {
	case c.listening.Systemd:
		return misuse("--web.systemd-socket (GME_WEB_SYSTEMD_SOCKET): %w; it is for a service that is started by a socket unit", err)
	case port && errors.Is(err, syscall.EADDRINUSE):
		return misuse("%w: another process has this port, maybe another exporter; "+
			"end it, or choose a port with --web.listen-address or GME_SERVER_PORT", err)
	case port && errors.Is(err, syscall.EACCES):
		return misuse("%w: ports below 1024 are for root; choose another with --web.listen-address or GME_SERVER_PORT", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return misuse("%w: another process has this socket, maybe another exporter; "+
			"end it, or choose a path with --web.listen-address", err)
	}
	return misuse("%w; check --server.host (GME_SERVER_HOST) or --web.listen-address (GME_WEB_LISTEN_ADDRESS)", err)
}

// handleSignals makes SIGHUP open the log again, if it is a file, and nothing of the
// signals that sidekiq-cluster passes on to all its children. A closed pipe where the
// log goes shall not end the server either. The function returned undoes it.
func handleSignals(log *slog.Logger, reopen func() error) (undo func()) {
	ignored := []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGPIPE}
	signal.Ignore(ignored...)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			if reopen == nil {
				log.Debug("There is no log file to open again")
				continue
			}
			if err := reopen(); err != nil {
				log.Error("Log file cannot be opened again; the old one stays in use", "err", err)
				continue
			}
			log.Info("Log file is open again")
		}
	}()
	return func() {
		signal.Stop(hangups)
		signal.Reset(ignored...)
		close(hangups)
		select {
		case <-done:
		case <-time.After(logPatience): // opening the log may take for ever, as writing may
		}
	}
}

// limitMemory makes the garbage collector keep memory small, and respect the
// limit of the control group that we run in.
func limitMemory(log *slog.Logger) {
	debug.SetGCPercent(gcPercent)
	if _, err := memlimit.Set(); err != nil {
		log.Debug("No memory limit is set", "err", err)
	}
}
