package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", "requests_total", 3)
	s := start(t, "--mmap.dir="+dir)
	const (
		text  = "text/plain; charset=utf-8"
		page  = "text/plain; version=0.0.4; charset=utf-8"
		html  = "text/html; charset=utf-8"
		allow = "GET, HEAD"
	)
	tests := []struct {
		method, path string
		code         int
		contentType  string
		allow        string
		body         string // that the whole contains
	}{
		{"GET", "/metrics", 200, page, "", "\nrequests_total 3\n"},
		{"GET", "/metrics?name=x", 200, page, "", "\nrequests_total 3\n"},
		{"GET", "/-/healthy", 200, text, "", "healthy"},
		{"GET", "/-/ready", 200, text, "", "ready"},
		{"GET", "/", 200, html, "", `<a href="/metrics">`},
		{"GET", "/", 200, html, "", version},
		{"GET", "/", 200, html, "", "requests_<wbr>total"},
		{"GET", "/api/v1/status/", 200, "application/json", "", `"/api/v1/status/cardinality"`},
		{"GET", "/api/v1/status/build", 200, "application/json", "", `{"version":"` + version + `","revision":"`},
		{"GET", "/api/v1/status/runtime", 200, "application/json", "", `"uptime_seconds":`},
		{"GET", "/api/v1/status/scrapes", 200, "application/json", "", `"series":1,"ok":true,"partial":false}`},
		{"GET", "/api/v1/status/files", 200, "application/json", "", `"path":"` + dir + `"`},
		{"GET", "/api/v1/status/damage", 200, "application/json", "", `{"damaged":0,`},
		{"GET", "/api/v1/status/cardinality", 200, "application/json", "", `"name":"requests_total","type":"counter","series":1,"samples":1,"growth":0,`},
		{"HEAD", "/api/v1/status/cardinality", 200, "application/json", "", ""},
		{"POST", "/api/v1/status/build", 405, "application/json", allow, `{"error":`},
		{"GET", "/api/v1/status/unknown", 404, "application/json", "", `{"error":`},
		{"HEAD", "/metrics", 200, page, "", ""},
		{"HEAD", "/-/healthy", 200, text, "", ""},
		{"HEAD", "/-/ready", 200, text, "", ""},
		{"HEAD", "/", 200, html, "", ""},
		{"POST", "/metrics", 405, text, allow, ""},
		{"PUT", "/metrics", 405, text, allow, ""},
		{"DELETE", "/-/healthy", 405, text, allow, ""},
		{"OPTIONS", "/-/ready", 405, text, allow, ""},
		{"POST", "/", 405, text, allow, ""},
		{"GET", "/metrics/", 404, text, "", ""},
		{"GET", "/metrics/x", 404, text, "", ""},
		{"GET", "/Metrics", 404, text, "", ""},
		{"GET", "/unknown", 404, text, "", ""},
		{"GET", "/-/", 404, text, "", ""},
		{"GET", "/liveness", 404, text, "", ""},
		{"GET", "/readiness", 404, text, "", ""},
		{"GET", "/debug/pprof/", 404, text, "", ""},
	}
	for _, tt := range tests {
		r := s.request(tt.method, tt.path)
		if r.code != tt.code {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, r.code, tt.code)
		}
		if got := r.header.Get("Content-Type"); !strings.EqualFold(got, tt.contentType) {
			t.Errorf("%s %s: Content-Type is %q, want %q", tt.method, tt.path, got, tt.contentType)
		}
		if got := r.header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got, tt.allow)
		}
		if !strings.Contains(r.body, tt.body) {
			t.Errorf("%s %s: %q is not in\n%.1000s", tt.method, tt.path, tt.body, r.body)
		}
	}
	r := s.get("/metrics")
	for name, want := range map[string]string{
		"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store", "Content-Encoding": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestHeadHasNoBody looks at the bytes, as the HTTP client would hide them.
func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	for _, path := range []string{"/metrics", "/", "/-/healthy", "/unknown"} {
		connection := dial(t, s.address)
		fmt.Fprintf(connection, "HEAD %s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n", path)
		answer, err := io.ReadAll(connection)
		if err != nil {
			t.Fatalf("HEAD %s: %v%s", path, err, s.said())
		}
		if _, body, ok := strings.Cut(string(answer), "\r\n\r\n"); !ok || body != "" {
			t.Errorf("HEAD %s has a body: %q", path, answer)
		}
	}
}

// dial connects to an address, for as long as tests have patience.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return connection.(*net.TCPConn)
}

func TestGzip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", "requests_total", 3)
	s := start(t, "--mmap.dir="+dir, "--probes=mmap")
	tests := []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"identity"}, false},
		{[]string{"deflate, br"}, false},
		{[]string{"gzip;q=0"}, false},
		{[]string{"gzip;q=0.000"}, false},
		{[]string{"gzip;q=0, zstd;q=0, *"}, false},
		{[]string{"*;q=0"}, false},
		{[]string{"identity, *;q=0"}, false},
		{[]string{"gzipped"}, false},
		{[]string{"gzip"}, true},
		{[]string{"GZIP"}, true},
		{[]string{"*"}, true},
		{[]string{"*;q=0.5"}, true},
		{[]string{"gzip;q=0.001"}, true},
		{[]string{"deflate;q=0, gzip;q=1.0, *;q=0"}, true},
		{[]string{"br", "gzip"}, true},
	}
	for _, tt := range tests {
		var header []string
		for _, value := range tt.accept {
			header = append(header, "Accept-Encoding", value)
		}
		r := s.get("/metrics", header...)
		encoding := r.header.Get("Content-Encoding")
		if got := encoding == "gzip"; got != tt.want || encoding != "" && encoding != "gzip" {
			t.Errorf("Accept-Encoding %q: Content-Encoding is %q, want gzip: %v", tt.accept, encoding, tt.want)
			continue
		}
		if got := r.header.Get("Vary"); got != "Accept, Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Vary is %q", tt.accept, got)
		}
		body := r.body
		if tt.want {
			body = unzip(t, body)
		}
		if !strings.Contains(body, "\nrequests_total 3\n") {
			t.Errorf("Accept-Encoding %q: the page is\n%.1000s", tt.accept, body)
		}
		if got := s.request("HEAD", "/metrics", header...).header.Get("Content-Encoding"); got != encoding {
			t.Errorf("Accept-Encoding %q: Content-Encoding of HEAD is %q, of GET %q", tt.accept, got, encoding)
		}
	}
}

// TestPromtool: Prometheus takes the pages.
func TestPromtool(t *testing.T) {
	t.Parallel()
	t.Run("demo", func(t *testing.T) {
		t.Parallel()
		temporary := t.TempDir()
		s := serve(t, command([]string{"TMPDIR=" + temporary}, "demo", "--web.listen-address=127.0.0.1:0", "--processes=3"))
		page := s.scrape()
		promtool(t, page)
		wantValue(t, page, `gme_probe_success{probe="mmap"}`, 1)
		for _, family := range []string{"counter", "gauge", "histogram", "summary"} {
			if !regexp.MustCompile(`(?m)^# TYPE demo_\w+ ` + family + `$`).MatchString(page) {
				t.Errorf("there is no %s in the demonstration", family)
			}
		}
		if !strings.Contains(s.stderr.String(), "Playing 3 processes") {
			t.Errorf("the demonstration does not say what it plays%s", s.said())
		}
		s.signal(syscall.SIGHUP) // as if its terminal were closed
		s.ends(patience)
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("the demonstration left %v behind (%v)", left, err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, dir, "counter_puma_0-0.db", "requests_total", 3)
		write(t, dir, "counter_puma_1-0.db", "requests_total", 4)
		write(t, dir, "gauge_all_puma_0-0.db", "threads", 5)
		write(t, dir, "gauge_max_puma_1-0.db", "peak", 6)
		write(t, dir, "nonsense.db", "unseen", 1)
		page := start(t, "--mmap.dir="+dir).scrape()
		promtool(t, page)
		wantValue(t, page, "requests_total", 7)
		wantValue(t, page, `threads{pid="puma_0"}`, 5)
		wantValue(t, page, "peak", 6)
		wantValue(t, page, `gme_mmap_damaged_files{reason="name"}`, 1)
		wantValue(t, page, `gme_mmap_files{metric_type="counter",mode=""}`, 2)
	})
}

// TestProbes: the page has the parts that were asked for, and no others.
func TestProbes(t *testing.T) {
	t.Parallel()
	parts := map[string]string{"mmap": "\nrequests_total 3\n", "mmap_stats": "\ngme_mmap_series 1\n", "self": "\ngme_go_goroutines "}
	for _, probes := range []string{"mmap", "mmap_stats", "self", "self,mmap", "self,mmap,mmap_stats"} {
		t.Run(probes, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "counter_1-0.db", "requests_total", 3)
			page := start(t, "--mmap.dir="+dir, "--probes="+probes).scrape()
			for probe, text := range parts {
				want := strings.Contains(","+probes+",", ","+probe+",")
				if got := strings.Contains(page, text); got != want {
					t.Errorf("%q is on the page: %v, want %v\n%.1000s", text, got, want, page)
				}
				if _, got := valueOf(page, `gme_probe_success{probe="`+probe+`"}`); got != want {
					t.Errorf("gme_probe_success of %s is on the page: %v, want %v", probe, got, want)
				}
			}
		})
	}
}

// TestDirectoryComesAndGoes: the server may be there before the directory,
// which is no reason to fail a scrape.
func TestDirectoryComesAndGoes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	s := start(t, "--mmap.dir="+dir)
	for range 3 {
		page := s.scrape()
		wantValue(t, page, `gme_probe_success{probe="mmap"}`, 0)
		wantValue(t, page, `gme_probe_success{probe="mmap_stats"}`, 0)
		wantValue(t, page, `gme_probe_success{probe="self"}`, 1)
		promtool(t, page)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	page := s.scrape()
	wantValue(t, page, `gme_probe_success{probe="mmap"}`, 1)
	wantValue(t, page, "gme_mmap_series", 0)
	promtool(t, page)

	write(t, dir, "counter_1-0.db", "requests_total", 3)
	wantValue(t, s.scrape(), "requests_total", 3)

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	page = s.scrape()
	wantValue(t, page, `gme_probe_success{probe="mmap"}`, 0)
	if _, there := valueOf(page, "requests_total"); there {
		t.Error("the metrics of a directory that is gone are still there")
	}
	// Once when it begins and once when it ends, not for each scrape.
	s.waitFor(`(?s)cannot be read.*can be read again.*cannot be read`, s.stderr.String)
	if n := strings.Count(s.stderr.String(), "cannot be read"); n != 2 {
		t.Errorf("the log says %d times that the directory cannot be read, want 2%s", n, s.said())
	}
}

// TestNoDirectory: without a directory the server is there and says what is
// missing.
func TestNoDirectory(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.says("set --mmap.dir or GME_MMAP_METRICS_DIR")
	page := s.scrape()
	wantValue(t, page, `gme_probe_success{probe="mmap"}`, 0)
	wantValue(t, page, `gme_probe_success{probe="self"}`, 1)
}

// TestDamageIsNamedOnce: what is damaged is in the log when it is seen for the
// first time, and not again.
func TestDamageIsNamedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "counter_1-0.db", "requests_total", 3)
	broken := filepath.Join(dir, "counter_2-0.db")
	if err := os.WriteFile(broken, []byte("\xff\xff\x00\x00\x00\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--mmap.dir="+dir)
	for range 3 {
		page := s.scrape()
		wantValue(t, page, "requests_total", 3)
		wantValue(t, page, `gme_mmap_damaged_files{reason="truncated"}`, 1)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s.scrape(), `gme_mmap_damaged_files{reason="truncated"}`, 0)
	s.says("no longer damaged.* file=counter_2-0.db")
	if n := strings.Count(s.stderr.String(), "Metric file is damaged"); n != 1 {
		t.Errorf("the log names the damage %d times, want 1%s", n, s.said())
	}
}

// TestContract starts the program as GitLab's wrapper does, which passes
// settings in eight variables, and the garbage collector's in a ninth.
func TestContract(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, target := range []string{"web_exporter", "sidekiq_exporter"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			dir, logs := t.TempDir(), filepath.Join(t.TempDir(), target+".log")
			certFile, keyFile := ca.issue(t, t.TempDir(), "localhost")
			cmd := command([]string{
				"GOGC=10",
				"GME_MMAP_METRICS_DIR=" + dir,
				"GME_PROBES=self,mmap,mmap_stats",
				"GME_SERVER_HOST=localhost",
				"GME_SERVER_PORT=0", // else a fixed one
				"GME_LOG_FILE=" + logs,
				"GME_LOG_LEVEL=info",
				"GME_CERT_FILE=" + certFile,
				"GME_CERT_KEY=" + keyFile,
			})
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			p := spawn(t, cmd)
			address := p.waitFor(listening, func() string { return read(t, logs) })[1]
			s := &server{p, address, "https://" + address}

			// The directory is empty: 2xx is all that GitLab's test wants.
			page := s.scrapeWith(ca.client("localhost"))
			wantValue(t, page, `gme_probe_success{probe="mmap"}`, 1)
			wantValue(t, page, `gme_probe_success{probe="mmap_stats"}`, 1)
			wantValue(t, page, `gme_probe_success{probe="self"}`, 1)
			// What the variable says was meant for another program.
			wantValue(t, page, "gme_go_gc_gogc_percent", 20)
			promtool(t, page)

			if _, err := s.do(client, "GET", "/metrics"); err == nil {
				t.Error("a client that does not trust the certificate got an answer")
			}
			if s.stdout.String() != "" || s.stderr.String() != "" {
				t.Errorf("with a log file nothing goes to the terminal%s", s.said())
			}

			// It ends with its group.
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s.ends(2 * time.Second)
		})
	}
}

// TestContractQuiet: this is what the wrapper passes where no log is wanted.
func TestContractQuiet(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.2" // nobody else's connections come from there
	dir, home := t.TempDir(), t.TempDir()
	write(t, dir, "counter_1-0.db", "requests_total", 3)
	port := freePort(t, host)
	cmd := command([]string{
		"GOGC=10",
		"GME_MMAP_METRICS_DIR=" + dir,
		"GME_PROBES=self,mmap,mmap_stats",
		"GME_SERVER_HOST=" + host,
		"GME_SERVER_PORT=" + port,
		"GME_LOG_LEVEL=quiet",
	})
	cmd.Dir = home
	p := spawn(t, cmd)
	s := &server{p, host + ":" + port, "http://" + host + ":" + port}
	s.answers()
	page := s.scrape()
	wantValue(t, page, "requests_total", 3)
	wantValue(t, page, "gme_go_gc_gogc_percent", 20)
	s.signal(syscall.SIGHUP)
	s.signal(syscall.SIGTERM)
	s.ends(2 * time.Second)
	if s.stdout.String() != "" || s.stderr.String() != "" {
		t.Errorf("quiet means nothing%s", s.said())
	}
	if files, err := os.ReadDir(home); err != nil || len(files) != 0 {
		t.Errorf("files where it ran: %v, %v", files, err)
	}
}

// TestQuietIgnoresLogFile: nothing is logged, so there is no file either.
func TestQuietIgnoresLogFile(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.2"
	file := filepath.Join(t.TempDir(), "exporter.log")
	port := freePort(t, host)
	p := spawn(t, command([]string{"GME_LOG_FILE=" + file, "GME_LOG_LEVEL=quiet", "GME_SERVER_HOST=" + host, "GME_SERVER_PORT=" + port}))
	s := &server{p, host + ":" + port, "http://" + host + ":" + port}
	s.answers()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the log file: %v", err)
	}
}

// TestLogFileIsReopened: a log that is moved away is begun anew at SIGHUP.
func TestLogFileIsReopened(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "exporter.log")
	moved := file + ".1"
	if err := os.WriteFile(file, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(nil, "--web.listen-address=127.0.0.1:0", "--log.file="+file, "--log.level=debug", "--probes=self")
	p := spawn(t, cmd)
	address := p.waitFor(listening, func() string { return read(t, file) })[1]
	s := &server{p, address, "http://" + address}
	if !strings.HasPrefix(read(t, file), "before\n") {
		t.Errorf("the log file was not appended to: %q", read(t, file))
	}

	if err := os.Rename(file, moved); err != nil {
		t.Fatal(err)
	}
	s.get("/-/healthy")
	s.waitFor("path=/-/healthy", func() string { return read(t, moved) })
	s.signal(syscall.SIGHUP)
	s.waitFor("Log file is open again", func() string { return read(t, file) })
	old := read(t, moved)
	s.get("/-/ready")
	s.waitFor("path=/-/ready", func() string { return read(t, file) })
	if now := read(t, moved); now != old {
		t.Errorf("the old log file still grows: %q", strings.TrimPrefix(now, old))
	}

	// Where it cannot be opened the old one stays, and says so.
	if err := os.Rename(filepath.Dir(file), filepath.Dir(file)+".gone"); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(filepath.Dir(file)+".gone", filepath.Base(file))
	s.signal(syscall.SIGHUP)
	s.waitFor("cannot be opened again", func() string { return read(t, file) })
	if err := os.Rename(filepath.Dir(file), strings.TrimSuffix(filepath.Dir(file), ".gone")); err != nil {
		t.Fatal(err)
	}
	if s.stdout.String() != "" || s.stderr.String() != "" {
		t.Errorf("with a log file nothing goes to the terminal%s", s.said())
	}
}

// read returns a file's content; nothing, if it is not there yet.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(content)
}

func TestLogFormat(t *testing.T) {
	t.Parallel()
	p := spawn(t, command([]string{"GME_LOG_FORMAT=json"}, "--web.listen-address=127.0.0.1:0", "--probes=self"))
	p.says(`(?m)^\{.*"msg":"Listening on".*"address":"127\.0\.0\.1:\d+".*\}$`)
}

// TestLogLevel: at warn the start is not worth a line, what is missing is.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	s := spawn(t, command([]string{"GME_LOG_LEVEL=warn"}, "--web.listen-address=127.0.0.1:0"))
	s.says("level=WARN .*No metrics directory is configured")
	s.signal(syscall.SIGTERM)
	s.ends(patience)
	if strings.Contains(s.stderr.String(), "level=INFO") {
		t.Errorf("level=INFO in the log%s", s.said())
	}
}

// TestAddresses: where the server listens, by host.
func TestAddresses(t *testing.T) {
	t.Parallel()
	everywhere := func(ip net.IP) bool { return ip.IsUnspecified() }
	here := func(ip net.IP) bool { return ip.IsLoopback() }
	tests := map[string]struct {
		settings []string
		args     []string
		where    func(net.IP) bool
	}{
		"default":        {nil, nil, here},
		"localhost":      {[]string{"GME_SERVER_HOST=localhost"}, nil, here},
		"star":           {[]string{"GME_SERVER_HOST=*"}, nil, everywhere},
		"empty":          {[]string{"GME_SERVER_HOST="}, nil, everywhere},
		"zeros":          {[]string{"GME_SERVER_HOST=0.0.0.0"}, nil, everywhere},
		"flag star":      {nil, []string{"--server.host=*"}, everywhere},
		"flag empty":     {nil, []string{"--server.host="}, everywhere},
		"flag wins":      {[]string{"GME_SERVER_HOST=*"}, []string{"--server.host=localhost"}, here},
		"listen address": {[]string{"GME_SERVER_HOST=*"}, []string{"--web.listen-address=127.0.0.1:0"}, here},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, command(append(tt.settings, "GME_SERVER_PORT=0"), append(tt.args, "--probes=self")...))
			host, port, err := net.SplitHostPort(s.address)
			if err != nil {
				t.Fatal(err)
			}
			if ip := net.ParseIP(host); !tt.where(ip) {
				t.Errorf("it listens on %s", host)
			}
			foreign := foreignAddress()
			if foreign == "" {
				return
			}
			connection, err := net.DialTimeout("tcp", net.JoinHostPort(foreign, port), patience)
			if err == nil {
				connection.Close()
			}
			if got, want := err == nil, tt.where(net.IPv4zero); got != want {
				t.Errorf("a connection to %s: %v; want one: %v", foreign, err, want)
			}
		})
	}
}

// foreignAddress returns an IPv4 address of this machine that is not a
// loopback's, if it has one.
func foreignAddress() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	return ""
}

// TestSeveralAddresses: each of them is served, also those that a variable
// names, one a line.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	for name, cmd := range map[string]*exec.Cmd{
		"flags":    command(nil, "--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.2:0", "--probes=self"),
		"variable": command([]string{"GME_WEB_LISTEN_ADDRESS=127.0.0.1:0\n127.0.0.2:0"}, "--probes=self"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, cmd)
			for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
				address := p.says(`msg="Listening on" address=(` + regexp.QuoteMeta(host) + `:\d+)`)[1]
				(&server{p, address, "http://" + address}).scrape()
			}
			p.signal(syscall.SIGTERM)
			p.ends(2 * time.Second)
		})
	}
}

// TestSystemdSocket: the socket is handed over by who starts the program, as
// file 3. The shell is there because only the process itself knows its number.
func TestSystemdSocket(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, program,
		"--web.systemd-socket", "--server.port=nonsense", "--probes=self")
	cmd.Env = environment()
	cmd.ExtraFiles = []*os.File{file}
	s := serve(t, cmd)
	if want := listener.Addr().String(); s.address != want {
		t.Errorf("it listens on %s, not on what was passed, %s", s.address, want)
	}
	s.scrape()
}

// TestSystemdSocketOfAnotherKind: a unit that passes a socket which cannot be
// listened on is wrong, and told so.
func TestSystemdSocketOfAnotherKind(t *testing.T) {
	t.Parallel()
	connection, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	file, err := connection.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, program, "--web.systemd-socket")
	cmd.Env = environment()
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "error: --web.systemd-socket (GME_WEB_SYSTEMD_SOCKET): systemd sockets: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTelemetryPath: the metrics can be elsewhere, and are nowhere else.
func TestTelemetryPath(t *testing.T) {
	t.Parallel()
	s := serve(t, command([]string{"GME_WEB_TELEMETRY_PATH=/-/numbers"}, "--web.listen-address=127.0.0.1:0", "--probes=self"))
	if r := s.get("/-/numbers"); r.code != 200 || !strings.Contains(r.body, "gme_build_info") {
		t.Errorf("status %d: %.500s", r.code, r.body)
	}
	if r := s.get("/metrics"); r.code != 404 {
		t.Errorf("/metrics: status %d, want 404", r.code)
	}
	if r := s.get("/"); !strings.Contains(r.body, `href="/-/numbers"`) {
		t.Errorf("the landing page has no link: %s", r.body)
	}
}

// TestPprof: profiles are there for those who ask for them.
func TestPprof(t *testing.T) {
	t.Parallel()
	for name, cmd := range map[string]*exec.Cmd{
		"flag":     command(nil, "--web.listen-address=127.0.0.1:0", "--probes=self", "--web.enable-pprof"),
		"variable": command([]string{"GME_WEB_ENABLE_PPROF=true"}, "--web.listen-address=127.0.0.1:0", "--probes=self"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, cmd)
			for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.1"} {
				if r := s.get(path); r.code != 200 || r.body == "" {
					t.Errorf("%s: status %d, %d bytes", path, r.code, len(r.body))
				}
			}
		})
	}
	s := start(t, "--probes=self")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1"} {
		if r := s.get(path); r.code != 404 {
			t.Errorf("without the flag %s has status %d, want 404", path, r.code)
		}
	}
}

// TestKeepAlive: a connection serves many requests.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	connection := dial(t, s.address)
	answers := bufio.NewReader(connection)
	for range 5 {
		fmt.Fprintf(connection, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%v%s", err, s.said())
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatalf("%v%s", err, s.said())
		}
		if response.StatusCode != 200 || response.Close {
			t.Errorf("status %d, connection is closed: %v", response.StatusCode, response.Close)
		}
	}
}

// TestCreatedTimestamps: on request the page says since when a counter counts,
// in the format that has a place for it.
func TestCreatedTimestamps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeMany(t, dir, 1)
	s := start(t, "--mmap.dir="+dir, "--probes=mmap", "--web.enable-openmetrics", "--web.enable-created-timestamps")
	for accept, want := range map[string]bool{"application/openmetrics-text;version=1.0.0": true, "text/plain": false} {
		page := s.get("/metrics", "Accept", accept).body
		if got := strings.Contains(page, "_created"); got != want {
			t.Errorf("%s: there is a time of creation: %t, want %t\n%s", accept, got, want, page)
		}
	}
}
