package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A scraped is one scrape of a server.
type scraped struct {
	seconds float64
	bytes   int64 // as sent
	err     error
}

// prometheus keeps its connection, and leaves pages compressed.
var prometheus = &http.Client{
	Transport: &http.Transport{DisableCompression: true, ReadBufferSize: pieceSize},
	Timeout:   30 * time.Second,
}

const pieceSize = 256 << 10 // bytes, so that it is the server that is measured

// scrapes scrapes a server once in every second for some time, at a moment that
// changes, so that it does not always meet the same one of the requests. One
// that takes longer delays the next.
func scrapes(ctx context.Context, url string, d time.Duration) (all []scraped) {
	start := time.Now()
	for second := time.Duration(0); second < d && time.Since(start) < d; second += time.Second {
		if !sleepUntil(ctx, start.Add(second+rand.N(time.Second/2))) {
			break
		}
		all = append(all, scrape(ctx, url))
	}
	return all
}

// scrape fails for an empty page as well.
func scrape(ctx context.Context, url string) (s scraped) {
	encoding := "identity"
	if *zipped {
		encoding = "gzip"
	}
	start := time.Now()
	s.bytes, s.err = fetch(ctx, url, encoding, io.Discard)
	s.seconds = time.Since(start).Seconds()
	return s
}

// wholePage returns what a scrape shows, not compressed.
func wholePage(ctx context.Context, url string) (string, error) {
	var page strings.Builder
	_, err := fetch(ctx, url, "identity", &page)
	return page.String(), err
}

func fetch(ctx context.Context, url, encoding string, to io.Writer) (n int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", encoding)
	response, err := prometheus.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{response.Body}, make([]byte, pieceSize))
	switch got := response.Header.Get("Content-Encoding"); {
	case err != nil:
		return n, err
	case response.StatusCode != http.StatusOK:
		return n, fmt.Errorf("%s: %s", url, response.Status)
	case n == 0:
		return n, fmt.Errorf("%s: an empty page", url)
	case encoding == "gzip" != (got == "gzip"):
		return n, fmt.Errorf("%s: asked for %s, and got %q", url, encoding, got)
	}
	return n, nil
}

// seriesOf returns how many samples of each name a page has.
func seriesOf(page string) map[string]int {
	series := map[string]int{}
	for line := range strings.Lines(page) {
		if end := strings.IndexAny(line, "{ "); end > 0 && line[0] != '#' {
			series[line[:end]]++
		}
	}
	return series
}

// sameSeries returns an error if a page has fewer or more series of the wanted
// names. Other names do not matter: those of the application and of the server.
func sameSeries(want, got map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			return fmt.Errorf("%d series of %s, not %d", got[name], name, want[name])
		}
	}
	return nil
}

// render returns the series of a directory that has but the fleet's files.
func render(ctx context.Context, dir string) (map[string]int, error) {
	var page bytes.Buffer
	c := exec.CommandContext(ctx, serverPath(), "render", dir)
	c.Stdout, c.Stderr = &page, os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	series := seriesOf(page.String())
	if len(series) == 0 {
		return nil, fmt.Errorf("render: no series in %d bytes", page.Len())
	}
	return series, nil
}

// firstProcess is the number of the fleet's first process among the
// application's workers, whose files must not be replaced.
const firstProcess = 1000

// move lays the files of a generated fleet beside those of an application, each
// in one step, and removes the directory that they came from.
func move(stage, dir string) error {
	files, err := os.ReadDir(stage)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, err := renumber(file.Name())
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(stage, file.Name()), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Remove(stage)
}

// renumber makes counter_puma_1000-0.db of counter_puma_0-0.db.
func renumber(name string) (string, error) {
	kind, rest, _ := strings.Cut(name, "_puma_")
	process, end, found := strings.Cut(rest, "-")
	number, err := strconv.Atoi(process)
	if err != nil || !found {
		return "", fmt.Errorf("%s is no file of a Puma's process", name)
	}
	return fmt.Sprintf("%s_puma_%d-%s", kind, firstProcess+number, end), nil
}
