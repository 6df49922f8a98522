package exposition

import (
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
)

func (w *Writer) openMetricsFamily(s *collect.Snapshot, f *family) {
	typ := f.Type.String()
	if f.Type == discover.Untyped {
		typ = "unknown"
	}
	w.buf = appendFamily(w.buf, f, typ, true)
	switch {
	case f.bound == "":
		w.openMetricsSamples(s, f)
	case f.Type == discover.Untyped:
		w.sets.each(s, f, func(set *set) bool {
			w.labels = w.appendSetLabels(w.labels[:0], s.Layout, set)
			for _, p := range set.points {
				w.openMetricsBound(f, "", p)
				w.buf = append(appendFloat(w.buf, p.count), '\n')
			}
			return w.flushFull() == nil
		})
	default:
		w.sets.each(s, f, func(set *set) bool { return w.openMetricsSet(s, f, set) == nil })
	}
}

// openMetricsSamples writes samples one by one.
func (w *Writer) openMetricsSamples(s *collect.Snapshot, f *family) {
	known := w.asKnown(f)
	for _, id := range f.Series {
		if known {
			w.buf = s.Layout.AppendText(w.buf, id)
		} else {
			w.labels = w.appendLabels(w.labels[:0], s.Layout, id)
			w.buf = f.appendSeries(w.buf, s.Layout.Name(id)[len(f.Name):], w.labels)
		}
		w.buf = append(appendFloat(append(w.buf, ' '), s.Value(id)), '\n')
		if born, told := s.Born(id); told && f.Type == discover.Counter {
			w.labels = w.appendLabels(w.labels[:0], s.Layout, id)
			w.openMetricsCreated(f, born)
		}
		if w.flushFull() != nil {
			return
		}
	}
}

// openMetricsSet writes what a histogram or summary has for one label set.
func (w *Writer) openMetricsSet(s *collect.Snapshot, f *family, set *set) error {
	w.labels = w.appendSetLabels(w.labels[:0], s.Layout, set)
	for _, p := range set.points {
		if f.bound == leLabel {
			w.openMetricsBound(f, bucketSuffix, p)
			w.buf = append(appendCount(w.buf, p.count), '\n')
		} else {
			w.openMetricsBound(f, "", p)
			w.buf = append(appendFloat(w.buf, p.count), '\n')
		}
	}
	w.buf = f.appendSeries(w.buf, sumSuffix, w.labels)
	w.buf = append(appendFloat(append(w.buf, ' '), set.sum), '\n')
	w.buf = f.appendSeries(w.buf, countSuffix, w.labels)
	w.buf = append(appendCount(append(w.buf, ' '), set.count), '\n')
	if set.told {
		w.openMetricsCreated(f, set.born)
	}
	return w.flushFull()
}

// openMetricsCreated writes since when the samples have been counted that have
// the labels w.labels.
func (w *Writer) openMetricsCreated(f *family, born time.Time) {
	declared := *f
	declared.shown = f.title
	w.buf = append(declared.appendSeries(w.buf, createdSuffix, w.labels), ' ')
	w.buf = append(appendFloat(w.buf, float64(born.UnixNano())/1e9), '\n')
}

// openMetricsBound writes what stands before the value of a bucket or quantile
// that has the labels w.labels.
func (w *Writer) openMetricsBound(f *family, suffix string, p point) {
	bare := len(w.labels)
	if bare > 0 {
		w.labels = append(w.labels, ',')
	}
	w.labels = append(append(append(append(w.labels, f.bound...), `="`...), p.text...), '"')
	w.buf = append(f.appendSeries(w.buf, suffix, w.labels), ' ')
	w.labels = w.labels[:bare]
}

// declared returns family, of our own, such that it can be declared beside the
// others: a counter whose name without _total is another's is of unknown type.
func declared(family *dto.MetricFamily, all []*dto.MetricFamily) *dto.MetricFamily {
	stem, ok := strings.CutSuffix(family.GetName(), totalSuffix)
	if !ok || family.GetType() != dto.MetricType_COUNTER {
		return family
	}
	for _, other := range all {
		if other.GetName() == stem {
			return untyped(family)
		}
	}
	return family
}

// untyped returns a counter as a family without a type.
func untyped(counter *dto.MetricFamily) *dto.MetricFamily {
	family := &dto.MetricFamily{Name: counter.Name, Help: counter.Help, Type: dto.MetricType_UNTYPED.Enum()}
	for _, m := range counter.Metric {
		family.Metric = append(family.Metric, &dto.Metric{
			Label: m.Label, Untyped: &dto.Untyped{Value: m.Counter.Value}, TimestampMs: m.TimestampMs,
		})
	}
	return family
}
