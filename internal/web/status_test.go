package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web/status"
)

// An entry is one of a metric file: a sample without suffix, or a raw key.
type entry struct {
	name   string
	labels []string // names and values in turn
	raw    string
}

// put writes a metric file.
func put(t testing.TB, dir, name string, entries ...entry) {
	t.Helper()
	image := clientmmap.AppendHeader(nil, 0)
	for _, e := range entries {
		key := []byte(e.raw)
		if e.raw == "" {
			var names []string
			var values []any
			for i := 0; i < len(e.labels); i += 2 {
				names, values = append(names, e.labels[i]), append(values, e.labels[i+1])
			}
			var err error
			if key, err = clientmmap.AppendKey(nil, e.name, e.name, names, values); err != nil {
				t.Fatal(err)
			}
		}
		image = clientmmap.AppendEntry(image, key, 1)
	}
	clientmmap.AppendHeader(image[:0], int64(len(image)))
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// usual is a directory with a bit of everything.
func usual(t *testing.T) string {
	dir := t.TempDir()
	ok, failed := entry{name: "requests_total", labels: []string{"code", "200"}}, entry{name: "requests_total", labels: []string{"code", "500"}}
	put(t, dir, "counter_puma_0-0.db", ok, failed)
	put(t, dir, "counter_puma_1-0.db", ok, entry{raw: `["broken"`})
	put(t, dir, "gauge_all_puma_0-0.db", entry{name: "threads"})
	put(t, dir, "gauge_odd_puma_1-0.db", entry{name: "threads"})
	put(t, dir, "nonsense.db")
	return dir
}

// TestStatusJSON: every endpoint's shape. What differs each time is replaced.
func TestStatusJSON(t *testing.T) {
	dir := usual(t)
	c := config(dir)
	c.Build = status.Build{Version: "1.2.3", Revision: "abc", Branch: "main", GoVersion: "go1", Platform: "linux/amd64"}
	h := NewHandler(c)
	if r := ask(h, "GET", "/metrics"); r.Code != 200 {
		t.Fatalf("status %d", r.Code)
	}
	ask(h, "GET", "/metrics?name[]=threads")
	ask(h, "GET", "/metrics?name[]=unknown") // is no scrape
	ask(h, "HEAD", "/metrics")               // nor is this
	put(t, dir, "counter_puma_2-0.db", entry{name: "requests_total", labels: []string{"code", "404"}}, entry{name: "late_total"})

	amount := func(files, bytes, samples int) string {
		return fmt.Sprintf(`"files":%d,"size_bytes":%d,"used_bytes":%d,"samples":%d`, files, bytes, bytes, samples)
	}
	for path, want := range map[string]string{
		"": `{"endpoints":["/api/v1/status/build","/api/v1/status/runtime","/api/v1/status/scrapes",` +
			`"/api/v1/status/files","/api/v1/status/damage","/api/v1/status/cardinality"]}`,
		"build":   `{"version":"1.2.3","revision":"abc","branch":"main","go_version":"go1","platform":"linux/amd64"}`,
		"runtime": `{"start_time":"T","uptime_seconds":0,"pid":0,"gomaxprocs":0,"goroutines":0,"go_memory_bytes":0}`,
		"scrapes": `{"total":2,"scrapes":[` +
			`{"time":"T","duration_seconds":0,"bytes":0,"series":4,"ok":true,"partial":false},` +
			`{"time":"T","duration_seconds":0,"bytes":0,"series":2,"ok":true,"partial":true}]}`,
		"files": `{"directories":[{"path":"DIR","labels":{},"error":"","metadata_error":"",` + amount(6, 480, 7) + `}],"damaged":2,` + amount(6, 480, 7) + `,"by_type":[` +
			`{"metric_type":"counter","mode":"","format":"client-mmap",` + amount(3, 384, 5) + `},` +
			`{"metric_type":"gauge","mode":"all","format":"client-mmap",` + amount(1, 48, 1) + `},` +
			`{"metric_type":"gauge","mode":"other","format":"client-mmap",` + amount(1, 48, 1) + `}],"by_process":[` +
			`{"process":"puma_0",` + amount(2, 200, 3) + `},` +
			`{"process":"puma_1",` + amount(2, 152, 2) + `},` +
			`{"process":"puma_2",` + amount(1, 128, 2) + `}],"by_process_more":0}`,
		"files?limit=1": `{"directories":[{"path":"DIR","labels":{},"error":"","metadata_error":"",` + amount(6, 480, 7) + `}],"damaged":2,` + amount(6, 480, 7) + `,"by_type":[` +
			`{"metric_type":"counter","mode":"","format":"client-mmap",` + amount(3, 384, 5) + `},` +
			`{"metric_type":"gauge","mode":"all","format":"client-mmap",` + amount(1, 48, 1) + `},` +
			`{"metric_type":"gauge","mode":"other","format":"client-mmap",` + amount(1, 48, 1) + `}],"by_process":[` +
			`{"process":"puma_0",` + amount(2, 200, 3) + `}],"by_process_more":2}`,
		"damage": `{"damaged":2,"skipped_samples":1,"conflicting_families":0,` +
			`"reasons":{"entry":0,"key":1,"name":1,"not_regular":0,"truncated":0,"unreadable":0},"files":[` +
			`{"name":"counter_puma_1-0.db","reason":"key","offset":84,"detail":"D","skipped_samples":1},` +
			`{"name":"nonsense.db","reason":"name","offset":null,"detail":"D","skipped_samples":0}],"files_more":0,"families":[],"families_more":0}`,
		"cardinality": `{"series":6,"samples":7,"growth":2,"at_least":false,"families":[` +
			`{"name":"requests_total","type":"counter","series":3,"samples":4,"growth":1,"labels":["code"],"labels_more":0},` +
			`{"name":"threads","type":"gauge","series":2,"samples":2,"growth":0,"labels":["pid"],"labels_more":0},` +
			`{"name":"late_total","type":"counter","series":1,"samples":1,"growth":0,"labels":[],"labels_more":0}],"families_more":0,"labels":[` +
			`{"name":"code","values":3,"series":3,"top_values":[{"value":"200","series":1},{"value":"404","series":1},{"value":"500","series":1}]},` +
			`{"name":"pid","values":2,"series":2,"top_values":[{"value":"puma_0","series":1},{"value":"puma_1","series":1}]}],"labels_more":0}`,
		"cardinality?sort=name&limit=1": `{"series":6,"samples":7,"growth":2,"at_least":false,"families":[` +
			`{"name":"late_total","type":"counter","series":1,"samples":1,"growth":0,"labels":[],"labels_more":0}],"families_more":2,"labels":[` +
			`{"name":"code","values":3,"series":3,"top_values":[{"value":"200","series":1},{"value":"404","series":1},{"value":"500","series":1}]}],"labels_more":1}`,
	} {
		r := ask(h, "GET", status.Path+path)
		if r.Code != 200 || r.Header().Get("Content-Type") != "application/json" || r.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %v", path, r.Code, r.Header())
		}
		if got := settled(r.Body.String(), dir); got != want {
			t.Errorf("%s:\n%s", path, cmp.Diff(want, got))
		}
	}
}

var (
	moments = regexp.MustCompile(`"(time|start_time)":"20[0-9T:.-]+Z"`)
	numbers = regexp.MustCompile(`"(duration_seconds|bytes|uptime_seconds|pid|gomaxprocs|goroutines|go_memory_bytes)":[0-9.e-]+`)
	details = regexp.MustCompile(`"detail":"[^"]+"`)
)

// settled replaces what differs from run to run, if it is of the right kind.
func settled(text, dir string) string {
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), dir, "DIR")
	text = moments.ReplaceAllString(text, `"$1":"T"`)
	text = numbers.ReplaceAllString(text, `"$1":0`)
	return details.ReplaceAllString(text, `"detail":"D"`)
}

// TestStatusConflicts: the page and the JSON name the metrics that files disagree about.
func TestStatusConflicts(t *testing.T) {
	dir := t.TempDir()
	both := []entry{{name: "a_total"}, {name: "b_total"}, {name: "<i>"}}
	put(t, dir, "counter_puma_0-0.db", both...)
	put(t, dir, "gauge_max_puma_0-0.db", both...)
	h := NewHandler(config(dir))
	if got, want := ask(h, "GET", status.Path+"damage?limit=2").Body.String(), `"families":["_i_","a_total"],"families_more":1}`; !strings.Contains(got, want) {
		t.Errorf("%s\nlacks %s", got, want)
	}
	got := ask(h, "GET", "/?limit=2").Body.String()
	for _, want := range []string{"3 families that files disagree about:", "<bdi>_<wbr>i_<wbr></bdi>, <bdi>a_<wbr>total</bdi> and 1 more."} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestStatusErrors: they are JSON, too.
func TestStatusErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	h := NewHandler(config(missing))
	none := NewHandler(config(""))
	tests := []struct {
		handler      *Handler
		method, path string
		code         int
		body         string
	}{
		{h, "GET", "files", 503, `{"error":"open ` + missing + `: no such file or directory"}`},
		{h, "GET", "damage", 503, `no such file`},
		{h, "GET", "cardinality", 503, `no such file`},
		{none, "GET", "cardinality", 503, `{"error":"no metrics directory is configured"}`},
		{h, "GET", "build", 200, `"1.2.3"`},
		{h, "GET", "scrapes", 200, `{"total":0,"scrapes":[]}`},
		{h, "HEAD", "cardinality", 200, ""},
		{h, "HEAD", "build", 200, ""},
		{h, "GET", "unknown", 404, `{"error":"there is /api/v1/status/build, `},
		{h, "GET", "build/x", 404, `{"error":`},
		{h, "POST", "build", 405, `{"error":"methods are GET and HEAD"}`},
		{h, "DELETE", "cardinality", 405, `{"error":`},
		{h, "PUT", "", 405, `{"error":`},
		{h, "GET", "cardinality?limit=0", 400, `{"error":"limit is \"0\": must be a number from 1 to 1000"}`},
		{h, "GET", "cardinality?limit=1001", 400, `must be a number`},
		{h, "GET", "files?limit=x", 400, `must be a number`},
		{h, "GET", "files?limit=5;sort=name", 400, `{"error":"invalid semicolon separator in query"}`},
		{h, "GET", "cardinality?sort=%ff%22", 400, "{\"error\":\"sort is \\\"\uFFFD\\\\\\\"\\\": must be one of series, samples, name\"}"},
	}
	for _, tt := range tests {
		r := ask(tt.handler, tt.method, status.Path+tt.path)
		if r.Code != tt.code || !contains(r.Body.String(), tt.body) {
			t.Errorf("%s %s: status %d, want %d; %s is not in %s", tt.method, tt.path, r.Code, tt.code, tt.body, r.Body)
		}
		if r.Header().Get("Content-Type") != "application/json" || (r.Header().Get("Allow") == "GET, HEAD") != (tt.code == 405) {
			t.Errorf("%s %s: %v", tt.method, tt.path, r.Header())
		}
	}
}

// TestFailedScrapes: a scrape that fails is remembered as such, and one that
// is cut off.
func TestFailedScrapes(t *testing.T) {
	h := NewHandler(config(filepath.Join(t.TempDir(), "missing")))
	ask(h, "GET", "/metrics")
	if got := ask(h, "GET", "/api/v1/status/scrapes").Body.String(); !contains(got, `"series":0,"ok":false,"partial":false`) {
		t.Errorf("without a directory: %s", got)
	}
	h = NewHandler(config(usual(t)))
	askDeaf(t, h)
	if got := ask(h, "GET", "/api/v1/status/scrapes").Body.String(); !contains(got, `"bytes":0,"series":4,"ok":false,`) {
		t.Errorf("not sent: %s", got)
	}
}

// deaf is a client that takes nothing.
type deaf struct{}

func (deaf) Header() http.Header       { return http.Header{} }
func (deaf) WriteHeader(int)           {}
func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// askDeaf asks for the page and does not take it: it has to be cut off. The header is as
// for ask.
func askDeaf(t *testing.T, h http.Handler, header ...string) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("a page that cannot be sent is not cut off")
		}
	}()
	h.ServeHTTP(deaf{}, asking("GET", "/metrics", header...))
}

// TestStatusIsLimited: what costs a scrape counts as one, the rest does not.
func TestStatusIsLimited(t *testing.T) {
	c := config("")
	c.MaxRequests = 1
	started, release := make(chan struct{}), make(chan struct{})
	c.Survey = func(context.Context) (*collect.Snapshot, error) {
		started <- struct{}{}
		<-release
		return nil, errors.New("never mind")
	}
	h := NewHandler(c)
	for _, path := range []string{"/", "/api/v1/status/cardinality", "/api/v1/status/files", "/api/v1/status/damage"} {
		done := make(chan int)
		go func() { done <- ask(h, "GET", path).Code }()
		<-started
		for other, want := range map[string]int{
			"/": 503, "/metrics": 503, "/api/v1/status/cardinality": 503, "/api/v1/status/build": 200, "/api/v1/status/scrapes": 200, "/-/healthy": 200,
		} {
			if r := ask(h, "GET", other); r.Code != want {
				t.Errorf("%s beside %s: status %d, want %d", other, path, r.Code, want)
			} else if strings.HasPrefix(other, status.Path) && !json.Valid(r.Body.Bytes()) {
				t.Errorf("%s beside %s is not JSON: %s", other, path, r.Body)
			}
		}
		release <- struct{}{}
		<-done
	}
}

// TestStatusPage: what is on it, for people.
func TestStatusPage(t *testing.T) {
	c := config(usual(t))
	c.Pprof = true
	h := NewHandler(c)
	ask(h, "GET", "/metrics")
	r := ask(h, "GET", "/")
	page := r.Body.String()
	if r.Code != 200 || r.Header().Get("Content-Type") != "text/html; charset=utf-8" || r.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %v", r.Code, r.Header())
	}
	for _, want := range []string{
		`href="/metrics"`, `href="/-/healthy"`, `href="/-/ready"`, `href="/debug/pprof/"`, `href="/api/v1/status/cardinality"`,
		"requests_<wbr>total", "counter_<wbr>puma_<wbr>1-0.db", "offset 84", "2 damaged files", "puma_1", "1 scrape,", "1.2.3", c.Directories[0],
	} {
		if !contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	if first, second := strings.Index(page, "requests_"), strings.Index(page, "threads"); first > second {
		t.Error("the family with the most series is not the first")
	}
	page = ask(h, "GET", "/?sort=name&limit=1").Body.String()
	if !contains(page, `and 1 more: <a href="/?sort=name&amp;limit=5#families">show 5</a>`) || contains(page, "<bdi>threads") {
		t.Errorf("by name, 1:\n%s", page)
	}
	for path, want := range map[string]int{"/?sort=x": 400, "/?limit=-1": 400, "/?limit=1000": 200} {
		if r := ask(h, "GET", path); r.Code != want {
			t.Errorf("%s: status %d, want %d", path, r.Code, want)
		}
	}
	if r := ask(h, "HEAD", "/"); r.Code != 200 || r.Body.Len() > 0 {
		t.Errorf("HEAD: status %d, %q", r.Code, r.Body)
	}
}

// TestStatusPageOfNothing: it says so.
func TestStatusPageOfNothing(t *testing.T) {
	for dir, want := range map[string][]string{
		t.TempDir():                           {"No metrics yet.", "No labels yet.", "No metric files yet.", "Nobody has scraped yet."},
		filepath.Join(t.TempDir(), "missing"): {"The directory cannot be read.", "no such file or directory", "Nobody has scraped yet."},
		"":                                    {"no metrics directory is configured", "none"},
	} {
		r := ask(NewHandler(config(dir)), "GET", "/")
		for _, part := range want {
			if r.Code != 200 || !contains(r.Body.String(), part) {
				t.Errorf("%q: status %d, %q is not in\n%s", dir, r.Code, part, r.Body)
			}
		}
	}
}

// evil is what no page may believe.
var evil = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onclick='x`, `</style><style>*{display:none}`, `</title></svg>`,
	`{{.Build}}`, "a\nb\tc\x00\x1b[31m", "\u202eright to left", "\u2066isolated", "שלום", "", "&lt;&amp;", "]]>", "-->",
	strings.Repeat("x", 5000), strings.Repeat("é", 300), strings.Repeat("a_", 200), strings.Repeat("\u0301", 500),
}

// hostile is a directory where everything that a file can say is evil.
func hostile(t *testing.T) string {
	dir := t.TempDir()
	var entries []entry
	for _, text := range evil {
		entries = append(entries, entry{name: "evil_total", labels: []string{"value", text}})
		if text != "" {
			entries = append(entries, entry{name: text, labels: []string{text, text}})
		}
	}
	put(t, dir, "counter_puma_0-0.db", entries...)
	for _, name := range []string{
		"gauge_all_<script>alert(2)<-0.db", "gauge_all_\"'><b>-0.db", "gauge_all_" + strings.Repeat("y", 200) + "-0.db", "gauge_all_\u202e-0.db",
		"<script>.db", "\xff\xfe<b>\n.db", "counter_\xff-0.db",
	} {
		put(t, dir, name, entry{name: "threads"}, entry{raw: "\xff<script>"})
	}
	return dir
}

// TestHostileFiles: they can break neither the page nor the JSON.
func TestHostileFiles(t *testing.T) {
	h := NewHandler(config(hostile(t)))
	page := ask(h, "GET", "/?limit=1000").Body.String()
	if !utf8.ValidString(page) {
		t.Error("the page is not UTF-8")
	}
	for _, never := range []string{"<script", "<img", "'><b>", "onerror=alert(1)>", "\u202e", "\u2066", "\x00", "\x1b", strings.Repeat("x", 101)} {
		if contains(page, never) {
			t.Errorf("%q is on the page", never)
		}
	}
	if strings.Count(page, "<style>") != 1 || strings.Count(page, "</style>") != 1 || strings.Count(page, "<title>") != 1 {
		t.Error("there is an element too many")
	}
	if !contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") || !contains(page, `\u202eright to left`) || !contains(page, "{{.Build}}") {
		t.Errorf("what was made harmless is not there:\n%s", page)
	}
	if len(page) > 200_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, name := range []string{"files", "damage", "cardinality"} {
		text := ask(h, "GET", status.Path+name+"?limit=1000").Body.Bytes()
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Errorf("%s is not JSON: %q", name, text)
		}
	}
}

// TestCompressedNotSent: a small page goes out at the end, and fails there.
func TestCompressedNotSent(t *testing.T) {
	h := NewHandler(config(usual(t)))
	askDeaf(t, h, "Accept-Encoding", "gzip")
	if got := ask(h, "GET", "/api/v1/status/scrapes").Body.String(); !contains(got, `"ok":false,`) {
		t.Error(got)
	}
}

// TestStatusOfLongPath: the end of a path, and of what is wrong with it, is not cut off.
func TestStatusOfLongPath(t *testing.T) {
	dirs := []string{filepath.Join(t.TempDir(), strings.Repeat("x", 90), "first"), filepath.Join(t.TempDir(), strings.Repeat("x", 90), "second")}
	if b := ask(NewHandler(config(dirs[0])), "GET", "/").Body.String(); !contains(b, "no such file or directory") {
		t.Error("the page does not say why")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(dirs[0], 0o700))
	must(os.MkdirAll(dirs[1], 0o700))
	must(os.WriteFile(filepath.Join(dirs[1], "counter_1-0.db"), []byte("this is no metric file"), 0o600))
	engine := collect.Config{Dirs: []collect.Directory{{Path: dirs[0]}, {Path: dirs[1]}}}.Engine()
	probes := probe.New([]string{probe.Mmap}, engine, quiet)
	c := config("")
	c.Scrape, c.Survey = probes.ScrapeOnly, probes.Survey
	h := NewHandler(c)
	got := ask(h, "GET", "/api/v1/status/files").Body.String() + ask(h, "GET", "/api/v1/status/damage").Body.String()
	for _, want := range []string{`"` + dirs[0] + `"`, `"` + dirs[1] + `"`, "second/counter_1-0.db"} {
		if !contains(got, want) {
			t.Errorf("there is no %s in %s", want, got)
		}
	}
}

// TestStatusOfUnreadableMetadata: what is wrong with them is told, as JSON and on the page.
func TestStatusOfUnreadableMetadata(t *testing.T) {
	dir := usual(t)
	for name, text := range map[string]string{"metric_threads___1.bin": "", "metrics.metadata.json": `{"version":2}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := NewHandler(config(dir))
	for _, path := range []string{"/", "/api/v1/status/files"} {
		if b := ask(h, "GET", path).Body.String(); !contains(b, "metrics.metadata.json: version is 2") {
			t.Errorf("%s: %s", path, b)
		}
	}
}
