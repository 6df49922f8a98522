// Package exposition writes merged series in the formats that Prometheus
// reads: text, OpenMetrics and protobuf. There is one file for each.
//
// The encoders are our own, and append to a buffer; a [Writer] passes it on
// whenever it is full. So a page is never in memory as a whole, and nobody
// waits for a slow reader but the reader's own request. Protobuf says a
// family's length before the family, so that needs one family in memory.
//
// A series is the same in each format: no name depends on it, but those that
// are not classic, if the client asks for them. What a format cannot show as the
// type that it is becomes untyped. docs/formats/exposition.md names the few series
// that are in one format alone.
package exposition

import (
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protodelim"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/series"
)

// bufferSize is how much a Writer holds back at most, but for one sample; of
// protobuf, but for one family.
const bufferSize = 64 << 10

// A Writer writes a page. Use NewWriter or Begin before anything else,
// then either Page, or Snapshot and Families as often as wanted and End. The
// first error of the underlying writer ends the page; every later call returns
// it. It must not be used concurrently.
type Writer struct {
	to     io.Writer
	format Format
	err    error
	buf    []byte // what is held back

	// Reused from page to page.
	families []family // as they are to be written
	names    names    // of their series
	sets     sets
	labels   []byte // of one label set
	message  []byte // a family of protobuf
}

// NewWriter returns a Writer of a page in the text format to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{to: w, buf: make([]byte, 0, bufferSize+4096)}
}

// Begin makes w start a new page, keeping its buffers unless a huge label or
// family has blown them up.
func (w *Writer) Begin(to io.Writer, format Format) {
	w.to, w.format, w.err = to, format, nil
	w.buf, w.labels, w.message = emptied(w.buf), emptied(w.labels), emptied(w.message)
	w.forget()
}

func emptied(buf []byte) []byte {
	if cap(buf) > 8*bufferSize {
		return nil
	}
	return buf[:0]
}

// forget drops what refers to a snapshot, so that it can be collected while
// the Writer waits to be used again.
func (w *Writer) forget() {
	clear(w.families)
	w.families, w.names = w.families[:0], names{}
	if len(w.sets.byRest) > 0 {
		w.sets = sets{numbers: w.sets.numbers}
	}
	clear(w.sets.found[:cap(w.sets.found)])
}

// Page writes a whole page: families of a snapshot's layout, or parts of them,
// with families of our own between them, all in order of their names. Ours must
// be in order already; s may be nil.
func (w *Writer) Page(s *collect.Snapshot, families []series.Family, own []*dto.MetricFamily) error {
	var before, after []family
	if s != nil {
		all := w.shape(s, families)
		// No name of the application's has our prefix.
		at, _ := slices.BinarySearchFunc(all, series.Prefix, func(f family, name string) int { return strings.Compare(f.shown, name) })
		before, after = all[:at], all[at:]
	}
	for i := range before {
		if w.family(s, &before[i]) != nil {
			return w.err
		}
	}
	if w.Families(own) != nil {
		return w.err
	}
	for i := range after {
		if w.family(s, &after[i]) != nil {
			return w.err
		}
	}
	return w.End()
}

// Snapshot writes families of a snapshot's layout, or parts of them.
func (w *Writer) Snapshot(s *collect.Snapshot, families []series.Family) error {
	all := w.shape(s, families)
	for i := range all {
		if w.family(s, &all[i]) != nil {
			break
		}
	}
	return w.err
}

// family writes one family.
func (w *Writer) family(s *collect.Snapshot, f *family) error {
	switch w.format.kind {
	case text:
		w.textFamily(s, f)
	case openMetrics:
		w.openMetricsFamily(s, f)
	case protobuf:
		w.protobufFamily(s, f)
	}
	return w.err
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
		switch w.format.kind {
		case text:
			_, w.err = expfmt.MetricFamilyToText(w.to, family)
		case openMetrics:
			_, w.err = expfmt.MetricFamilyToOpenMetrics(w.to, declared(family, families))
		case protobuf:
			_, w.err = protodelim.MarshalTo(w.to, family)
		}
	}
	return w.err
}

// flushFull passes on what is held back if that is enough.
func (w *Writer) flushFull() error {
	if len(w.buf) >= bufferSize {
		return w.Flush()
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

// End ends the page, and passes on what is held back.
func (w *Writer) End() error {
	if w.format.kind == openMetrics {
		w.buf = append(w.buf, "# EOF\n"...)
	}
	w.forget()
	return w.Flush()
}
