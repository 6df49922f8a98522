package status

import "slices"

// The chart's units; it is stretched to the page's width.
const (
	chartHeight = 100
	slot        = 5 // of one scrape
	chartWidth  = kept * slot
	lowest      = 1.5 // of a bar that would be too low to be seen
)

// A chart shows the durations of the last scrapes as bars, the newest at the
// right.
type chart struct {
	Width, Height, Middle int
	Bars                  []bar
	Total, Failed         int
	Longest, Half, Median float64 // in seconds
	First, Last           *Scrape // nil if there is none
}

type bar struct {
	Scrape
	X       int
	Y, W, H float64
}

func newChart(last []Scrape, total int) chart {
	c := chart{Width: chartWidth, Height: chartHeight, Middle: chartHeight / 2, Total: total}
	if len(last) == 0 {
		return c
	}
	c.First, c.Last = &last[0], &last[len(last)-1]
	var seconds []float64
	for _, s := range last {
		seconds = append(seconds, s.Seconds)
		if !s.OK {
			c.Failed++
		}
	}
	slices.Sort(seconds)
	c.Longest, c.Median = seconds[len(seconds)-1], seconds[len(seconds)/2]
	c.Half = c.Longest / 2
	for i, s := range last {
		height := lowest
		if c.Longest > 0 {
			height = max(lowest, chartHeight*s.Seconds/c.Longest)
		}
		c.Bars = append(c.Bars, bar{s, (kept - len(last) + i) * slot, chartHeight - height, slot - 1, height})
	}
	return c
}
