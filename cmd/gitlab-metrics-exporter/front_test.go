package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// curl runs curl and returns what it prints: the body, and then the status.
func curl(t *testing.T, args ...string) (body string, code int, err error) {
	t.Helper()
	cmd := exec.Command("curl", append([]string{"--silent", "--show-error", "--max-time", "20", "--write-out", "%{http_code}"}, args...)...)
	cmd.Env = append(environment(), "no_proxy=*")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	text := out.String()
	if len(text) < 3 {
		return text, 0, err
	}
	code, _ = strconv.Atoi(text[len(text)-3:])
	return text[:len(text)-3], code, err
}

// TestCodingsOfCurl: a client that others wrote can read each coding, of pages
// of one block and of several.
func TestCodingsOfCurl(t *testing.T) {
	t.Parallel()
	for name, series := range map[string]int{"small": 1, "large": 20_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeMany(t, dir, series)
			s := start(t, "--mmap.dir="+dir, "--probes=mmap")
			want := families(s.scrape())
			packed := filepath.Join(t.TempDir(), "page")
			for _, coding := range []string{"identity", "gzip", "zstd"} {
				body, code, err := curl(t, "--compressed", "--header", "Accept-Encoding: "+coding, s.url+"/metrics")
				if err != nil || code != 200 || families(body) != want {
					t.Errorf("%s: status %d, %v, %d bytes, want %d", coding, code, err, len(families(body)), len(want))
				}
				if coding == "identity" {
					continue
				}
				if _, code, err := curl(t, "--output", packed, "--header", "Accept-Encoding: "+coding, s.url+"/metrics"); err != nil || code != 200 {
					t.Errorf("%s: status %d, %v", coding, code, err)
				}
				in, err := os.Open(packed)
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				unpack := exec.Command(coding, "--decompress", "--stdout", "--quiet")
				unpack.Stdin = in
				if out, err := unpack.Output(); err != nil || families(string(out)) != want {
					t.Errorf("%s --decompress: %v, %d bytes, want %d", coding, err, len(families(string(out))), len(want))
				}
			}
		})
	}
}

// writeMany writes a file of so many counters.
func writeMany(t *testing.T, dir string, series int) {
	t.Helper()
	image := clientmmap.AppendHeader(nil, 0)
	for i := range series {
		key, err := clientmmap.AppendKey(nil, "requests_total", "requests_total", []string{"action", "controller"},
			[]any{fmt.Sprintf("action_%d", i), fmt.Sprintf("Controller%d", i%100)})
		if err != nil {
			t.Fatal(err)
		}
		image = clientmmap.AppendEntry(image, key, float64(i))
	}
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, "counter_1-0.db"), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// families returns the application's part of a page.
func families(page string) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		if !strings.Contains(line, "gme_") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestUnixSocket: it serves like a port, is the server's alone while that runs,
// is replaced when it was left behind, and is gone at the end.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.sock")
	arg := "--web.listen-address=unix://" + path
	first := spawnKilled(t, command(nil, arg, "--probes=self"))
	first.says(listening)
	for round := range 2 {
		body, code, err := curl(t, "--unix-socket", path, "http://localhost/metrics")
		if err != nil || code != 200 || !strings.Contains(body, "gme_build_info") {
			t.Errorf("status %d, %v: %.500s", code, err, body)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o660 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
		out, err := command(nil, arg, "--probes=self").CombinedOutput()
		if err == nil || !strings.Contains(string(out), path) || !strings.Contains(string(out), "another process has this socket") {
			t.Errorf("a second server: %v, %s", err, out)
		}
		if round > 0 {
			break
		}
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-first.exited
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("a server that was killed has cleaned up: %v", err)
		}
		next := spawn(t, command([]string{"GME_WEB_LISTEN_ADDRESS=unix://" + path + "\n127.0.0.1:0"}, "--probes=self"))
		address := next.says(`address=(127\S+)`)[1]
		(&server{next, address, "http://" + address}).scrape()
		t.Cleanup(func() {
			next.signal(syscall.SIGTERM)
			next.ends(patience)
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("at the end the socket is still there: %v", err)
			}
		})
	}
}

// spawnKilled is spawn for a process that the test kills.
func spawnKilled(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.exited
	})
	return p
}

// TestUnixSocketOfSystemd: the socket is systemd's, and stays.
func TestUnixSocketOfSystemd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metrics.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, program, "--web.systemd-socket", "--probes=self")
	cmd.Env = environment()
	cmd.ExtraFiles = []*os.File{file}
	p := serve(t, cmd)
	if body, code, err := curl(t, "--unix-socket", path, "http://localhost/metrics"); err != nil || code != 200 || !strings.Contains(body, "gme_build_info") {
		t.Errorf("status %d, %v: %.500s", code, err, body)
	}
	p.signal(syscall.SIGTERM)
	p.ends(patience)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the server has removed systemd's socket: %v", err)
	}
}

// secured is a server with a certificate, clients with certificates, and a
// password.
type secured struct {
	*server
	ca                    *authority
	dir                   string
	clientCert, clientKey string
}

const (
	webUser, webPassword = "prometheus", "open sesame"
	// What bcrypt makes of the password, at its lowest cost.
	webHash = "$2a$04$QlNn5Mm6pLU90z1R7cbk2e9DGAITI3OwWB.NT7wA5N7Za5qvbq0yu"
)

func newSecured(t *testing.T, args ...string) *secured {
	t.Helper()
	s := &secured{ca: newAuthority(t), dir: t.TempDir()}
	s.ca.issue(t, s.dir, "localhost")
	replace(t, filepath.Join(s.dir, "ca.pem"), encode("CERTIFICATE", s.ca.certificate.Raw))
	s.clientCert, s.clientKey = s.ca.issueClient(t, t.TempDir(), "prometheus.test")
	file := filepath.Join(s.dir, "web.yml")
	replace(t, file, fmt.Appendf(nil, `tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
basic_auth_users:
  %s: '%s'
`, webUser, webHash))
	s.server = serveTLS(t, nil, append(args, "--web.config.file="+file)...)
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://localhost:" + port
	return s
}

// issueClient is issue for the certificate of a client.
func (a *authority) issueClient(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	leaf := template(name)
	leaf.DNSNames = []string{name}
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certificate := sign(t, leaf, a.certificate, key, a.key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, certFile, encode("CERTIFICATE", certificate.Raw))
	replace(t, keyFile, encode("PRIVATE KEY", private))
	return certFile, keyFile
}

// ask asks with curl; certified says whether with the client's certificate.
func (s *secured) ask(path string, certified bool, args ...string) (code int, err error) {
	s.t.Helper()
	args = append(args, "--cacert", filepath.Join(s.dir, "ca.pem"), s.url+path)
	if certified {
		args = append(args, "--cert", s.clientCert, "--key", s.clientKey)
	}
	_, code, err = curl(s.t, args...)
	return code, err
}

// TestHealthWithoutAuth: the flag opens health, and nothing else; who has no
// certificate gets nothing at all.
func TestHealthWithoutAuth(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprint(open), func(t *testing.T) {
			t.Parallel()
			var args []string
			if open {
				args = append(args, "--web.health-without-auth")
			}
			s := newSecured(t, args...)
			health := map[bool]int{false: 401, true: 200}[open]
			tests := []struct {
				path string
				args []string
				want int
			}{
				{"/-/healthy", nil, health},
				{"/-/ready", nil, health},
				{"/-/ready", []string{"--head"}, health},
				{"/-/ready", []string{"--http1.1"}, health},
				{"/-/ready?x=1", nil, health},
				{"/-/ready", []string{"--user", webUser + ":" + webPassword}, 200},
				{"/metrics", []string{"--user", webUser + ":" + webPassword}, 200},
				{"/metrics", nil, 401},
				{"/", nil, 401},
				{"/-/ready/", nil, 401},
				{"/-/ready/../../metrics", []string{"--path-as-is"}, 401},
				{"//-/ready", []string{"--path-as-is"}, 401},
				{"/%2d/ready%2f..%2f..%2fmetrics", []string{"--path-as-is"}, 401},
				{"/-/ready", []string{"--request", "POST"}, 401},
				{"/metrics", []string{"--header", "X-Original-URL: /-/ready"}, 401},
			}
			for _, tt := range tests {
				if code, err := s.ask(tt.path, true, tt.args...); err != nil || code != tt.want {
					t.Errorf("%s %q: status %d, %v; want %d", tt.path, tt.args, code, err, tt.want)
				}
				if code, err := s.ask(tt.path, false, tt.args...); err == nil || code != 0 {
					t.Errorf("%s %q without a certificate: status %d", tt.path, tt.args, code)
				}
			}
		})
	}
}

// TestHealthWithoutAuthByVariable: and without TLS.
func TestHealthWithoutAuthByVariable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yml")
	replace(t, file, fmt.Appendf(nil, "basic_auth_users:\n  %s: '%s'\n", webUser, webHash))
	s := serve(t, command([]string{"GME_WEB_HEALTH_WITHOUT_AUTH=true", "GME_WEB_CONFIG_FILE=" + file},
		"--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", "--probes=self"))
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/metrics": 401, "/": 401} {
		if got := s.get(path).code; got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	// Without a configuration the flag changes nothing.
	plain := start(t, "--web.health-without-auth", "--probes=self")
	for _, path := range []string{"/-/healthy", "/metrics"} {
		if got := plain.get(path).code; got != 200 {
			t.Errorf("%s: status %d, want 200", path, got)
		}
	}
}

// TestOpenSSL: what a client sees that others wrote; and new certificates, of
// the server and of who vouches for clients, count for the next connection.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	handshake := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("openssl", append([]string{"s_client", "-connect", s.address, "-servername", "localhost", "-verify_return_error",
			"-CAfile", filepath.Join(s.dir, "ca.pem"), "-ign_eof"}, args...)...)
		cmd.Stdin = strings.NewReader("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		out, _ := cmd.CombinedOutput() // that a server refuses is no error to it in each version
		return string(out)
	}
	mine := []string{"-cert", s.clientCert, "-key", s.clientKey}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if out := handshake(append(mine, version)...); !strings.Contains(out, "401 Unauthorized") || !strings.Contains(out, "Verify return code: 0 (ok)") {
			t.Errorf("%s: %s", version, out)
		}
		if out := handshake(version); strings.Contains(out, "HTTP/1.1") || !strings.Contains(out, "alert") {
			t.Errorf("%s without a certificate: %s", version, out)
		}
	}
	if out := handshake(append(mine, "-tls1_1")...); strings.Contains(out, "HTTP/1.1") {
		t.Errorf("the server speaks TLS 1.1: %s", out)
	}
	stranger := newAuthority(t)
	strangerCert, strangerKey := stranger.issueClient(t, t.TempDir(), "stranger.test")
	if out := handshake("-cert", strangerCert, "-key", strangerKey); strings.Contains(out, "HTTP/1.1") {
		t.Errorf("a client with a certificate of somebody else was let in: %s", out)
	}
	old := serial(t, s)
	s.ca.issue(t, s.dir, "localhost")
	if now := serial(t, s); now == old {
		t.Errorf("the certificate is still %s", now)
	}
	// From now on only clients of the stranger are known.
	replace(t, filepath.Join(s.dir, "clients.pem"), encode("CERTIFICATE", stranger.certificate.Raw))
	file := filepath.Join(s.dir, "web.yml")
	replace(t, file, []byte(strings.Replace(read(t, file), "client_ca_file: ca.pem", "client_ca_file: clients.pem", 1)))
	if out := handshake(mine...); strings.Contains(out, "HTTP/1.1") {
		t.Errorf("a client that is no longer known was let in: %s", out)
	}
	if out := handshake("-cert", strangerCert, "-key", strangerKey); !strings.Contains(out, "401 Unauthorized") {
		t.Errorf("a client that is known now was not let in: %s", out)
	}
}

// serial returns the number of the certificate that a server shows.
func serial(t *testing.T, s *secured) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.clientCert, s.clientKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.ca.roots, ServerName: "localhost", Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestUnusedConnectionsDoNotDelayTheEnd: neither those that never asked nor
// those that asked half.
func TestUnusedConnectionsDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	dial(t, s.address)
	fmt.Fprint(dial(t, s.address), "GET /metrics HTTP/1.1\r\nHost:")
	s.scrape()
	s.signal(syscall.SIGTERM)
	s.ends(patience)
	if strings.Contains(s.stderr.String(), "cut off") {
		t.Errorf("it waited for them%s", s.said())
	}
}

// TestAccessLog: requests are logged at level debug, and not before.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"info": 0, "debug": 3} {
		s := start(t, "--probes=self", "--log.level="+level)
		for path, code := range map[string]int{"/": 200, "/metrics": 200, "/unknown": 404} {
			if _, got, err := curl(t, s.url+path); err != nil || got != code {
				t.Errorf("%s: status %d, %v; want %d", path, got, err, code)
			}
		}
		s.signal(syscall.SIGTERM)
		s.ends(patience)
		if got := strings.Count(s.stderr.String(), "msg=Request method=GET path=/"); got != want {
			t.Errorf("at level %s %d requests are logged, want %d%s", level, got, want, s.said())
		}
	}
}

// TestDemoSaysWhere: what it says to look at is there.
func TestDemoSaysWhere(t *testing.T) {
	t.Parallel()
	s := serve(t, command([]string{"TMPDIR=" + t.TempDir()}, "demo", "--web.listen-address=127.0.0.1:0", "--processes=1"))
	urls := s.says(`Look at (http://\S+/) and (http://\S+/metrics); `)[1:]
	for i, want := range []string{"<h1>gitlab-metrics-exporter</h1>", "demo_"} {
		if body, code, err := curl(t, urls[i]); err != nil || code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %v; %q is not in %.500s", urls[i], code, err, want, body)
		}
	}
}

// TestLargeHeaders: a request has a bounded head.
func TestLargeHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, "--probes=self")
	if r, err := s.do(client, "GET", "/metrics", "X-Large", strings.Repeat("x", 64<<10)); err == nil && r.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", r.code)
	}
	c := dial(t, s.address)
	fmt.Fprintf(c, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 405" {
		t.Errorf("%q, %v", answer, err)
	}
}
