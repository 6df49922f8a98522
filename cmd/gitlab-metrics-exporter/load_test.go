package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mostResident is how much memory the server may have had at most, in kB, when
// this test is over. bench/load has the figures for a real load.
const mostResident = 100_000

// TestLoad: clients that stall take nothing away from those that do not, but a
// few refusals before it is clear that they stall; and the server stays small.
func TestLoad(t *testing.T) {
	t.Parallel()
	const places, scrapers, pages, readers, halves = 4, 6, 5, 20, 20
	dir := t.TempDir()
	writeMany(t, dir, 150_000) // more than fits between the two ends of a connection
	cmd := exec.Command(plain, "--web.listen-address=127.0.0.1:0", "--mmap.dir="+dir, fmt.Sprintf("--web.max-requests=%d", places))
	cmd.Env = environment()
	s := serve(t, cmd)
	for i := range readers + halves {
		c := dial(t, s.address)
		if err := c.SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
		if i < readers {
			fmt.Fprint(c, "\r\n")
		}
	}
	var wait sync.WaitGroup
	var refused atomic.Int32
	for i := range scrapers {
		wait.Go(func() {
			c := newClient()
			defer c.CloseIdleConnections()
			deadline := time.Now().Add(patience)
			for got := 0; got < pages && time.Now().Before(deadline); {
				r, err := s.do(c, "GET", "/metrics", "Accept-Encoding", []string{"identity", "gzip", "zstd"}[i%3])
				switch {
				case err == nil && r.code == http.StatusOK:
					got++
				case err == nil && r.code == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "":
					refused.Add(1)
					time.Sleep(20 * time.Millisecond)
				default:
					t.Errorf("status %d, %v", r.code, err)
					return
				}
			}
			if time.Now().After(deadline) {
				t.Error("a scraper does not get its pages")
			}
		})
	}
	wait.Wait()
	peak := peakOf(t, s)
	if peak > mostResident {
		t.Errorf("the server had %d kB resident, more than %d", peak, mostResident)
	}
	t.Logf("%d refusals; %d kB resident at most", refused.Load(), peak)
}

// peakOf returns how much memory a process had resident at most, in kB.
func peakOf(t *testing.T, s *server) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("its memory is not known:\n%s", status)
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return peak
}
