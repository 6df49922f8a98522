package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A record is a line of the data.
type record [columns]float64

const header = "seconds,resident_mb,resident_most_mb,anonymous_mb,peak_mb,heap_mb,files,series,entries,damaged,goroutines,descriptors,scrapes,scrape_ms,scrape_longest_ms"

const (
	seconds = iota
	resident
	residentMost // at a scrape since the last record
	anonymous
	peak // ever
	heap
	files
	series
	live // entries
	damaged
	goroutines
	descriptors
	scrapes
	scrape // the median since the last record
	scrapeLongest
	columns
)

func (r record) String() string {
	var b strings.Builder
	for i, number := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatFloat(float64(int64(number*100+0.5))/100, 'f', -1, 64))
	}
	return b.String()
}

func read(path string) ([]record, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 || strings.Join(lines[0], ",") != header {
		return nil, fmt.Errorf("%s: these are not the data of a soak", path)
	}
	records := make([]record, len(lines)-1)
	for i, line := range lines[1:] {
		for j, text := range line {
			if records[i][j], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", path, i+2, err)
			}
		}
	}
	return records, nil
}

func summarizeFile(path string) error {
	records, err := read(path)
	if err != nil {
		return err
	}
	return summarize(records)
}

// enough is how many records are.
const enough = 8

// summarize prints how what was measured went on.
func summarize(records []record) error {
	if len(records) < enough {
		return fmt.Errorf("%d records are too few", len(records))
	}
	last := records[len(records)-1]
	fmt.Printf("%.0f scrapes in %.1f minutes\n\n", last[scrapes], last[seconds]/60)
	fmt.Println("| | first | medians of the quarters | last | most | slope over the second half, per hour |")
	fmt.Println("|---|---|---|---|---|---|")
	most := quarters(column(records, residentMost), slices.Max[[]float64])
	least := quarters(column(records, resident), slices.Min[[]float64])
	for _, row := range []struct {
		title  string
		column int
		format string
	}{
		{"resident, MB", resident, "%.1f"},
		{"anonymous, MB", anonymous, "%.1f"},
		{"Go heap in use, MB", heap, "%.1f"},
		{"live entries", live, "%.0f"},
		{"live series", series, "%.0f"},
		{"files", files, "%.0f"},
		{"goroutines", goroutines, "%.0f"},
		{"descriptors", descriptors, "%.0f"},
		{"a scrape, ms", scrape, "%.0f"},
	} {
		values := column(records, row.column)
		f, middle := row.format, quarters(values, median)
		fmt.Printf("| %s | "+f+" | "+strings.Repeat(f+", ", 3)+f+" | "+f+" | "+f+" | %+.1f |\n", row.title,
			values[0], middle[0], middle[1], middle[2], middle[3], values[len(values)-1], slices.Max(values), slope(records[len(records)/2:], row.column))
	}
	fmt.Printf("\nResident in each quarter, MB: from %.1f, %.1f, %.1f, %.1f to %.1f, %.1f, %.1f, %.1f.\n",
		least[0], least[1], least[2], least[3], most[0], most[1], most[2], most[3])
	fmt.Printf("The most that was ever resident (VmHWM) is %.1f MB; it was %.1f MB after the first scrape. The longest scrape took %.0f ms.\n",
		last[peak], records[0][peak], slices.Max(column(records, scrapeLongest)))
	return nil
}

// quarters returns what f says of each quarter of the values.
func quarters(values []float64, f func([]float64) float64) (all [4]float64) {
	for i := range all {
		all[i] = f(values[i*len(values)/4 : (i+1)*len(values)/4])
	}
	return all
}

func column(records []record, i int) []float64 {
	var values []float64
	for _, r := range records {
		values = append(values, r[i])
	}
	return values
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// slope returns how much a column rises in an hour, by least squares.
func slope(records []record, i int) float64 {
	n := float64(len(records))
	var x, y, xx, xy float64
	for _, r := range records {
		hours := r[seconds] / 3600
		x += hours
		y += r[i]
		xx += hours * hours
		xy += hours * r[i]
	}
	return (n*xy - x*y) / (n*xx - x*x)
}
