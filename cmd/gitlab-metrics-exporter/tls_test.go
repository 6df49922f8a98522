package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An authority signs certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	chain       []byte // PEM of the certificates between it and the root
	roots       *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	root := template("Root")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	certificate := sign(t, root, root, key, key)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &authority{certificate: certificate, key: key, roots: roots}
}

// intermediate returns an authority that this one vouches for.
func (a *authority) intermediate(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	ca := template("Intermediate")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	certificate := sign(t, ca, a.certificate, key, a.key)
	chain := append(encode("CERTIFICATE", certificate.Raw), a.chain...)
	return &authority{certificate, key, chain, a.roots}
}

// issue puts a certificate for a name, its chain behind it, and its key into
// dir. Files of an earlier one are replaced.
func (a *authority) issue(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	leaf := template(name)
	leaf.DNSNames = []string{name}
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	certificate := sign(t, leaf, a.certificate, key, a.key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, certFile, append(encode("CERTIFICATE", certificate.Raw), a.chain...))
	replace(t, keyFile, encode("PRIVATE KEY", private))
	return certFile, keyFile
}

// client returns a client that trusts the root, and expects a server of this
// name. Each of its requests has a connection of its own.
func (a *authority) client(name string) *http.Client {
	c := newClient()
	transport := c.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.TLSClientConfig = &tls.Config{RootCAs: a.roots, ServerName: name}
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

func sign(t *testing.T, certificate, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// replace puts a file in the place of another, as those who renew
// certificates do.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
}

// serveTLS starts a server and returns it with its https URL.
func serveTLS(t *testing.T, settings []string, args ...string) *server {
	t.Helper()
	s := serve(t, command(settings, append(args, "--web.listen-address=127.0.0.1:0", "--probes=self")...))
	s.url = "https://" + s.address
	return s
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	root := newAuthority(t)
	tests := map[string]*authority{"by the root": root, "with a chain": root.intermediate(t).intermediate(t)}
	for name, ca := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			certFile, keyFile := ca.issue(t, dir, "old.test")
			s := serveTLS(t, []string{"GME_CERT_FILE=" + certFile, "GME_CERT_KEY=" + keyFile})
			promtool(t, s.scrapeWith(root.client("old.test")))
			if _, err := s.do(root.client("new.test"), "GET", "/metrics"); err == nil {
				t.Error("a client took the certificate for one of another name")
			}

			// A client that does not speak TLS is told so, and gets no page.
			plain := &server{s.process, s.address, "http://" + s.address}
			if r, err := plain.do(client, "GET", "/metrics"); err == nil && r.code != http.StatusBadRequest {
				t.Errorf("without TLS: status %d, want 400 or nothing", r.code)
			}
			checkOldVersions(t, s, root)

			ca.issue(t, dir, "new.test")
			s.scrapeWith(root.client("new.test"))

			// A renewal that went wrong costs handshakes, not the server.
			replace(t, certFile, []byte("nonsense"))
			if _, err := s.do(root.client("new.test"), "GET", "/metrics"); err == nil {
				t.Error("there was an answer with a damaged certificate")
			}
			s.says(`level=ERROR .*msg="Certificate cannot be read: nobody can connect" file=\S+ err=`)
			ca.issue(t, dir, "newest.test")
			s.scrapeWith(root.client("newest.test"))
			s.says(`level=INFO .*msg="Certificate can be read again"`)
		})
	}
}

// checkOldVersions fails the test if s speaks a version of TLS that is no
// longer safe.
func checkOldVersions(t *testing.T, s *server, ca *authority) {
	t.Helper()
	c := ca.client("old.test")
	c.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS10
	c.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if _, err := s.do(c, "GET", "/metrics"); err == nil {
		t.Error("the server speaks TLS 1.1")
	}
}

func TestWebConfigFile(t *testing.T) {
	t.Parallel()
	const (
		user, password = "prometheus", "open sesame"
		// What bcrypt makes of the password, at its lowest cost.
		hash = "$2a$04$QlNn5Mm6pLU90z1R7cbk2e9DGAITI3OwWB.NT7wA5N7Za5qvbq0yu"
	)
	ca := newAuthority(t)
	dir := t.TempDir()
	ca.issue(t, dir, "old.test")
	file := filepath.Join(dir, "web.yml")
	config := "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  " + user + ": '" + hash + "'\n"
	replace(t, file, []byte(config))
	s := serveTLS(t, []string{"GME_WEB_CONFIG_FILE=" + file})

	status := func(name, path, user, password string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := ca.client(name).Do(request)
		if err != nil {
			t.Fatalf("%s: %v%s", path, err, s.said())
		}
		response.Body.Close()
		return response.StatusCode
	}
	tests := []struct {
		path, user, password string
		want                 int
	}{
		{"/metrics", user, password, 200},
		{"/metrics", "", "", 401},
		{"/metrics", user, "wrong", 401},
		{"/metrics", "nobody", password, 401},
		{"/", "", "", 401},
		{"/-/ready", "", "", 401},
	}
	for _, tt := range tests {
		if got := status("old.test", tt.path, tt.user, tt.password); got != tt.want {
			t.Errorf("%s for %q with %q: status %d, want %d", tt.path, tt.user, tt.password, got, tt.want)
		}
	}

	ca.issue(t, dir, "new.test")
	if got := status("new.test", "/metrics", user, password); got != 200 {
		t.Errorf("with a new certificate: status %d, want 200", got)
	}
	// The file itself is read again too.
	replace(t, file, []byte(strings.Replace(config, user+":", "somebody:", 1)))
	if got := status("new.test", "/metrics", user, password); got != 401 {
		t.Errorf("for a user who was removed: status %d, want 401", got)
	}
	if got := status("new.test", "/metrics", "somebody", password); got != 200 {
		t.Errorf("for a user who was added: status %d, want 200", got)
	}
	// A change that went wrong lets nobody in, and does not end the server.
	replace(t, file, []byte("nonsense: ["))
	if r, err := s.do(ca.client("new.test"), "GET", "/metrics"); err == nil {
		t.Errorf("with a damaged file: status %d", r.code)
	}
	replace(t, file, []byte(config))
	if got := status("new.test", "/metrics", user, password); got != 200 {
		t.Errorf("with a file that was repaired: status %d, want 200", got)
	}
}

// TestStalledHTTP2: a client that takes nothing, though its windows are wide
// open, holds a page no longer than one of HTTP/1.
func TestStalledHTTP2(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	certFile, keyFile := ca.issue(t, t.TempDir(), "localhost")
	s := start(t, "--server.cert-file="+certFile, "--server.cert-key="+keyFile, "--mmap.dir="+hugeDirectory(t), "--probes=mmap")
	s.url = "https://" + s.address
	connection := dial(t, s.address)
	if err := connection.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(connection, &tls.Config{RootCAs: ca.roots, ServerName: "localhost", NextProtos: []string{"h2"}})
	const wide = "\x7f\xff\x00\x00"
	request := "\x82\x87\x41\x09localhost\x44\x08/metrics\x00\x23x-prometheus-scrape-timeout-seconds\x011"
	fmt.Fprint(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04"+wide, // SETTINGS: the window of streams
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00"+wide,         // WINDOW_UPDATE: that of the connection
		"\x00\x00"+string(rune(len(request)))+"\x01\x05\x00\x00\x00\x01"+request)
	eventually(t, patience, func() string { return "the page is given up" + s.said() }, func() bool {
		r, err := s.do(ca.client("localhost"), "GET", "/api/v1/status/scrapes")
		return err == nil && strings.Contains(r.body, `"ok":false`)
	})
}

// TestWebConfigFileWithoutTLS: the file need not switch TLS on.
func TestWebConfigFileWithoutTLS(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yml")
	replace(t, file, fmt.Appendf(nil, "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"))
	s := start(t, "--probes=self", "--web.config.file="+file)
	r := s.get("/metrics")
	if r.code != 200 || r.header.Get("X-Frame-Options") != "deny" {
		t.Errorf("status %d, headers %v", r.code, r.header)
	}
}
