// Package exposition writes merged series in the formats that Prometheus
// reads. There is one file for each format.
//
// Encoders append to a buffer and cannot fail; a [Writer] passes the buffer on
// whenever it is full. So a page is never in memory as a whole, and nobody
// waits for a slow reader but the reader's own request.
package exposition

import (
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// TextType is the Content-Type of the text format.
const TextType = "text/plain; version=0.0.4; charset=utf-8"

// help is the help text of every family: the files keep none. It is what the
// client library prints.
const help = "Multiprocess metric"

// AppendFamily appends the lines that introduce a family.
func AppendFamily(dst []byte, name string, typ discover.Type) []byte {
	dst = append(dst, "# HELP "...)
	dst = append(dst, name...)
	dst = append(dst, " "+help+"\n# TYPE "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, typ.String()...)
	return append(dst, '\n')
}

// AppendSample appends the line of one sample of a layout.
func AppendSample(dst []byte, layout *series.Layout, id series.ID, value float64) []byte {
	dst = append(layout.AppendText(dst, id), ' ')
	return append(AppendValue(dst, value), '\n')
}

// AppendValue appends a value in its shortest form, as Prometheus itself
// writes it; but minus zero stays what it is.
func AppendValue(dst []byte, value float64) []byte {
	switch {
	case value > 0 && value < 1e6 && value == math.Trunc(value):
		return strconv.AppendUint(dst, uint64(value), 10) // most values, three times as fast
	case math.IsInf(value, 1):
		return append(dst, "+Inf"...)
	}
	return strconv.AppendFloat(dst, value, 'g', -1, 64)
}

// bufferSize is how much text a Writer holds back at most, but for one sample.
const bufferSize = 64 << 10

// A Writer writes a page in the text format. Use NewWriter or Reset before
// anything else. The first error of the underlying writer ends the page; every
// later call returns it.
type Writer struct {
	to  io.Writer
	buf []byte
	err error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{to: w, buf: make([]byte, 0, bufferSize+4096)}
}

// Reset makes w start a new page, keeping its buffer unless a huge label has
// blown it up.
func (w *Writer) Reset(to io.Writer) {
	*w = Writer{to: to, buf: w.buf[:0]}
	if cap(w.buf) > 8*bufferSize {
		w.buf = nil
	}
}

// Snapshot writes families of a snapshot's layout, or parts of them.
func (w *Writer) Snapshot(s *collect.Snapshot, families []series.Family) error {
	for _, family := range valid(s, families) {
		w.buf = AppendFamily(w.buf, family.Name, family.Type)
		for _, id := range family.Series {
			w.buf = AppendSample(w.buf, s.Layout, id, s.Value(id))
			if len(w.buf) >= bufferSize && w.Flush() != nil {
				return w.err
			}
		}
	}
	return w.err
}

// valid returns families of a snapshot as they can be shown with its values: a histogram or summary with a count below zero, which only damage
// makes, is an untyped family for each of its sample names. Some parsers would
// refuse the whole page otherwise.
func valid(s *collect.Snapshot, declared []series.Family) []series.Family {
	negative := func(f series.Family) bool {
		return (f.Type == discover.Histogram || f.Type == discover.Summary) &&
			slices.ContainsFunc(f.Series, func(id series.ID) bool { return s.Value(id) < 0 && s.Layout.Counts(id) })
	}
	if !slices.ContainsFunc(declared, negative) {
		return declared
	}
	var families []series.Family
	for _, f := range declared {
		if !negative(f) {
			families = append(families, f)
			continue
		}
		byName := map[string][]series.ID{}
		for _, id := range f.Series {
			byName[s.Layout.Name(id)] = append(byName[s.Layout.Name(id)], id)
		}
		for name, ids := range byName {
			families = append(families, series.Family{Name: name, Type: discover.Untyped, Series: ids})
		}
	}
	slices.SortFunc(families, func(a, b series.Family) int { return strings.Compare(a.Name, b.Name) })
	return families
}

// Families writes families of our own, but for those without samples.
func (w *Writer) Families(families []*dto.MetricFamily) error {
	for _, family := range families {
		if len(family.Metric) == 0 {
			continue
		}
		if w.Flush() != nil {
			return w.err
		}
		_, w.err = expfmt.MetricFamilyToText(w.to, family)
	}
	return w.err
}

// Flush passes on what is held back.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.to.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}
