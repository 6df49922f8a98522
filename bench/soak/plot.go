package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// The size of the drawing, and where in it the area of the lines is.
const (
	width, height = 900, 420
	left, right   = 64, 832
	top, bottom   = 64, 364
	style         = `
  .back { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .resident { stroke: #0969da } .anonymous { stroke: #bc4c00 } .live { stroke: #1a7f37; stroke-dasharray: 6 4 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #3d444d }
    .resident { stroke: #58a6ff } .anonymous { stroke: #f0883e } .live { stroke: #3fb950 }
  }
`
)

func drawFile(path string) error {
	records, err := read(path)
	if err != nil {
		return err
	}
	if !(records[len(records)-1][seconds] > 0) {
		return fmt.Errorf("%s: one moment is no line", path)
	}
	w := bufio.NewWriter(os.Stdout)
	draw(w, records)
	return w.Flush()
}

// An axis goes from 0 to a round number, in steps.
type axis struct{ step, end float64 }

// newAxis returns an axis for values up to most, of so many steps at most.
func newAxis(most float64, steps int) axis {
	step := math.Pow(10, math.Floor(math.Log10(most/float64(steps))))
	for _, times := range []float64{1, 2, 5, 10} {
		if step*times*float64(steps) >= most {
			step *= times
			break
		}
	}
	return axis{step, step * math.Ceil(most/step)}
}

// draw draws memory on the left axis and entries on the right one.
func draw(w *bufio.Writer, records []record) {
	last := records[len(records)-1]
	minutes := axis{newAxis(last[seconds]/60, 8).step, last[seconds] / 60}
	memory := newAxis(slices.Max(column(records, residentMost))*1.05, 6)
	steps := int(memory.end/memory.step + 0.5)
	entries := newAxis(slices.Max(column(records, live))/1e6*1.05, steps)
	entries.end = entries.step * float64(steps) // so that both have the same lines

	x := func(minute float64) float64 { return left + minute/minutes.end*(right-left) }
	y := func(share float64) float64 { return bottom - share*(bottom-top) }
	fmt.Fprintf(w, "<svg xmlns=%q viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", "http://www.w3.org/2000/svg", width, height, width, height)
	fmt.Fprintf(w, "<title>Memory of the server over %.0f minutes</title>\n<style>%s</style>\n", last[seconds]/60, style)
	fmt.Fprintf(w, "<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n", width, height)

	for i := range steps + 1 {
		at := y(float64(i) / float64(steps))
		fmt.Fprintf(w, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", left, at, right)
		text(w, left-8, at+4, "end", number(float64(i)*memory.step))
		text(w, right+8, at+4, "start", number(float64(i)*entries.step))
	}
	for minute := 0.0; minute <= minutes.end*1.001; minute += minutes.step {
		fmt.Fprintf(w, "<path class=\"grid\" d=\"M%.1f %dv5\"/>\n", x(minute), bottom)
		text(w, x(minute), bottom+21, "middle", number(minute))
	}
	text(w, (left+right)/2, bottom+43, "middle", "minutes")
	text(w, left-8, top-14, "end", "MB")
	text(w, right+8, top-14, "start", "millions")

	for i, line := range []struct {
		class, title string
		column       int
		full         float64
	}{
		{"resident", "resident memory", resident, memory.end},
		{"anonymous", "of it anonymous", anonymous, memory.end},
		{"live", "live entries (right)", live, entries.end * 1e6},
	} {
		key := float64(left + 150 + 180*i)
		fmt.Fprintf(w, "<path class=\"line %s\" d=\"M%.0f 24h30\"/>\n", line.class, key)
		text(w, key+38, 28, "start", line.title)
		var points []string
		for _, r := range records {
			points = append(points, fmt.Sprintf("%.1f %.1f", x(r[seconds]/60), y(r[line.column]/line.full)))
		}
		fmt.Fprintf(w, "<path class=\"line %s\" d=\"M%s\"/>\n", line.class, strings.Join(points, "L"))
	}
	fmt.Fprintln(w, "</svg>")
}

func text(w *bufio.Writer, x, y float64, anchor, words string) {
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, words)
}

// number writes a number of an axis, whose steps are round.
func number(value float64) string { return fmt.Sprintf("%.4g", value) }
