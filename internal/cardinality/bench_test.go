package cardinality_test

import (
	"fmt"
	"testing"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/fleet"
)

// BenchmarkReport counts a snapshot that is there already.
func BenchmarkReport(b *testing.B) {
	for _, plan := range []fleet.Plan{{Processes: 4, Entries: 2_000}, {Processes: 64, Entries: 20_000}} {
		dir := b.TempDir()
		if err := fleet.Generate(dir, plan); err != nil {
			b.Fatal(err)
		}
		snapshot, err := collect.New(dir).Survey(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%dx%d", plan.Processes, plan.Entries), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cardinality.Of(snapshot).Cut(cardinality.BySeries, 20)
			}
			b.ReportMetric(float64(snapshot.Layout.Len()), "series")
		})
	}
}
