package collect_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/fleet"
)

var sizes = []fleet.Plan{
	{Processes: 8, Entries: 2_000},
	{Processes: 16, Entries: 20_000},
	{Processes: 64, Entries: 20_000},
}

func generate(b *testing.B, plan fleet.Plan) string {
	b.Helper()
	dir := b.TempDir()
	if err := fleet.Generate(dir, plan); err != nil {
		b.Fatal(err)
	}
	return dir
}

func scrape(b *testing.B, e *collect.Engine, w *exposition.Writer) {
	b.Helper()
	s, err := e.Collect(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	w.Begin(io.Discard, exposition.Text)
	w.Snapshot(s, s.Layout.Families)
	w.Flush()
	s.Release()
}

// BenchmarkScrape collects and writes a page that nobody reads: warm with an
// engine that has seen the directory, cold with a new one.
func BenchmarkScrape(b *testing.B) {
	for _, plan := range sizes {
		dir := generate(b, plan)
		name := fmt.Sprintf("%dx%d", plan.Processes, plan.Entries)
		b.Run("warm/"+name, func(b *testing.B) {
			e, w := collect.New(dir), exposition.NewWriter(nil)
			scrape(b, e, w)
			b.ReportAllocs()
			for b.Loop() {
				scrape(b, e, w)
			}
		})
		b.Run("cold/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				scrape(b, collect.New(dir), exposition.NewWriter(nil))
			}
		})
	}
}
