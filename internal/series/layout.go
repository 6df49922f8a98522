package series

import (
	"maps"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/discover"
)

// A Layout is the order of series on a page: families by name, and within a
// family each label set's samples together, buckets ascending. It never
// changes, and may be used by several goroutines.
type Layout struct {
	Families []Family

	// Conflicts names the declared families that cannot be shown as declared,
	// because what the files say of them does not go together; in order.
	Conflicts []string

	// Raw says what names are in the files, where some of them are not
	// classic; it is nil if all are.
	Raw *RawNames

	order []ID
	steps []step
	lines list[line]
	names []string
	texts texts
}

// A Family is a run of series under one name.
type Family struct {
	Name   string
	Help   string
	Type   discover.Type
	Series []ID // in order
}

// RawNames are names as they are in the files, by the names that they are known
// by: the same for names that are classic, and "" for a name that several stand
// for.
type RawNames struct{ Families, Labels map[string]string }

func (l *Layout) line(id ID) *line { return l.lines.at(uint32(id)) }

// Len returns the number of series.
func (l *Layout) Len() int { return len(l.order) }

// Select returns the families of these names, be they known by them or so called
// in the files, and of the other families the series whose samples have one of
// them; and which of the names it met.
func (l *Layout) Select(names []string) (families []Family, found []string) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	met := map[string]bool{}
	for _, family := range l.Families {
		some := l.ofSamples(family, wanted, met)
		whole := false
		for _, name := range [...]string{family.Name, l.rawName(family.Name)} {
			if wanted[name] {
				met[name], whole = true, true
			}
		}
		if !whole {
			family.Series = some
		}
		if len(family.Series) > 0 {
			families = append(families, family)
		}
	}
	return families, slices.Sorted(maps.Keys(met))
}

// Without returns a layout that lacks the series of which absent is true, and
// families that have no other.
func (l *Layout) Without(absent func(ID) bool) *Layout {
	fewer := *l
	fewer.Families, fewer.order = nil, slices.DeleteFunc(slices.Clone(l.order), absent)
	for _, family := range l.Families {
		if slices.ContainsFunc(family.Series, absent) {
			family.Series = slices.DeleteFunc(slices.Clone(family.Series), absent)
		}
		if len(family.Series) > 0 {
			fewer.Families = append(fewer.Families, family)
		}
	}
	return &fewer
}

// rawName returns a family's name in the files, or name itself.
func (l *Layout) rawName(name string) string {
	if l.Raw != nil && l.Raw.Families[name] != "" {
		return l.Raw.Families[name]
	}
	return name
}

// ofSamples returns the series of a family whose sample is known by a wanted name, or
// so called in the files, and adds those names to met.
func (l *Layout) ofSamples(family Family, wanted, met map[string]bool) []ID {
	var some []ID
	raw := l.rawName(family.Name)
	for _, id := range family.Series {
		name := l.Name(id)
		if raw != family.Name && !wanted[name] {
			name = raw + strings.TrimPrefix(name, family.Name)
		}
		if wanted[name] {
			met[name] = true
			some = append(some, id)
		}
	}
	return some
}

// AppendText appends the series' text as it stands on a page before the value.
func (l *Layout) AppendText(dst []byte, id ID) []byte {
	line := l.line(id)
	dst = append(dst, l.names[line.name]...)
	open := byte('{')
	for _, part := range [...]uint32{line.labels, line.pid, line.bound} {
		if part == 0 {
			continue
		}
		dst = append(append(dst, open), l.texts.get(part)...)
		open = ','
	}
	if open == ',' {
		dst = append(dst, '}')
	}
	return dst
}

// SameLabels reports whether two series have the same labels, but for le and
// quantile.
func (l *Layout) SameLabels(a, b ID) bool {
	return l.line(a).labels == l.line(b).labels && l.line(a).pid == l.line(b).pid
}

// PartText returns the text of a part, a="x",b="y". It must not be changed.
func (l *Layout) PartText(part Part) []byte { return l.texts.get(uint32(part)) }

// Name returns the name of the series' sample.
func (l *Layout) Name(id ID) string { return l.names[l.line(id).name] }

// Counts reports whether the series, of a histogram or summary of that name, counts
// something: it is a bucket or a count.
func (l *Layout) Counts(family string, id ID) bool {
	rank := rankOf(family, l.Name(id))
	return rank == rankBucket || rank == rankCount
}

// Layout returns the order of the series that are there now.
func (t *Table) Layout() *Layout {
	if !t.changed {
		return t.layout
	}
	t.changed = false
	rivals := t.hide()
	uses := t.uses()
	resolved := resolve(uses)
	maps.Copy(resolved.conflicts, rivals)
	o := t.ordering(resolved)
	order := t.reorder(o, !t.resort && t.sameOrder(resolved.homes, o.quantiles))
	t.homes, t.quantiles, t.resort = resolved.homes, o.quantiles, false
	t.layout = &Layout{
		Families:  t.families(order, resolved, t.familyHelps(uses)),
		Conflicts: slices.Sorted(maps.Keys(resolved.conflicts)),
		Raw:       t.rawNames(uses, resolved.homes),
		order:     order,
		steps:     t.steps(order),
		lines:     t.lines,
		names:     t.names,
		texts:     texts{arena: t.texts.arena, spans: t.texts.spans},
	}
	return t.layout
}

// uses sums up, by sample, what the live series say.
func (t *Table) uses() []use {
	uses := make([]use, len(t.samples))
	for i, sample := range t.samples {
		uses[i].sample = sample
	}
	for i := range t.records.len {
		if r := t.records.at(i); t.shown(ID(i)) {
			u := &uses[r.sample]
			u.live = true
			u.flags |= t.bounds[t.lines.at(i).bound].flags
			u.types.add(r.kind.typ)
			if len(t.mixed) > 0 {
				u.types |= t.mixed[ID(i)]
			}
		}
	}
	return uses
}

// sameOrder reports whether every sample that had a family, and has one now,
// still has the same, and is ordered by the same numbers. Of the others there is no
// series in the old order, or there will be none in the new.
func (t *Table) sameOrder(homes []string, quantiles []bool) bool {
	for i, home := range t.homes {
		if home != "" && homes[i] != "" && (home != homes[i] || t.quantiles[i] != quantiles[i]) {
			return false
		}
	}
	return true
}

// families cuts an order into its families.
func (t *Table) families(order []ID, r resolution, helps map[string]string) []Family {
	var families []Family
	home := func(id ID) string { return r.homes[t.record(id).sample] }
	for len(order) > 0 {
		name, n := home(order[0]), 1
		for n < len(order) && home(order[n]) == name {
			n++
		}
		help, said := helps[name]
		if !said {
			help = noHelp
		}
		families = append(families, Family{Name: name, Help: help, Type: r.types[name], Series: order[:n:n]})
		order = order[n:]
	}
	return families
}
