// Command memory measures how much memory the real program needs, in one run,
// against the targets: at its first scrape, after a thousand more, and with more
// and more entries. It prints tables for docs/performance.md.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gitlab-metrics-exporter/bench/internal/cleanup"
	"gitlab-metrics-exporter/bench/internal/options"
	"gitlab-metrics-exporter/bench/internal/program"
	"gitlab-metrics-exporter/internal/fleet"
)

var (
	binary = flag.String("binary", "", "the server; it is built if empty")
	work   = flag.String("work", "", "existing directory to work in; a temporary one if empty")
	plans  = flag.String("plans", "16x20000,64x20000,128x20000,64x40000", "directories: processes x entries of each")
	most   = flag.String("main", "64x20000", "which of them gets all the scrapes")
	many   = flag.Int("scrapes", 1000, "warm scrapes of the main directory")
	few    = flag.Int("few", 100, "warm scrapes of the others, and of all where they are compared")
)

// The targets, in MB.
const (
	residentTarget = 45
	growthTarget   = 12
	peakTarget     = 1.5 // times the settled size
)

func main() {
	options.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	top, remove, err := cleanup.Dir(*work)
	if err != nil {
		return err
	}
	defer remove()
	if *binary == "" {
		if *binary, err = program.Build(top); err != nil {
			return err
		}
	}
	if !slices.Contains(strings.Split(*plans, ","), *most) {
		return fmt.Errorf("-main: %q is none of -plans", *most)
	}
	fmt.Printf("%d cores, %s; every third scrape with gzip; all in MB\n\n", runtime.NumCPU(), runtime.Version())
	var all []*measured
	for text := range strings.SplitSeq(*plans, ",") {
		m := &measured{name: text}
		if m.plan, err = fleet.ParsePlan(text); err != nil {
			return fmt.Errorf("-plans: %q: %w", text, err)
		}
		scrapes := *few
		if text == *most {
			scrapes = *many
		}
		if err := m.measure(filepath.Join(top, "metrics"), max(scrapes, *few)); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		all = append(all, m)
	}
	report(all)
	return nil
}

// measured is what was seen of one directory.
type measured struct {
	name            string
	plan            fleet.Plan
	entries, series float64
	scrapes         int
	idle            program.Memory // before the first scrape
	cold            program.Memory // after it
	early           program.Memory // after as many scrapes as all get
	settled         program.Memory // after all
	peak            float64        // ever
}

func (m *measured) measure(dir string, scrapes int) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := fleet.Generate(dir, m.plan); err != nil {
		return err
	}
	p, err := program.Start(*binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if m.idle, err = p.Memory(); err != nil {
		return err
	}
	page, _, err := p.Scrape("identity")
	if err != nil {
		return err
	}
	if m.cold, err = p.Memory(); err != nil {
		return err
	}
	own := program.Own(page)
	m.entries, m.series, m.scrapes = own["gme_mmap_entries"], own["gme_mmap_series"], scrapes
	var seen []program.Memory
	for i := range scrapes {
		if _, _, err := p.Scrape([]string{"identity", "identity", "gzip"}[i%3]); err != nil {
			return err
		}
		now, err := p.Memory()
		if err != nil {
			return err
		}
		seen = append(seen, now)
		m.peak = now.Peak
	}
	m.early, m.settled = settled(seen[:*few]), settled(seen)
	return nil
}

// settled returns the median, by resident memory, of the last tenth.
func settled(seen []program.Memory) program.Memory {
	last := slices.Clone(seen[len(seen)*9/10:])
	slices.SortFunc(last, func(a, b program.Memory) int { return cmp.Compare(a.Resident, b.Resident) })
	return last[len(last)/2]
}

func report(all []*measured) {
	fmt.Printf("| directory | entries | series | started | peak of the first scrape | "+
		"after %d scrapes: resident | anonymous | scrapes | then resident | anonymous | program's file | peak ever |\n", *few)
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, m := range all {
		fmt.Printf("| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %d | %.1f | %.1f | %.1f | %.1f |\n", m.name, m.entries, m.series,
			m.idle.Resident, m.cold.Peak, m.early.Resident, m.early.Anonymous, m.scrapes, m.settled.Resident, m.settled.Anonymous, m.settled.File, m.peak)
	}
	fmt.Println("\n| target | seen | |\n|---|---|---|")
	for _, m := range all {
		if m.name == *most {
			row(m.settled.Resident < residentTarget, "resident after %d scrapes at %s: under %d MB", "%.1f MB",
				[]any{m.scrapes, m.name, residentTarget}, m.settled.Resident)
		}
	}
	for _, m := range all {
		times := m.cold.Peak / m.settled.Resident
		row(times < peakTarget, "peak of a cold scrape at %s: under %.1f times the settled size", "%.2f times", []any{m.name, peakTarget}, times)
	}
	for i, m := range all[1:] {
		before := all[i]
		if m.entries <= before.entries || m.plan.Entries != before.plan.Entries {
			continue
		}
		growth := (m.early.Anonymous - before.early.Anonymous) / (m.entries - before.entries) * 1e6
		row(growth < growthTarget, "anonymous memory for a further million entries, from %s to %s: under %d MB", "%.1f MB, with %.0f new series",
			[]any{before.name, m.name, growthTarget}, growth, m.series-before.series)
	}
}

func row(met bool, target, seen string, of []any, values ...any) {
	verdict := "missed"
	if met {
		verdict = "met"
	}
	fmt.Printf("| %s | %s | %s |\n", fmt.Sprintf(target, of...), fmt.Sprintf(seen, values...), verdict)
}
