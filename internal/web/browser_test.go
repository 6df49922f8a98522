package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// served serves a handler, and returns where.
func served(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// browse opens a page in Chromium, which script/setup installs, and returns its
// elements and what the browser has to complain about.
func browse(t *testing.T, url string, flags ...string) (dom string, complaints []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--user-data-dir=" + t.TempDir(), "--enable-logging=stderr", "--dump-dom",
	}, append(flags, url)...)...)
	cmd.WaitDelay = patience // its helpers may keep the pipes open
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, &errs)
	}
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") || strings.Contains(line, "Content Security Policy") {
			complaints = append(complaints, line)
		}
	}
	return out.String(), complaints
}

// TestBrowserComplains: the tests below would notice.
func TestBrowserComplains(t *testing.T) {
	t.Parallel()
	_, complaints := browse(t, served(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		secure(w.Header())
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<p onclick="x()">text</p><script>alert(1)</script>`)
	})))
	if len(complaints) == 0 {
		t.Error("the browser does not complain about a script")
	}
}

// TestStatusInBrowser: a browser shows what is there, and has no complaints:
// the page does nothing that its own policy forbids.
func TestStatusInBrowser(t *testing.T) {
	t.Parallel()
	h := NewHandler(config(usual(t)))
	ask(h, "GET", "/metrics")
	dom, complaints := browse(t, served(t, h)+"/", "--window-size=1280,900")
	for _, want := range []string{
		"<h1>gitlab-metrics-exporter</h1>", "requests_<wbr>total", "<rect ", "2 damaged files", "puma_1", `href="/metrics"`, "1.2.3",
	} {
		if !contains(dom, want) {
			t.Errorf("%q is not in\n%s", want, dom)
		}
	}
	if len(complaints) > 0 {
		t.Errorf("complaints: %q", complaints)
	}
}

// TestHostileFilesInBrowser: what stands in files is text to a browser,
// nothing else.
func TestHostileFilesInBrowser(t *testing.T) {
	t.Parallel()
	h := NewHandler(config(hostile(t)))
	ask(h, "GET", "/metrics")
	dom, complaints := browse(t, served(t, h)+"/?limit=1000")
	if len(complaints) > 0 {
		t.Errorf("complaints: %q", complaints)
	}
	if !contains(dom, "&lt;script&gt;alert(1)&lt;/script&gt;") || !contains(dom, `id="server"`) {
		t.Errorf("something is missing:\n%s", dom)
	}
	known := strings.Fields("html head meta title link style body header h1 p nav a main strong section div b span em h2 figure " +
		"svg path rect figcaption table thead tbody tfoot tr th td bdi wbr small i q code dl dt dd footer")
	for _, element := range regexp.MustCompile(`<([a-z][a-z0-9]*)[\s>]`).FindAllStringSubmatch(dom, -1) {
		found := false
		for _, name := range known {
			found = found || element[1] == name
		}
		if !found {
			t.Errorf("there is an element %s", element[1])
		}
	}
}

// TestStatusFitsPhone: nobody has to scroll sideways, however long names are.
func TestStatusFitsPhone(t *testing.T) {
	t.Parallel()
	h := NewHandler(config(hostile(t)))
	for range 130 {
		ask(h, "GET", "/metrics")
	}
	page := ask(h, "GET", "/").Body.Bytes()
	// A page around it, without a policy, measures.
	url := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/inner" {
			_, _ = w.Write(page)
			return
		}
		fmt.Fprint(w, `<iframe src="/inner" style="width:360px;height:800px;border:0" onload="`+
			`let d = this.contentDocument.documentElement; document.title = 'width ' + d.clientWidth + ' of ' + d.scrollWidth"></iframe>`)
	}))
	dom, _ := browse(t, url, "--window-size=500,900", "--hide-scrollbars")
	if !contains(dom, "width 360 of 360") {
		t.Errorf("it does not fit: %s", regexp.MustCompile(`width \d+ of \d+`).FindString(dom))
	}
}
