// Command encodings measures what a content coding costs a scrape: for each
// coding and level that we could offer, on one core, and for those that we do
// offer, as the server does it. Each is a whole scrape over HTTP on loopback,
// client included, in changing order in one run. It prints medians as a table
// for docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web"
)

var (
	rounds    = flag.Int("rounds", 25, "measurements of each")
	processes = flag.Int("processes", 64, "of the application")
	entries   = flag.Int("entries", 20_000, "of each process")
	only      = flag.String("only", "", "pattern of the codings to measure, beside none")
)

// A candidate is a coding at a level. Its coder is made once and used again,
// as the server does.
type candidate struct {
	name    string
	coder   coder  // nil for none
	accept  string // what the server is asked for; "" if it is not the server
	seconds []float64
	bytes   int64
}

type coder interface {
	io.WriteCloser
	Reset(io.Writer)
}

func main() {
	options.Parse()
	debug.SetGCPercent(20) // as the server does
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func candidates() ([]*candidate, error) {
	all := []*candidate{{name: "none"}}
	for _, level := range []int{gzip.StatelessCompression, gzip.HuffmanOnly, 1, 2, 3, 4, 5, 6, 9} {
		w, err := gzip.NewWriterLevel(io.Discard, level)
		if err != nil {
			return nil, err
		}
		all = append(all, &candidate{name: fmt.Sprintf("gzip %d", level), coder: w})
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		w, err := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
		all = append(all, &candidate{name: fmt.Sprintf("zstd %v", level), coder: w})
	}
	for _, name := range []string{"identity", "gzip", "zstd"} {
		all = append(all, &candidate{name: "as served: " + name, accept: name})
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c *candidate) bool { return c.name != "none" && !pattern.MatchString(c.name) })
	if len(all) == 1 {
		return nil, fmt.Errorf("-only %s: there is no such coding", *only)
	}
	return all, nil
}

func run() error {
	all, err := candidates()
	if err != nil {
		return err
	}
	dir, remove, err := cleanup.Dir("")
	if err != nil {
		return err
	}
	defer remove()
	if err := fleet.Generate(dir, fleet.Plan{Processes: *processes, Entries: *entries}); err != nil {
		return err
	}
	server := httptest.NewServer(serve(dir, all))
	defer server.Close()
	for round := range *rounds + 1 {
		for _, i := range rand.Perm(len(all)) {
			c := all[i]
			path := fmt.Sprintf("/%d", i)
			if c.accept != "" {
				path = "/metrics"
			}
			start := time.Now()
			n, err := scrape(server.URL+path, c.accept)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if c.bytes = n; round > 0 { // the first is not warm
				c.seconds = append(c.seconds, time.Since(start).Seconds())
			}
		}
	}
	report(all)
	return nil
}

func report(all []*candidate) {
	fmt.Printf("%d processes x %d entries, %d cores, %s\n\n", *processes, *entries, runtime.NumCPU(), runtime.Version())
	fmt.Println("| coding | MB | ms | times as long as without |\n|---|---|---|---|")
	for _, c := range all {
		fmt.Printf("| %s | %.2f | %.1f | %.2f |\n", c.name, float64(c.bytes)/1e6, median(c.seconds)*1e3, median(c.seconds)/median(all[0].seconds))
	}
}

func median(seconds []float64) float64 {
	slices.Sort(seconds)
	return seconds[len(seconds)/2]
}

// serve serves a whole scrape of dir under each candidate's number, and as the
// server does under /metrics.
func serve(dir string, all []*candidate) http.Handler {
	mux := http.NewServeMux()
	engine := collect.New(dir)
	writer := exposition.NewWriter(io.Discard)
	for i, c := range all {
		mux.HandleFunc(fmt.Sprintf("GET /%d", i), func(w http.ResponseWriter, r *http.Request) {
			if err := page(w, r, engine, writer, c.coder); err != nil {
				log.Fatal(err)
			}
		})
	}
	quiet := slog.New(slog.DiscardHandler)
	mux.Handle("/metrics", web.NewHandler(web.Config{
		TelemetryPath: "/metrics",
		Scrape:        probe.New([]string{probe.Mmap}, engine, quiet).ScrapeOnly,
		Log:           quiet,
	}))
	return mux
}

func page(w http.ResponseWriter, r *http.Request, engine *collect.Engine, writer *exposition.Writer, c coder) error {
	snapshot, err := engine.Collect(r.Context())
	if err != nil {
		return err
	}
	defer snapshot.Release()
	write := func(to io.Writer) error {
		writer.Begin(to, exposition.Text)
		return errors.Join(writer.Snapshot(snapshot, snapshot.Layout.Families), writer.Flush())
	}
	if c == nil {
		return write(w)
	}
	c.Reset(w)
	return errors.Join(write(c), c.Close())
}

const pieceSize = 256 << 10 // bytes

// client reads in large pieces, and leaves what it reads packed.
var client = &http.Client{Transport: &http.Transport{ReadBufferSize: pieceSize, DisableCompression: true}}

func scrape(url, accept string) (n int64, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", accept)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Encoding"); response.StatusCode != http.StatusOK || accept != "" && accept != "identity" && got != accept {
		return 0, fmt.Errorf("asked for %q: %s, Content-Encoding %q", accept, response.Status, got)
	}
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, response.Body, make([]byte, pieceSize))
}
