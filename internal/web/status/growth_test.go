package status

import (
	"fmt"
	"testing"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/series"
)

// layout returns one with so many series in each family.
func layout(sizes map[string]int) *series.Layout {
	l := &series.Layout{}
	for name, n := range sizes {
		l.Families = append(l.Families, series.Family{Name: name, Series: make([]series.ID, n)})
	}
	return l
}

// grown returns what growth says of a family with n series: "?" if nothing.
func grown(g *growth, name string, n int) string {
	r := &cardinality.Report{Families: []cardinality.Family{{Name: name, Series: n}}}
	g.fill(r)
	if r.Families[0].Growth == nil {
		return "?"
	}
	return fmt.Sprint(*r.Families[0].Growth)
}

func TestGrowth(t *testing.T) {
	g := newGrowth()
	r := &cardinality.Report{Series: 1}
	if g.fill(r); r.Growth != nil {
		t.Errorf("grown by %d since nobody looked", *r.Growth)
	}
	g.note(layout(map[string]int{"a": 3, "b": 1}))
	g.note(layout(map[string]int{"a": 5, "c": 2}))
	for _, tt := range []struct {
		name string
		now  int
		want string
	}{{"a", 5, "2"}, {"a", 3, "0"}, {"a", 1, "-2"}, {"b", 1, "0"}, {"c", 4, "2"}, {"d", 4, "?"}} {
		if got := grown(g, tt.name, tt.now); got != tt.want {
			t.Errorf("%s with %d: %s, want %s", tt.name, tt.now, got, tt.want)
		}
	}
}

// TestGrowthIsBounded: what is remembered does not grow without end.
func TestGrowthIsBounded(t *testing.T) {
	g := newGrowth()
	sizes := map[string]int{}
	for i := range maxFamilies + 100 {
		sizes[fmt.Sprint(i)] = 1
	}
	g.note(layout(sizes))
	g.note(layout(map[string]int{"new": 1}))
	if len(g.first) != maxFamilies || grown(g, "new", 1) != "?" {
		t.Errorf("%d families are remembered; of a new one: %s", len(g.first), grown(g, "new", 1))
	}
}

// TestSameLayout: one that was looked at is not looked at again.
func TestSameLayout(t *testing.T) {
	g := newGrowth()
	l := layout(map[string]int{"a": 1})
	g.note(l)
	clear(g.first)
	if g.note(l); len(g.first) != 0 {
		t.Error("it was looked at again")
	}
	if n := testing.AllocsPerRun(100, func() { g.note(l) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
