package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSecretsStayInside: a link to a file that is no metric file does not bring its
// text to anybody who may ask the server, read its log, or run a command on the
// directory.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	const words = "hunter2 swordfish"
	dir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(elsewhere, []byte(strings.Repeat("root:hunter2:\nuser:swordfish:\n", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"counter_x-0.db", "gauge_all_x.db", "metric_x___1.bin", "metrics.metadata.json"} {
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, "--mmap.dir="+dir, "--log.level=debug")
	said := []string{s.scrape()}
	for _, path := range []string{"/", "/api/v1/status/files", "/api/v1/status/damage", "/api/v1/status/cardinality"} {
		said = append(said, s.get(path).body)
	}
	for _, args := range [][]string{{"check", dir}, {"render", dir}, {"top", dir}, {"dump", filepath.Join(dir, "counter_x-0.db")}, {"render", "--mmap.metadata=" + elsewhere, dir}} {
		out, err := command(nil, args...).CombinedOutput()
		if len(out) == 0 {
			t.Errorf("%q said nothing: %v", args, err)
		}
		said = append(said, string(out))
	}
	said = append(said, s.stderr.String())
	for word := range strings.FieldsSeq(words) {
		for _, text := range said {
			if strings.Contains(text, word) {
				t.Errorf("%q is in:\n%s", word, text)
			}
		}
	}
}

// TestForgedLines: neither the names of files nor requests can put a line of their own
// into the log, or have a terminal that shows it do anything.
func TestForgedLines(t *testing.T) {
	t.Parallel()
	const forged = "\x1b[31m\nlevel=ERROR msg=forged\r\u009b1m"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "counter_"+forged+"-0.db"), []byte("@\x00\x00\x00 no metrics"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--mmap.dir="+dir, "--log.level=debug")
	s.scrape()
	s.get("/%1b%5b31m%0alevel=ERROR%20msg=forged%0d")
	s.says("code=404")
	for line := range strings.Lines(s.stderr.String()) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "time=") || strings.ContainsAny(line, "\x1b\r\u009b") {
			t.Errorf("%q", line)
		}
	}
	if said := s.stderr.String(); strings.Count(said, "forged") != 2 {
		t.Errorf("the file and the request are not both in:\n%s", said)
	}
}

// TestHeads: heads of requests that are odd, or large, or that two servers may
// understand differently, get one answer each, and the next client gets its page.
func TestHeads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "counter_a-0.db", "mine", 1)
	s := start(t, "--mmap.dir="+dir)
	many := func(n int) string { return "/metrics?name[]=mine" + strings.Repeat("&name[]=mine", n) }
	tests := map[string]struct {
		head string
		code int
	}{
		"1,000 names":            {"GET " + many(1000) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusOK},
		"10,000 names":           {"GET " + many(10_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"5,000 headers":          {"GET /metrics HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
		"1,000 accepted formats": {"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: " + strings.Repeat("a/b;q=0.5,", 1000) + "\r\n\r\n", http.StatusOK},
		"a length and chunks": {"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"0\r\n\r\nGET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK},
		"two lengths":      {"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", http.StatusBadRequest},
		"a request behind": {"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK},
		"no host":          {"GET /metrics HTTP/1.1\r\n\r\n", http.StatusBadRequest},
		"another path":     {"GET /metrics/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusTemporaryRedirect},
		"an encoded path":  {"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusNotFound},
		"a proxy's":        {"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\nConnection: close\r\n\r\n", http.StatusMethodNotAllowed},
		"another host":     {"GET http://169.254.169.254/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusNotFound},
		"HTTP/2":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http.StatusBadRequest},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.address)
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			// The server may close before it has read all.
			_, _ = io.WriteString(c, tt.head)
			answer, _ := io.ReadAll(c)
			if want := fmt.Sprintf("HTTP/1.1 %d ", tt.code); !strings.HasPrefix(string(answer), want) {
				t.Errorf("%.100q, want %q", answer, want)
			}
			if n := strings.Count(string(answer), "HTTP/1.1 "); n != 1 {
				t.Errorf("%d answers:\n%s", n, answer)
			}
			wantValue(t, s.scrape(), "mine", 1)
		})
	}
}
