package series

import (
	"strings"

	"gitlab-metrics-exporter/internal/discover"
)

// A use is how the series of one sample name, within its declared family, are
// used by all files together.
type use struct {
	sample
	types typeSet // of the files
	flags flags   // of all series together
	live  bool
}

// typeSet is a set of discover.Type.
type typeSet uint8

func (s *typeSet) add(t discover.Type) { *s |= 1 << t }

// only returns the one type in the set. ok is false if there are several.
func (s typeSet) only() (t discover.Type, ok bool) {
	for t = range discover.Summary + 1 {
		if s == 1<<t {
			return t, true
		}
	}
	return discover.Untyped, false
}

// A resolution says under which family each sample name stands on the page.
type resolution struct {
	homes     []string                 // by use: name of the family, "" if the use is not live
	types     map[string]discover.Type // of families; one that is missing is untyped
	conflicts map[string]bool          // families that cannot be shown as they were declared
}

// resolve finds a family for each sample name, such that every page made of
// them can be parsed, whatever the files say. Its rules:
//
//  1. A family has the type of the files it is in. If they disagree it is
//     untyped.
//  2. A histogram or summary is untyped if something it holds cannot stand in
//     one: a bucket without a number in le, a sum or count with that label, a
//     sample of the histogram's own name; or if another family has the name of
//     one of its samples.
//  3. A sample name that its family's type does not have is a family of its
//     own.
//
// In directories that one application writes no rule but the first ever acts.
func resolve(uses []use) resolution {
	r := resolution{homes: make([]string, len(uses)), types: map[string]discover.Type{}, conflicts: map[string]bool{}}
	r.declare(uses)
	for again := true; again; {
		for i, u := range uses {
			if u.live {
				r.homes[i] = r.home(u)
			}
		}
		again = r.untypeClashes(uses)
	}
	for i, u := range uses {
		if u.live && r.homes[i] != u.family {
			r.conflicts[u.family] = true
		}
	}
	return r
}

// declare settles each family's type by rule 1 and the first half of rule 2.
func (r *resolution) declare(uses []use) {
	types := map[string]typeSet{}
	for _, u := range uses {
		if u.live {
			types[u.family] |= u.types
		}
	}
	for family, set := range types {
		t, ok := set.only()
		r.types[family] = t
		if !ok {
			r.conflicts[family] = true
		}
	}
	for _, u := range uses {
		if t := r.types[u.family]; u.live && part(t, u) && !fits(t, u) {
			r.types[u.family] = discover.Untyped
			r.conflicts[u.family] = true
		}
	}
}

// home returns the family that u stands under, by rule 3.
func (r *resolution) home(u use) string {
	if fits(r.types[u.family], u) {
		return u.family
	}
	return u.name
}

// untypeClashes applies the second half of rule 2 and reports whether it
// changed anything.
func (r *resolution) untypeClashes(uses []use) (changed bool) {
	untype := func(family string, unless ...discover.Type) {
		t := r.types[family]
		if t != discover.Histogram && t != discover.Summary {
			return
		}
		for _, other := range unless {
			if t == other {
				return
			}
		}
		r.types[family] = discover.Untyped
		r.conflicts[family] = true
		changed = true
	}
	for i, u := range uses {
		if !u.live {
			continue
		}
		home := r.homes[i]
		if home != u.family {
			untype(home) // something that does not fit moved in
		}
		if stem, ok := strings.CutSuffix(home, "_bucket"); ok {
			untype(stem, discover.Summary)
		}
		if stem, ok := strings.CutSuffix(home, "_sum"); ok {
			untype(stem)
		}
		if stem, ok := strings.CutSuffix(home, "_count"); ok {
			untype(stem)
		}
	}
	return changed
}

// part reports whether u's name is one that a family of type t has.
func part(t discover.Type, u use) bool {
	switch rankOf(u.family, u.name) {
	case rankPlain:
		return true
	case rankBucket:
		return t == discover.Histogram
	case rankSum, rankCount:
		return t == discover.Histogram || t == discover.Summary
	}
	return false
}

// fits reports whether u's series can stand in its family if that has type t.
func fits(t discover.Type, u use) bool {
	rank := rankOf(u.family, u.name)
	switch t {
	case discover.Histogram:
		return rank == rankBucket && u.flags&(noLe|badLe) == 0 ||
			(rank == rankSum || rank == rankCount) && u.flags&hasLe == 0
	case discover.Summary:
		return rank == rankPlain && u.flags&(noQuantile|badQuantile) == 0 ||
			(rank == rankSum || rank == rankCount) && u.flags&hasQuantile == 0
	}
	return rank == rankPlain
}

// The order of samples within a family and label set.
const (
	rankPlain = iota
	rankBucket
	rankSum
	rankCount
	rankOther
)

func rankOf(family, sample string) uint8 {
	suffix, ok := strings.CutPrefix(sample, family)
	switch {
	case !ok:
		return rankOther
	case suffix == "":
		return rankPlain
	case suffix == "_bucket":
		return rankBucket
	case suffix == "_sum":
		return rankSum
	case suffix == "_count":
		return rankCount
	}
	return rankOther
}
