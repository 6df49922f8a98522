// Command load puts a running gitlab-metrics-exporter under load, on loopback:
// many scrapers at once, beside clients that send half a request and clients
// that ask for a page and never read it. It prints what the scrapers got, how
// long they waited, and how much memory the server had, as a table for
// docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	binary    = flag.String("binary", "bin/gitlab-metrics-exporter", "the server")
	scrapers  = flag.Int("scrapers", 50, "that scrape all the time")
	stalled   = flag.Int("stalled", 200, "clients that send half a request, or never read")
	duration  = flag.Duration("duration", 10*time.Second, "of each part")
	processes = flag.Int("processes", 16, "of the application")
	entries   = flag.Int("entries", 20_000, "of each process")
)

func main() {
	options.Parse("stalled")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, remove, err := cleanup.Dir("")
	if err != nil {
		return err
	}
	defer remove()
	if err := fleet.Generate(dir, fleet.Plan{Processes: *processes, Entries: *entries}); err != nil {
		return err
	}
	p, err := program.Start(*binary, dir)
	if err != nil {
		return err
	}
	defer p.Stop()
	s := server{p}
	fmt.Printf("%d processes x %d entries, %d cores, %s; %v each\n\n", *processes, *entries, runtime.NumCPU(), runtime.Version(), *duration)
	fmt.Println("| clients | pages | 503 | errors | median, ms | 99 of 100, ms | longest, ms | resident at most, MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, part := range []struct{ scrapers, stalled int }{{1, 0}, {*scrapers, 0}, {1, *stalled}, {*scrapers, *stalled}, {1, 0}} {
		if err := s.load(part.scrapers, part.stalled); err != nil {
			return err
		}
	}
	return nil
}

// load runs one part and prints its row.
func (s server) load(scrapers, stalled int) error {
	ctx, cancel := context.WithTimeout(context.Background(), *duration)
	defer cancel()
	var wait sync.WaitGroup
	for i := range stalled {
		wait.Go(func() { stall(ctx, s.Address(), i%2 == 0) })
	}
	var tallies []*tally
	for i := range scrapers {
		t := &tally{}
		tallies = append(tallies, t)
		wait.Go(func() { s.scrape(ctx, t, []string{"gzip", "identity"}[i%2]) })
	}
	peak, err := s.watch(ctx)
	wait.Wait()
	total := sum(tallies)
	fmt.Printf("| %d that scrape, %d that stall | %d | %d | %d | %.0f | %.0f | %.0f | %.1f |\n", scrapers, stalled,
		len(total.seconds), total.refused, len(total.errs), total.quantile(0.5)*1e3, total.quantile(0.99)*1e3, total.quantile(1)*1e3, peak)
	return errors.Join(append(total.errs, err)...)
}

// A tally is what scrapers got.
type tally struct {
	seconds []float64
	refused int
	errs    []error
}

func sum(tallies []*tally) tally {
	var total tally
	for _, t := range tallies {
		total.seconds = append(total.seconds, t.seconds...)
		total.refused += t.refused
		total.errs = append(total.errs, t.errs...)
	}
	slices.Sort(total.seconds)
	return total
}

func (t *tally) quantile(q float64) float64 {
	if len(t.seconds) == 0 {
		return 0
	}
	return t.seconds[min(int(q*float64(len(t.seconds))), len(t.seconds)-1)]
}

// scrape scrapes until ctx ends. Who is refused tries again when it is told to.
func (s server) scrape(ctx context.Context, t *tally, coding string) {
	client := &http.Client{Transport: &http.Transport{ReadBufferSize: 64 << 10, DisableCompression: true}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		begin := time.Now()
		code, err := get(client, s.URL(), coding)
		switch {
		case err != nil:
			t.errs = append(t.errs, err)
		case code == http.StatusServiceUnavailable:
			t.refused++
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		case code != http.StatusOK:
			t.errs = append(t.errs, fmt.Errorf("status %d", code))
		default:
			t.seconds = append(t.seconds, time.Since(begin).Seconds())
		}
	}
}

func get(client *http.Client, url, coding string) (code int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", coding)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// stall is a client that sends half a request, or all of it, and reads nothing.
// When it is cut off it comes again.
func stall(ctx context.Context, address string, half bool) {
	request := "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	if !half {
		request += "\r\n"
	}
	for ctx.Err() == nil {
		stallOnce(ctx, address, request)
	}
}

func stallOnce(ctx context.Context, address, request string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := io.WriteString(c, request); err != nil {
		return
	}
	// Writing is how it finds out that it was cut off, without reading.
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
			_, err = io.WriteString(c, "X")
		}
	}
}
