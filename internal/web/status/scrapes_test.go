package status

import (
	"testing"
	"time"
)

func TestRing(t *testing.T) {
	s := &scrapes{}
	if last, total := s.list(); len(last) != 0 || last == nil || total != 0 {
		t.Errorf("at first: %v of %d", last, total)
	}
	for i := range 2*kept + 7 {
		s.add(Scrape{Series: i})
		last, total := s.list()
		if total != i+1 || len(last) != min(i+1, kept) {
			t.Fatalf("after %d: %d of %d", i+1, len(last), total)
		}
		if oldest := max(0, i+1-kept); last[0].Series != oldest || last[len(last)-1].Series != i {
			t.Fatalf("after %d: from %d to %d, want from %d to %d", i+1, last[0].Series, last[len(last)-1].Series, oldest, i)
		}
	}
}

func TestChart(t *testing.T) {
	if c := newChart(nil, 0); len(c.Bars) != 0 || c.Last != nil {
		t.Errorf("of nothing: %+v", c)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := newChart([]Scrape{{Time: now, Seconds: 0.1, OK: true}, {Seconds: 0.4}, {Seconds: 0, OK: true}}, 10)
	if c.Longest != 0.4 || c.Half != 0.2 || c.Median != 0.1 || c.Failed != 1 || c.Total != 10 || !c.First.Time.Equal(now) {
		t.Errorf("%+v", c)
	}
	for i, want := range []struct {
		x    int
		y, h float64
	}{{585, 75, 25}, {590, 0, 100}, {595, 98.5, 1.5}} {
		if b := c.Bars[i]; b.X != want.x || b.Y != want.y || b.H != want.h {
			t.Errorf("bar %d: %+v, want %+v", i, b, want)
		}
	}
	// All in no time at all: no division by zero.
	if b := newChart([]Scrape{{}}, 1).Bars[0]; b.H != lowest {
		t.Errorf("%+v", b)
	}
}
