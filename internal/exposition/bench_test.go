package exposition_test

import (
	"io"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
)

// BenchmarkWriter writes a page of a large directory that nobody reads.
func BenchmarkWriter(b *testing.B) {
	dir := b.TempDir()
	if err := fleet.Generate(dir, fleet.Plan{Processes: 2, Entries: 20_000}); err != nil {
		b.Fatal(err)
	}
	s, err := collect.New(dir).Collect(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for name, format := range map[string]exposition.Format{
		"text": exposition.Text, "openmetrics": exposition.OpenMetrics, "protobuf": exposition.Protobuf,
	} {
		b.Run(name, func(b *testing.B) {
			var size counter
			w := exposition.NewWriter(nil)
			b.ReportAllocs()
			for b.Loop() {
				w.Begin(&size, format)
				if err := w.Page(s, s.Layout.Families, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)/float64(b.N), "bytes/page")
			b.ReportMetric(float64(s.Layout.Len()), "series")
		})
	}
}

// A counter counts what is written.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return io.Discard.Write(b)
}
