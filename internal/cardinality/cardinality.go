// Package cardinality says where a directory's series come from: which families
// have many, which labels have many values, and how many entries in how many
// files it takes to write them down.
//
// It counts parts of series, not series: a histogram's series share their
// labels, so there are far fewer parts, and each is taken apart once. Nothing is
// kept from one report to the next.
package cardinality

import (
	"cmp"
	"slices"

	"gitlab-metrics-exporter/internal/collect"
)

// A Report says how many series there are of what. Its JSON is that of the
// API and of the command top.
type Report struct {
	Series  int `json:"series"`
	Samples int `json:"samples"` // entries in files; of a survey only

	// Growth is how many series there are more than when somebody first
	// looked; nil if nobody remembers.
	Growth *int `json:"growth"`

	// AtLeast says that there was too much to count: numbers of labels and
	// of their values are what was counted before it became too much.
	AtLeast bool `json:"at_least"`

	Families     []Family `json:"families"`
	FamiliesMore int      `json:"families_more"` // that were cut off
	Labels       []Label  `json:"labels"`
	LabelsMore   int      `json:"labels_more"`
}

// A Family is what there is to say of a metric family.
type Family struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Series     int      `json:"series"`
	Samples    int      `json:"samples"`
	Growth     *int     `json:"growth"`
	Labels     []string `json:"labels"` // their names, in order
	LabelsMore int      `json:"labels_more"`
}

// A Label is what there is to say of a label name.
type Label struct {
	Name   string `json:"name"`
	Values int    `json:"values"` // distinct ones
	Series int    `json:"series"` // that have the label

	// Top are the values that most series have.
	Top []Value `json:"top_values"`
}

// A Value is one value of a label.
type Value struct {
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// Of counts what is in a snapshot, best in one of [collect.Engine.Survey].
// Families and labels are in order of their names.
func Of(s *collect.Snapshot) *Report { return of(s, usual) }

func of(s *collect.Snapshot, most limits) *Report {
	c := newCounter(s.Layout, most)
	report := &Report{Series: s.Layout.Len(), Families: []Family{}, Labels: []Label{}}
	for _, f := range s.Layout.Families {
		family := Family{Name: f.Name, Type: f.Type.String(), Series: len(f.Series)}
		for _, id := range f.Series {
			family.Samples += s.Entries(id)
		}
		family.Labels = c.labelsOf(f.Series)
		report.Samples += family.Samples
		report.Families = append(report.Families, family)
	}
	report.Labels, report.AtLeast = c.report(), c.full
	return report
}

// An Order is what families are sorted by.
type Order string

// The orders. Labels are sorted by their number of values, or by name.
const (
	BySeries  Order = "series"
	BySamples Order = "samples"
	ByName    Order = "name"
)

// Orders lists the orders.
var Orders = []string{string(BySeries), string(BySamples), string(ByName)}

// Cut sorts the report and cuts it to the first n families and labels, each
// text in it to a length that can be shown. An n of 0 cuts nothing off.
func (r *Report) Cut(by Order, n int) {
	slices.SortFunc(r.Families, func(a, b Family) int { return compareFamilies(by, a, b) })
	slices.SortFunc(r.Labels, func(a, b Label) int {
		if by == ByName {
			return cmp.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name))
	})
	if n > 0 {
		r.Families, r.FamiliesMore = Head(r.Families, n)
		r.Labels, r.LabelsMore = Head(r.Labels, n)
	}
	for i := range r.Families {
		r.Families[i].clip()
	}
	for i := range r.Labels {
		r.Labels[i].clip()
	}
}

func compareFamilies(by Order, a, b Family) int {
	c := 0
	switch by {
	case BySeries:
		c = cmp.Or(cmp.Compare(b.Series, a.Series), cmp.Compare(b.Samples, a.Samples))
	case BySamples:
		c = cmp.Or(cmp.Compare(b.Samples, a.Samples), cmp.Compare(b.Series, a.Series))
	}
	return cmp.Or(c, cmp.Compare(a.Name, b.Name))
}
