package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/cardinality"
)

// A Selection says what of a page is wanted. The zero value wants everything.
type Selection struct {
	Probes []string // to be run, of those that the set has
	Names  []string // of families, or of samples of families
}

// An UnknownError says that a selection names what is not there.
type UnknownError struct {
	What  string   // "probe" or "metric"
	Names []string // that are unknown
	Known []string // of metrics, the application's before ours
}

// mostKnown is how many known names an UnknownError's text lists.
const mostKnown = 100

func (e *UnknownError) Error() string {
	first, left := cardinality.Head(e.Known, mostKnown)
	var known []string
	for _, name := range first {
		known = append(known, cardinality.Clip(name)) // which is a file's to choose, and may be megabytes
	}
	more := ""
	if left > 0 {
		more = fmt.Sprintf(" and %d more", left)
	}
	return fmt.Sprintf("unknown %s %q; known are %s%s", e.What, e.Names, strings.Join(known, ", "), more)
}

// ScrapeOnly is Scrape for a part of the page. Probes that are not wanted are
// not run, and names that are not wanted not written. It returns an
// UnknownError for names that are not there, unless a wanted probe failed: they
// might be its.
func (s *Set) ScrapeOnly(ctx context.Context, sel Selection) (*Page, error) {
	some := s
	if len(sel.Probes) > 0 {
		probes, err := s.only(sel.Probes)
		if err != nil {
			return nil, err
		}
		some = &Set{engine: s.engine, share: s.share, probes: probes, faults: s.faults}
	}
	page := some.Scrape(ctx)
	if len(sel.Names) == 0 {
		return page, nil
	}
	if err := page.narrow(sel.Names); err != nil {
		page.Release()
		return nil, err
	}
	return page, nil
}

// only returns the probes named, in our order.
func (s *Set) only(names []string) ([]probe, error) {
	var known, unknown []string
	for _, p := range s.probes {
		known = append(known, p.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, &UnknownError{What: "probe", Names: unknown, Known: known}
	}
	return slices.DeleteFunc(slices.Clone(s.probes), func(p probe) bool { return !slices.Contains(names, p.name) }), nil
}

// namesOf returns the names of a family of ours and of its samples.
func namesOf(f *dto.MetricFamily) []string {
	name := f.GetName()
	if f.GetType() == dto.MetricType_SUMMARY {
		return []string{name, name + "_sum", name + "_count"}
	}
	return []string{name}
}

// narrow leaves on the page what is named. Of families of ours that are named, or a
// sample of theirs, it leaves all.
func (p *Page) narrow(names []string) error {
	var known, found []string
	if p.snapshot != nil {
		for _, family := range p.snapshot.Layout.Families {
			known = append(known, family.Name)
		}
		p.selected, found = p.snapshot.Layout.Select(names)
	}
	for _, family := range p.families {
		known = append(known, family.GetName())
	}
	for i, family := range p.families {
		before := len(found)
		for _, name := range namesOf(family) {
			if slices.Contains(names, name) {
				found = append(found, name)
			}
		}
		if len(found) == before {
			p.families[i] = &dto.MetricFamily{Name: family.Name} // its name still says what others cannot be called
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(found, name) })
	if len(unknown) > 0 && p.succeeded {
		return &UnknownError{What: "metric", Names: unknown, Known: known}
	}
	return nil
}
