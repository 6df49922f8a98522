package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/web/status"
)

// odd is a directory with families of all types, and with a name that is not
// classic.
func odd(t testing.TB) string {
	dir := t.TempDir()
	put(t, dir, "counter_1-0.db", entry{name: "c_total", labels: []string{"l", "a"}}, entry{name: "c_total", labels: []string{"l", "b"}}, entry{name: "odd.name"})
	put(t, dir, "gauge_all_1-0.db", entry{name: "g"})
	put(t, dir, "histogram_1-0.db", entry{raw: `["h","h_bucket",["le"],["1"]]`}, entry{raw: `["h","h_bucket",["le"],["+Inf"]]`},
		entry{raw: `["h","h_sum",[],[]]`}, entry{raw: `["h","h_count",[],[]]`})
	put(t, dir, "nonsense.db")
	return dir
}

// FuzzQuery checks that any query gets what it asks for, or is told that it cannot.
func FuzzQuery(f *testing.F) {
	for path := range fuzzPaths {
		for _, query := range []string{
			"", "name[]=c_total", "name%5B%5D=h_bucket&name[]=g", "name[]=h&name[]=h_sum", "name[]=odd.name", "name[]=odd_name", "name[]=odd.name&name[]=odd_name",
			"name[]=", "name[]=%ff", "name[]=nonsense&name[]=g", "name=g", "probe[]=mmap&collect[]=mmap&name[]=g", "probe[]=self", "collect[]=", "probe[]=mmap,self",
			"limit=1", "limit=1000", "limit=1001", "limit=0", "limit=-1", "limit=%2B1", "limit=99999999999999999999", "limit=1&limit=x", "sort=name", "sort=series&limit=2",
			"sort=Name", "sort=samples", "sort=%00", "%", "a;b", "&&=&", "name[]=%zz&name[]=g", "limit=%31", "limit=\u0661",
		} {
			f.Add(uint8(path), query)
		}
	}
	h := NewHandler(config(odd(f)))
	whole := timeless(ask(h, "GET", "/metrics").Body.String())
	known := append(samples(whole), "h", "odd.name")
	f.Fuzz(func(t *testing.T, number uint8, query string) {
		path := fuzzPaths[int(number)%len(fuzzPaths)]
		u := &url.URL{Path: path, RawQuery: query}
		r := serve(h, u, http.Header{})
		body, q := timeless(r.Body.String()), u.Query()
		_, broken := url.ParseQuery(query)
		if path == "/metrics" {
			names, probes := q["name[]"], append(q["probe[]"], q["collect[]"]...)
			wrong := broken != nil || slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(known, name) }) ||
				slices.ContainsFunc(probes, func(name string) bool { return name != "mmap" })
			if want := map[bool]int{false: http.StatusOK, true: http.StatusBadRequest}[wrong]; r.Code != want {
				t.Fatalf("%s: status %d, want %d: %s", u, r.Code, want, body)
			}
			if !wrong && part(whole, names) != body {
				t.Fatalf("%s: the page is\n%s", u, body)
			}
			return
		}
		limit, err := strconv.Atoi(q.Get("limit"))
		wrong := broken != nil || q.Get("limit") != "" && (err != nil || limit < 1 || limit > 1000) ||
			q.Get("sort") != "" && !slices.Contains([]string{"series", "samples", "name"}, q.Get("sort"))
		if want := map[bool]int{false: http.StatusOK, true: http.StatusBadRequest}[wrong && lists(path)]; r.Code != want {
			t.Fatalf("%s: status %d, want %d: %s", u, r.Code, want, body)
		}
		if path != "/" && !json.Valid(r.Body.Bytes()) {
			t.Fatalf("%s: no JSON: %s", u, body)
		}
		if !wrong && err == nil && path == status.Path+"cardinality" && strings.Count(body, `"growth"`) > 1+limit {
			t.Fatalf("%s: more than %d families: %s", u, limit, body)
		}
	})
}

var fuzzPaths = []string{
	"/metrics", "/", status.Path, status.Path + "build", status.Path + "scrapes", status.Path + "files", status.Path + "damage", status.Path + "cardinality",
}

// timeless returns a page without the time that it took.
func timeless(page string) string {
	const name = `gme_probe_duration_seconds{probe="mmap"} `
	before, rest, found := strings.Cut(page, name)
	if !found {
		return page
	}
	_, behind, _ := strings.Cut(rest, "\n")
	return before + name + "0\n" + behind
}

// lists reports whether there are lists at a path, whose length a query can say.
func lists(path string) bool {
	return path == "/" || slices.Contains([]string{"files", "damage", "cardinality"}, strings.TrimPrefix(path, status.Path))
}

// part returns what of a page is of the families or samples that are named; no name
// means all.
func part(page string, names []string) string {
	wanted := func(name string) bool {
		return slices.Contains(names, name) || name == "odd_name" && slices.Contains(names, "odd.name")
	}
	var all, family strings.Builder
	var head, name string
	end := func() {
		if family.Len() > 0 {
			all.WriteString(head + family.String())
		}
		head, name = "", ""
		family.Reset()
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "# HELP ") {
			end()
			name = strings.Fields(line)[2]
		}
		switch sample := line[:strings.IndexAny(line, "{ ")]; {
		case sample == "#":
			head += line
		case len(names) == 0 || wanted(name) || wanted(sample):
			family.WriteString(line)
		}
	}
	end()
	return all.String()
}

// serve has a handler answer a request that need not be one which can be written
// down.
func serve(h http.Handler, u *url.URL, header http.Header) *httptest.ResponseRecorder {
	request := &http.Request{Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Host: "localhost"}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request.WithContext(context.Background()))
	return recorder
}

// FuzzHeaders checks that whatever a client says it likes, it gets a page that is
// what its headers say, and the same that others get; or is told that there is none
// for it.
func FuzzHeaders(f *testing.F) {
	accepts := []string{
		"", "*/*", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.4",
		"application/openmetrics-text", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=values",
		"text/plain;escaping=dots", "text/plain;escaping=", ";;,q=;", "\x00\xff", "text/plain;q=NaN",
	}
	encodings := []string{
		"", "gzip", "x-gzip;q=0.5", "zstd", "gzip, zstd;q=0.9", "gzip;q=0.5, zstd;q=0.9", "identity;q=0", "*;q=0", "*", "identity;q=0, *;q=0", "gzip;q=0,*;q=0.1",
		"identity, gzip;q=0.1", "gzip;q=1e-320, identity;q=0", "GZIP;Q=0x1p-1", "gzip;q=Inf", "gzip;q=NaN", "gzip;q=-0", ",;,=;q", "gzip;q=1;x=y", "deflate,\xff",
	}
	for i := range max(len(accepts), len(encodings)) {
		f.Add(accepts[i%len(accepts)], encodings[i%len(encodings)], strconv.Itoa(i), true)
		f.Add(accepts[i*3%len(accepts)], encodings[i%len(encodings)], []string{"", "1e-30", "NaN", "Inf", "-1", "1e300", "x"}[i%7], false)
	}
	dir := odd(f)
	handlers := map[bool]http.Handler{}
	for _, on := range []bool{false, true} {
		c := config(dir)
		c.OpenMetrics = on
		handlers[on] = NewHandler(c)
	}
	var mu sync.Mutex
	pages := map[string]string{} // by Content-Type
	f.Fuzz(func(t *testing.T, accept, encoding, timeout string, on bool) {
		u := &url.URL{Path: "/metrics", RawQuery: "name[]=c_total&name[]=g&name[]=h&name[]=odd.name"}
		r := serve(handlers[on], u, http.Header{
			"Accept": {accept}, "Accept-Encoding": {encoding}, "X-Prometheus-Scrape-Timeout-Seconds": {timeout},
		})
		if r.Code == http.StatusNotAcceptable && named(encoding, "identity", "*") {
			return
		}
		if seconds, err := strconv.ParseFloat(timeout, 64); err == nil && seconds > 0 && seconds < 10 {
			return // it may not be done by then
		}
		if r.Code != http.StatusOK {
			t.Fatalf("status %d: %s", r.Code, r.Body)
		}
		coding := r.Header().Get("Content-Encoding")
		if coding != "" && !named(encoding, coding, "*", "x-"+coding) {
			t.Fatalf("coding %s for a client that says %q", coding, encoding)
		}
		page, err := decoded(r.Body.Bytes(), coding)
		if err != nil {
			t.Fatalf("coding %s: %v", coding, err)
		}
		contentType := r.Header().Get("Content-Type")
		if strings.HasPrefix(contentType, "application/openmetrics-text") && !on {
			t.Fatalf("a page of type %s, which is off", contentType)
		}
		mu.Lock()
		defer mu.Unlock()
		before, known := pages[contentType]
		if !known {
			pages[contentType] = page
			if n, err := families(contentType, page); err != nil || n != 4 {
				t.Fatalf("%d families: %v in a page of type %s:\n%s", n, err, contentType, page)
			}
		} else if page != before {
			t.Fatalf("two pages of type %s:\n%s\n%s", contentType, before, page)
		}
	})
}

// named reports whether a header with a list names one of names.
func named(header string, names ...string) bool {
	for element := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(element, ";")
		if slices.Contains(names, strings.ToLower(strings.TrimSpace(name))) {
			return true
		}
	}
	return false
}

// decoded returns the text that a body is the coding of.
func decoded(body []byte, coding string) (string, error) {
	var from io.Reader = bytes.NewReader(body)
	switch coding {
	case "":
	case "gzip":
		z, err := gzip.NewReader(from)
		if err != nil {
			return "", err
		}
		from = z
	case "zstd":
		z, err := zstd.NewReader(from)
		if err != nil {
			return "", err
		}
		defer z.Close()
		from = z
	default:
		return "", errors.New("nobody knows it")
	}
	text, err := io.ReadAll(from)
	return string(text), err
}

// families returns how many a page has, of any type.
func families(contentType, page string) (n int, err error) {
	if strings.HasPrefix(contentType, "application/openmetrics-text") {
		if !strings.HasSuffix(page, "\n# EOF\n") {
			return 0, errors.New("a page without an end")
		}
		return strings.Count(page, "# TYPE "), nil
	}
	if strings.HasPrefix(contentType, "text/plain") {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		all, err := parser.TextToMetricFamilies(strings.NewReader(page))
		return len(all), err
	}
	d := expfmt.NewDecoder(strings.NewReader(page), expfmt.ResponseFormat(http.Header{"Content-Type": {contentType}}))
	for {
		var family dto.MetricFamily
		if err := d.Decode(&family); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if !model.UTF8Validation.IsValidMetricName(family.GetName()) {
			return n, errors.New("a name that is none")
		}
		n++
	}
}
