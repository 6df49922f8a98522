package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestNegotiate(t *testing.T) {
	const refused = "refused"
	tests := []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{","}, ""},
		{[]string{"identity"}, ""},
		{[]string{"deflate, br"}, ""},
		{[]string{"gzip"}, "gzip"},
		{[]string{"gzip;q=0, gzip"}, ""},
		{[]string{"x-gzip"}, "gzip"},
		{[]string{"zstd"}, "zstd"},
		{[]string{" GZip "}, "gzip"},
		{[]string{"ZSTD"}, "zstd"},
		{[]string{"gzip, deflate"}, "gzip"},
		{[]string{"deflate,gzip"}, "gzip"},
		{[]string{"deflate", "gzip"}, "gzip"},
		{[]string{"xgzip"}, ""},
		{[]string{"gzip2"}, ""},
		{[]string{"x-zstd"}, ""},

		{[]string{"gzip;q=1"}, "gzip"},
		{[]string{"gzip;q=1.000"}, "gzip"},
		{[]string{"gzip;q=0.001"}, "gzip"},
		{[]string{"gzip ; q = 0.5"}, "gzip"},
		{[]string{"gzip;Q=0.5"}, "gzip"},
		{[]string{"gzip;q=7"}, "gzip"},
		{[]string{"gzip;"}, "gzip"},
		{[]string{"gzip;q=0"}, ""},
		{[]string{"gzip;q=0.0"}, ""},
		{[]string{"gzip;q=0.000, identity"}, ""},
		{[]string{"gzip;q="}, ""},
		{[]string{"gzip;q"}, ""},
		{[]string{"gzip;q=x"}, ""},
		{[]string{"gzip;q=-1"}, ""},
		{[]string{"gzip;q=NaN"}, ""},
		{[]string{"gzip;v=1"}, ""},

		// The client's order, and ours where it has none.
		{[]string{"zstd, gzip"}, "gzip"},
		{[]string{"gzip, zstd"}, "gzip"},
		{[]string{"gzip, deflate, br, zstd"}, "gzip"}, // as browsers say
		{[]string{"zstd;q=0.5, gzip;q=0.5"}, "gzip"},
		{[]string{"gzip;q=0.9, zstd"}, "zstd"},
		{[]string{"gzip;q=0.2, zstd;q=0.3"}, "zstd"},
		{[]string{"zstd;q=0.2, gzip;q=0.3"}, "gzip"},
		{[]string{"gzip;q=7, zstd;q=8"}, "gzip"},
		{[]string{"gzip;q=0, zstd"}, "zstd"},
		{[]string{"gzip;q=0.5", "zstd;q=0.7"}, "zstd"},
		{[]string{"gzip;q=0.5, gzip"}, "gzip"},

		{[]string{"*"}, "gzip"},
		{[]string{"*;q=0.1"}, "gzip"},
		{[]string{"*;q=0"}, ""},
		{[]string{"br, *"}, "gzip"},
		// What is named is not part of the rest.
		{[]string{"gzip;q=0, *"}, "zstd"},
		{[]string{"*, gzip;q=0"}, "zstd"},
		{[]string{"gzip;q=0.3, *"}, "zstd"},
		{[]string{"gzip;q=0, zstd;q=0, *"}, ""},
		{[]string{"gzip, *;q=0"}, "gzip"},
		{[]string{"*;q=0, gzip"}, "gzip"},
		{[]string{"*;q=0", "zstd"}, "zstd"},

		// No coding is one of the choices.
		{[]string{"identity, gzip"}, "gzip"},
		{[]string{"identity, gzip;q=0.5"}, ""},
		{[]string{"identity;q=0.5, gzip;q=0.6"}, "gzip"},
		{[]string{"identity;q=0.5, *;q=0.1"}, ""},
		{[]string{"identity, *;q=0"}, ""},
		{[]string{"identity;q=0, gzip;q=0.1"}, "gzip"},
		{[]string{"identity;q=0, *"}, "gzip"},
		{[]string{"identity;q=0"}, refused},
		{[]string{"identity;q=0, *;q=0"}, refused},
		{[]string{"identity;q=0, br"}, refused},
		{[]string{"identity;q=0, gzip;q=0, br"}, refused},
	}
	for _, tt := range tests {
		c, ok := negotiate(tt.headers)
		got := ""
		if c != nil {
			got = c.name
		}
		if !ok {
			got += refused
		}
		if got != tt.want {
			t.Errorf("negotiate(%q) = %q, want %q", tt.headers, got, tt.want)
		}
	}
}

// unpack unpacks a body, as a client without mercy: there is one gzip member,
// and nothing behind the end.
func unpack(t *testing.T, name string, body io.Reader) []byte {
	t.Helper()
	var err error
	switch name {
	case "gzip":
		z, e := gzip.NewReader(body)
		if e != nil {
			t.Fatal(e)
		}
		z.Multistream(false)
		text, e := io.ReadAll(z)
		left, _ := io.ReadAll(body)
		if e != nil || len(left) > 0 {
			t.Fatalf("%v, %d bytes behind the end", e, len(left))
		}
		return text
	case "zstd":
		z, e := zstd.NewReader(body)
		if e != nil {
			t.Fatal(e)
		}
		defer z.Close()
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// text returns n bytes like those of a page, if even is true, or of noise.
func text(n int, even bool) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var text []byte
	for i := 0; len(text) < n; i++ {
		if even {
			text = fmt.Appendf(text, "http_requests_total{controller=\"users\",action=\"%d\"} %d\n", i%1000, random.IntN(1e6))
		} else {
			text = append(text, byte(random.Uint32()))
		}
	}
	return text[:n]
}

// TestCodings: what is packed is what is unpacked, whatever the size and the
// pieces, by several at once with one press.
func TestCodings(t *testing.T) {
	t.Parallel()
	p := newPress()
	var wait sync.WaitGroup
	for _, c := range append(codings, nil) {
		name := identity
		if c != nil {
			name = c.name
		}
		for _, size := range []int{0, 1, 4096, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 5*blockSize + 17} {
			for _, even := range []bool{true, false} {
				for _, piece := range []int{64<<10 + 100, 3 * blockSize} {
					wait.Go(func() {
						want := text(size, even)
						var packed bytes.Buffer
						w := p.writer(&packed, c)
						for part := range slices.Chunk(want, piece) {
							if n, err := w.Write(part); n != len(part) || err != nil {
								t.Errorf("%s: %d, %v", name, n, err)
							}
						}
						if err := w.Close(); err != nil {
							t.Errorf("%s: %v", name, err)
						}
						if c != nil && packed.Len() == 0 {
							t.Errorf("%s: nothing at all, which readers take for cut off", name)
						}
						if got := unpack(t, name, &packed); !bytes.Equal(got, want) {
							t.Errorf("%s: %d bytes, want %d, or they are others", name, len(got), size)
						}
					})
				}
			}
		}
	}
	wait.Wait()
	if len(p.tokens) != 0 {
		t.Errorf("%d tokens are not given back", len(p.tokens))
	}
}

// A failing writer takes so many bytes.
type failing struct{ left int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestCodingFails: a client that goes away ends the page, and costs nobody a
// token.
func TestCodingFails(t *testing.T) {
	t.Parallel()
	p := newPress()
	noise := text(blockSize/2, false)
	for _, c := range codings {
		for _, takes := range []int{0, 5, 100, 2 * blockSize} {
			w := p.writer(&failing{takes}, c)
			var err error
			pieces := 0
			for ; pieces < 100 && err == nil; pieces++ {
				_, err = w.Write(noise)
			}
			if !errors.Is(err, errFull) || pieces > 20 {
				t.Errorf("%s: after %d pieces the error is %v", c.name, pieces, err)
			}
			if err := w.Close(); !errors.Is(err, errFull) {
				t.Errorf("%s: at the end the error is %v", c.name, err)
			}
		}
	}
	if len(p.tokens) != 0 {
		t.Errorf("%d tokens are not given back", len(p.tokens))
	}
}

// A stuck writer takes nothing, until it is let go.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

// TestSlowClientsHoldNoToken: pages of clients that do not read keep nobody
// from being compressed.
func TestSlowClientsHoldNoToken(t *testing.T) {
	t.Parallel()
	p := newPress()
	release := make(stuck)
	var wait sync.WaitGroup
	piece := text(blockSize/2, true)
	page := func(to io.Writer) {
		w := p.writer(to, gzipCoding)
		for range 10 {
			_, _ = w.Write(piece)
		}
		_ = w.Close()
	}
	for range 20 {
		wait.Go(func() { page(release) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5 {
			page(io.Discard)
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("a page waits for clients of others")
	}
	close(release)
	wait.Wait()
}

// TestCodingOfPage: what is announced is what is sent.
func TestCodingOfPage(t *testing.T) {
	h := NewHandler(config(t.TempDir()))
	for accept, want := range map[string]string{"": "", "gzip": "gzip", "zstd": "zstd", "gzip;q=0.5, zstd": "zstd", "identity": ""} {
		for _, method := range []string{"GET", "HEAD"} {
			r := ask(h, method, "/metrics", "Accept-Encoding", accept)
			if got := r.Header().Get("Content-Encoding"); r.Code != 200 || got != want {
				t.Errorf("%s, %q: status %d, Content-Encoding %q, want %q", method, accept, r.Code, got, want)
			}
			if !strings.Contains(r.Header().Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s, %q: Vary is %q", method, accept, r.Header().Get("Vary"))
			}
			if method == "GET" {
				if body := unpack(t, want, r.Body); !contains(string(body), `gme_probe_success{probe="mmap"} 1`) {
					t.Errorf("%q: %s", accept, body)
				}
			}
		}
	}
	r := ask(h, "GET", "/metrics", "Accept-Encoding", "br, identity;q=0")
	if r.Code != http.StatusNotAcceptable || !contains(r.Body.String(), "gzip, zstd") {
		t.Errorf("for a client that refuses all we have: status %d, %s", r.Code, r.Body)
	}
}
