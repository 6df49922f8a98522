package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/fleet"
)

// maxDemo is how many processes a demonstration plays at most.
const maxDemo = 100

func addDemo(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("demo", "Serve a made-up application, to see what it is like.").
		HelpLong(`Plays an application of several processes: writes metric files into a temporary directory, with counters, histograms,
summaries and gauges of every mode that change all the time, and serves them until it is told to end. Then it removes
the directory.

  http://localhost:8083/           the status, for a browser
  http://localhost:8083/metrics    the page for Prometheus`)
	s := &settings{}
	processes := command.Flag("processes", "How many processes to play, 1 to 100.").Default("4").String()
	s.flags(command)
	return command.FullCommand(), func() error {
		n, err := strconv.Atoi(*processes)
		if err != nil || n < 1 || n > maxDemo {
			return misuse("--processes is %q: must be a number from 1 to %d", *processes, maxDemo)
		}
		return demo(s, n, t)
	}
}

func demo(s *settings, processes int, t terminal) (err error) {
	dir, err := os.MkdirTemp("", Name+"-demo-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := s.config()
	if err != nil {
		return err
	}
	c.engine.Dirs = []collect.Directory{{Path: dir}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	ready, played := make(chan struct{}), make(chan error, 1)
	go func() {
		defer stop() // no demonstration without an application
		played <- fleet.Run(ctx, dir, processes, func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-played:
		return err
	}
	fmt.Fprintf(t.err, "Playing %d processes that write to %s\n", processes, dir)
	err = serve(ctx, c, t, func(addresses []string) {
		for _, address := range addresses {
			if strings.HasPrefix(address, "/") {
				continue // a unix socket, which is no address to look at
			}
			url := scheme(c) + address
			fmt.Fprintf(t.err, "Look at %s/ and %s%s; Ctrl-C ends it.\n", url, url, c.web.TelemetryPath)
		}
	})
	stop()
	if ended := <-played; err == nil {
		err = ended
	}
	return err
}

// scheme is what addresses begin with, as far as the settings tell: a file of
// exporter-toolkit may ask for TLS, or for a password alone.
func scheme(c config) string {
	switch {
	case c.listening.CertFile != "":
		return "https://"
	case c.listening.ConfigFile != "":
		return ""
	}
	return "http://"
}
