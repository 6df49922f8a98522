package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestSteady: a thousand scrapes later the program holds what it held after
// ten.
func TestSteady(t *testing.T) {
	t.Parallel()
	for name, keepAlive := range map[string]bool{"kept connections": true, "new connections": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i := range 4 {
				write(t, dir, fmt.Sprintf("counter_puma_%d-0.db", i), "requests_total", 1)
				write(t, dir, fmt.Sprintf("gauge_all_puma_%d-0.db", i), "threads", 1)
			}
			// Not the one that looks for data races: that needs memory for it.
			cmd := exec.Command(plain, "--web.listen-address=127.0.0.1:0", "--mmap.dir="+dir)
			cmd.Env = environment()
			s := serve(t, cmd)
			c := newClient()
			c.Transport.(*http.Transport).DisableKeepAlives = !keepAlive

			scrapes := func(n int) {
				for i := range n {
					var header []string
					if i%2 == 0 {
						header = []string{"Accept-Encoding", "gzip"}
					}
					if r, err := s.do(c, "GET", "/metrics", header...); err != nil || r.code != 200 {
						t.Fatalf("scrape %d: status %d, %v%s", i, r.code, err, s.said())
					}
				}
			}
			scrapes(10)
			before := holdings(s, c)
			scrapes(1000)
			var after held
			// The end of a connection takes a moment to be noticed.
			eventually(t, patience, func() string { return fmt.Sprintf("%+v is %+v%s", after, before, s.said()) }, func() bool {
				after = holdings(s, c)
				return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines &&
					after.resident <= before.resident+tolerance
			})
			t.Logf("before %+v, after %+v", before, after)
		})
	}
}

// tolerance is how many bytes of resident memory may come and go with the
// garbage collector.
const tolerance = 4 << 20

// held is what a process holds.
type held struct {
	descriptors int
	goroutines  float64
	resident    float64 // bytes
}

func holdings(s *server, c *http.Client) held {
	s.t.Helper()
	page := s.scrapeWith(c)
	files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	h := held{descriptors: len(files)}
	var ok bool
	if h.goroutines, ok = valueOf(page, "gme_go_goroutines"); !ok {
		s.t.Fatalf("gme_go_goroutines is not on the page:\n%.2000s", page)
	}
	if h.resident, ok = valueOf(page, "gme_process_resident_memory_bytes"); !ok {
		s.t.Fatalf("gme_process_resident_memory_bytes is not on the page:\n%.2000s", page)
	}
	return h
}
