package exposition_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"

	"gitlab-metrics-exporter/internal/exposition"
)

// Accept headers as scrapers send them.
const (
	prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
	prometheus3Native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," + prometheus3
	prometheus2       = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	prometheus2Native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited," +
		"application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	vmagent = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
)

const (
	protobufType    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	utf8            = "; escaping=allow-utf-8"
)

func TestNegotiate(t *testing.T) {
	tests := []struct {
		accept    string
		off, want string // OpenMetrics is off, and on; want is off if empty
	}{
		{accept: "", off: exposition.TextType},
		{accept: "*/*", off: exposition.TextType},
		{accept: "text/html,application/xhtml+xml,*/*;q=0.8", off: exposition.TextType},
		{accept: "application/json", off: exposition.TextType},
		{accept: ";;,q=;", off: exposition.TextType},
		{prometheus3, exposition.TextType + utf8, openMetricsType + utf8},
		// The scheme is that of whatever comes first, as expfmt has it.
		{accept: prometheus3Native, off: protobufType + "; escaping=underscores"},
		{prometheus2, exposition.TextType, openMetricsType},
		{accept: prometheus2Native, off: protobufType},
		{accept: vmagent, off: exposition.TextType},
		{"application/openmetrics-text", exposition.TextType, strings.Replace(openMetricsType, "1.0.0", "0.0.1", 1)},
		{"application/openmetrics-text;version=2.0.0", exposition.TextType, exposition.TextType},
		{"application/openmetrics-text;version=1.0.0;escaping=dots", exposition.TextType + "; escaping=dots", openMetricsType + "; escaping=dots"},
		{accept: "text/plain;escaping=values", off: exposition.TextType + "; escaping=values"},
		{accept: "text/plain;escaping=none", off: exposition.TextType + "; escaping=underscores"},
		{accept: "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", off: exposition.TextType},
		{accept: "application/vnd.google.protobuf;proto=other;encoding=delimited", off: exposition.TextType},
		{accept: "text/plain;version=0.0.4;q=0.1," + protobufType + ";q=0.2", off: protobufType},
		{accept: "text/plain;version=0.0.4;q=0.2," + protobufType + ";q=0.1", off: exposition.TextType},
	}
	for _, tt := range tests {
		if tt.want == "" {
			tt.want = tt.off
		}
		for on, want := range map[bool]string{false: tt.off, true: tt.want} {
			if got := exposition.Negotiate(tt.accept, on).ContentType(); got != want {
				t.Errorf("OpenMetrics %v: Accept: %s\ngot  %s\nwant %s", on, tt.accept, got, want)
			}
		}
	}
}

// FuzzNegotiate checks that whatever a client says, it gets what expfmt would
// give it, but for formats that we do not have.
func FuzzNegotiate(f *testing.F) {
	for _, accept := range []string{"", "*/*", prometheus2, prometheus2Native, prometheus3, prometheus3Native, vmagent, ";", "a/b;escaping=values,*/*"} {
		f.Add(accept, true)
		f.Add(accept, false)
	}
	f.Fuzz(func(t *testing.T, accept string, on bool) {
		header := http.Header{"Accept": {accept}}
		want := expfmt.NegotiateAccept(header, expfmt.DefaultAcceptedFormats()...)
		if on {
			want = expfmt.NegotiateAccept(header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		}
		if kind := want.FormatType(); kind == expfmt.TypeProtoText || kind == expfmt.TypeProtoCompact {
			return
		}
		got := exposition.Negotiate(accept, on).ContentType()
		if !strings.Contains(got, "escaping=") && want.ToEscapingScheme().String() == "underscores" {
			got = string(expfmt.Format(got).WithEscapingScheme(want.ToEscapingScheme()))
		}
		if got != strings.TrimSpace(string(want)) {
			t.Errorf("Accept: %s\ngot  %s\nwant %s", accept, got, want)
		}
	})
}
