package web

import (
	"net/http"
	"strings"
	"testing"

	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
)

// TestFormats: a client gets the format that it likes best, if it is there.
func TestFormats(t *testing.T) {
	const (
		likesOpenMetrics = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
		likesProtobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.9,text/plain;q=0.5"
	)
	dir := t.TempDir()
	if err := fleet.Generate(dir, fleet.Plan{Processes: 2, Entries: 200}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		on           bool
		accept       string
		format       exposition.Format
		begins, ends string
	}{
		{false, "", exposition.Text, "# HELP gi", "\n"},
		{false, likesOpenMetrics, exposition.Text, "# HELP gi", "\n"},
		{true, likesOpenMetrics, exposition.OpenMetrics, "# HELP gi", "\n# EOF\n"},
		{true, "", exposition.Text, "# HELP gi", "\n"},
		{false, likesProtobuf, exposition.Protobuf, "", ""},
		{true, likesProtobuf, exposition.Protobuf, "", ""},
	} {
		c := config(dir)
		c.OpenMetrics = tt.on
		h := NewHandler(c)
		for _, method := range []string{"GET", "HEAD"} {
			r := ask(h, method, "/metrics", "Accept", tt.accept)
			if got := r.Header().Get("Content-Type"); r.Code != http.StatusOK || got != tt.format.ContentType() {
				t.Errorf("%s %q: status %d, type %q, want %q", method, tt.accept, r.Code, got, tt.format.ContentType())
			}
			if got := r.Header().Get("Vary"); got != "Accept, Accept-Encoding" {
				t.Errorf("%s %q: Vary is %q", method, tt.accept, got)
			}
			if body := r.Body.String(); method == "GET" && (!strings.HasPrefix(body, tt.begins) || !strings.HasSuffix(body, tt.ends)) {
				t.Errorf("%q: %.100q…", tt.accept, body)
			}
		}
	}
	// Several headers are one.
	r := ask(NewHandler(config(dir)), "GET", "/metrics", "Accept", "text/plain;q=0.1", "Accept", likesProtobuf)
	if got := r.Header().Get("Content-Type"); got != exposition.Protobuf.ContentType() {
		t.Errorf("two headers: type %q", got)
	}
}
