package exposition

import (
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// A family is one as it is written, with another name or type than its own
// where the format demands that.
type family struct {
	series.Family

	shown  string // its name on the page
	title  string // what HELP and TYPE call it
	quoted bool   // these names are not classic
	bound  string // the label that has numbers for values, to be written alike; "" if none has
}

// shape returns families of a snapshot as the format can show them with its
// values, in order. It is valid until the next call.
func (w *Writer) shape(s *collect.Snapshot, families []series.Family) []family {
	w.names = namesOf(s.Layout, w.format.escaping)
	if w.families = w.families[:0]; cap(w.families) > 4*len(families)+manyFamilies {
		w.families = nil // there were far more
	}
	for _, f := range families {
		name := w.names.family(f.Name)
		shown := family{Family: f, shown: name, title: name, quoted: !isClassic(name), bound: boundOf(f.Type)}
		if !w.fits(s, &shown) {
			w.split(s, shown)
			continue
		}
		if w.format.kind == openMetrics && f.Type == discover.Counter {
			shown.declareCounter(s)
		}
		w.families = append(w.families, shown)
	}
	byName := func(a, b family) int { return strings.Compare(a.shown, b.shown) }
	if !slices.IsSortedFunc(w.families, byName) {
		slices.SortFunc(w.families, byName)
	}
	return w.families
}

// manyFamilies is for how many families a Writer keeps its memory at least. Applications
// have a few hundred.
const manyFamilies = 4096

// boundOf returns the label that families of a type are arranged by.
func boundOf(t discover.Type) string {
	switch t {
	case discover.Histogram:
		return leLabel
	case discover.Summary:
		return quantileLabel
	}
	return ""
}

// fits reports whether f can be shown as what it is. A histogram or summary
// with a count below zero, which only damage makes, cannot: some parsers would
// refuse the whole page.
func (w *Writer) fits(s *collect.Snapshot, f *family) bool {
	switch {
	case f.Type != discover.Histogram && f.Type != discover.Summary:
		return true
	case w.format.kind == text:
		return !slices.ContainsFunc(f.Series, func(id series.ID) bool { return s.Value(id) < 0 && s.Layout.Counts(f.Name, id) })
	case w.format.kind == openMetrics && has(s.Layout, f.Name, createdSuffix):
		return false
	}
	return w.sets.whole(s, f, w.format.kind == openMetrics)
}

// split adds f as an untyped family for each of its sample names. Its series
// stay what they are.
func (w *Writer) split(s *collect.Snapshot, f family) {
	byName := map[string][]series.ID{}
	for _, id := range f.Series {
		byName[s.Layout.Name(id)] = append(byName[s.Layout.Name(id)], id)
	}
	for name, ids := range byName {
		suffix := name[len(f.Name):]
		part := family{
			Family: series.Family{Name: name, Help: f.Help, Type: discover.Untyped, Series: ids},
			shown:  f.shown + suffix, title: f.shown + suffix, quoted: f.quoted,
		}
		if suffix != sumSuffix && suffix != countSuffix {
			part.bound = f.bound
		}
		w.families = append(w.families, part)
	}
}

// declareCounter gives a counter the name that OpenMetrics declares it by,
// which lacks _total. A counter that has no such name, or whose name is another
// family's or sample's, or has a value that counters cannot have, is of unknown
// type: its series must not change their name.
func (f *family) declareCounter(s *collect.Snapshot) {
	stem, ok := strings.CutSuffix(f.Name, totalSuffix)
	title, shown := strings.CutSuffix(f.shown, totalSuffix)
	invalid := func(id series.ID) bool { return !(s.Value(id) >= 0) }
	if !ok || !shown || stem == "" || taken(s.Layout, stem) || slices.ContainsFunc(f.Series, invalid) {
		f.Type = discover.Untyped
		return
	}
	f.title = title
}

// taken reports whether a counter declared as stem would get in the way of
// another family: a name of the one, with all suffixes that OpenMetrics gives a
// meaning, is one of the other.
func taken(l *series.Layout, stem string) bool {
	if has(l, stem, "") || has(l, stem, createdSuffix) {
		return true
	}
	if of, ok := strings.CutSuffix(stem, createdSuffix); ok && has(l, of, totalSuffix) {
		return true
	}
	for _, suffix := range [...]string{bucketSuffix, sumSuffix, countSuffix, createdSuffix} {
		if of, ok := strings.CutSuffix(stem, suffix); ok && has(l, of, "") {
			return true
		}
	}
	return false
}

// has reports whether there is a family called stem and suffix.
func has(l *series.Layout, stem, suffix string) bool {
	_, found := slices.BinarySearchFunc(l.Families, stem, func(f series.Family, stem string) int {
		n := min(len(stem), len(f.Name))
		if c := strings.Compare(f.Name[:n], stem[:n]); c != 0 || n < len(stem) {
			if c == 0 {
				c = -1 // the name ends within stem
			}
			return c
		}
		return strings.Compare(f.Name[n:], suffix)
	})
	return found
}
