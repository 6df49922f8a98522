package exposition

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/series"
)

// Numbers of the fields of io.prometheus.client, as far as we fill them. All
// are below 16, so that a tag is one byte.
const (
	familyName, familyHelp, familyType, familyMetric = 1, 2, 3, 4

	metricLabel, metricGauge, metricCounter, metricSummary, metricUntyped, metricHistogram = 1, 2, 3, 4, 5, 7

	labelName, labelValue = 1, 2

	simpleValue = 1 // of a gauge, counter or untyped metric

	setCount, setSum, setPoints = 1, 2, 3 // of a histogram or summary

	counterCreated, summaryCreated, histogramCreated = 3, 4, 15

	timeSeconds, timeNanos = 1, 2

	bucketCount, bucketBound = 1, 2

	quantileBound, quantileValue = 1, 2
)

var protobufTypes = [...]dto.MetricType{
	discover.Untyped:   dto.MetricType_UNTYPED,
	discover.Counter:   dto.MetricType_COUNTER,
	discover.Gauge:     dto.MetricType_GAUGE,
	discover.Histogram: dto.MetricType_HISTOGRAM,
	discover.Summary:   dto.MetricType_SUMMARY,
}

var simpleFields = [...]protowire.Number{
	discover.Untyped: metricUntyped, discover.Counter: metricCounter, discover.Gauge: metricGauge,
}

// protobufFamily writes a family as one message behind its length.
func (w *Writer) protobufFamily(s *collect.Snapshot, f *family) {
	m := w.message[:0]
	m = appendString(m, familyName, f.shown)
	m = appendString(m, familyHelp, f.Help)
	m = appendVarint(m, familyType, uint64(protobufTypes[f.Type]))
	if f.bound == "" {
		m = w.appendSamples(m, s, f)
	} else {
		w.sets.each(s, f, func(set *set) bool {
			m = w.appendSet(m, s.Layout, f, set)
			return true
		})
	}
	w.message = m
	w.buf = protowire.AppendVarint(w.buf, uint64(len(m)))
	if len(m) > bufferSize { // no need for another copy
		if w.Flush() == nil {
			_, w.err = w.to.Write(m)
		}
		w.message = emptied(m)
		return
	}
	w.buf = append(w.buf, m...)
	w.flushFull()
}

// appendSamples appends a metric for each series.
func (w *Writer) appendSamples(m []byte, s *collect.Snapshot, f *family) []byte {
	for _, id := range f.Series {
		var at int
		m, at = open(m, familyMetric)
		for _, part := range s.Layout.Parts(id) {
			m = w.appendPairs(m, s.Layout.PartText(part))
		}
		var simple int
		m, simple = open(m, simpleFields[f.Type])
		m = appendDouble(m, simpleValue, s.Value(id))
		if born, told := s.Born(id); told && f.Type == discover.Counter {
			m = appendTime(m, counterCreated, born)
		}
		m = shut(shut(m, simple), at)
	}
	return m
}

// appendSet appends the metrics that a family has for one label set: one, or
// one for each bound if it is neither a histogram nor a summary.
func (w *Writer) appendSet(m []byte, l *series.Layout, f *family, set *set) []byte {
	w.labels = w.labels[:0]
	parts := l.Parts(set.id)
	for _, text := range [...][]byte{l.PartText(parts[0]), l.PartText(parts[1]), set.rest} {
		w.labels = w.appendPairs(w.labels, text)
	}
	if f.Type == discover.Untyped {
		for _, p := range set.points {
			var at int
			m, at = open(m, familyMetric)
			m = appendPair(append(m, w.labels...), []byte(f.bound), []byte(p.text))
			m = shut(appendUntyped(m, p.count), at)
		}
		return m
	}
	m, metric := open(m, familyMetric)
	m = append(m, w.labels...)
	if f.Type == discover.Histogram {
		m = appendHistogram(m, set)
	} else {
		m = appendSummary(m, set)
	}
	return shut(m, metric)
}

// appendTime appends a time as google.protobuf.Timestamp.
func appendTime(m []byte, field protowire.Number, at time.Time) []byte {
	m, message := open(m, field)
	m = appendVarint(m, timeSeconds, uint64(at.Unix()))
	if nanos := at.Nanosecond(); nanos > 0 {
		m = appendVarint(m, timeNanos, uint64(nanos))
	}
	return shut(m, message)
}

func appendHistogram(m []byte, set *set) []byte {
	m, at := open(m, metricHistogram)
	m = appendDouble(appendVarint(m, setCount, uint64(set.count)), setSum, set.sum)
	for _, p := range set.points {
		var bucket int
		m, bucket = open(m, setPoints)
		m = appendDouble(appendVarint(m, bucketCount, uint64(p.count)), bucketBound, p.value)
		m = shut(m, bucket)
	}
	if set.told {
		m = appendTime(m, histogramCreated, set.born)
	}
	return shut(m, at)
}

func appendSummary(m []byte, set *set) []byte {
	m, at := open(m, metricSummary)
	m = appendDouble(appendVarint(m, setCount, uint64(set.count)), setSum, set.sum)
	for _, p := range set.points {
		var quantile int
		m, quantile = open(m, setPoints)
		m = appendDouble(appendDouble(m, quantileBound, p.value), quantileValue, p.count)
		m = shut(m, quantile)
	}
	if set.told {
		m = appendTime(m, summaryCreated, set.born)
	}
	return shut(m, at)
}

func appendUntyped(m []byte, value float64) []byte {
	m, at := open(m, metricUntyped)
	return shut(appendDouble(m, simpleValue, value), at)
}

// appendPairs appends labels, given as text.
func (w *Writer) appendPairs(m, text []byte) []byte {
	for len(text) > 0 {
		var name, value []byte
		name, value, text = series.CutLabel(text)
		if shown, renamed := w.names.label(name); renamed {
			name = []byte(shown)
		}
		m = appendPair(m, name, value)
	}
	return m
}

// appendPair appends a label, given as text.
func appendPair(m, name, value []byte) []byte {
	m, at := open(m, metricLabel)
	m = protowire.AppendBytes(protowire.AppendTag(m, labelName, protowire.BytesType), name)
	m = protowire.AppendBytes(protowire.AppendTag(m, labelValue, protowire.BytesType), series.Unescape(value))
	return shut(m, at)
}

func appendString(m []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), s)
}

func appendVarint(m []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func appendDouble(m []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(m, field, protowire.Fixed64Type), math.Float64bits(v))
}

// open begins a message within m. Its length comes to stand before at, once
// shut knows it.
func open(m []byte, field protowire.Number) (opened []byte, at int) {
	m = append(protowire.AppendTag(m, field, protowire.BytesType), 0)
	return m, len(m)
}

// shut ends the message that open began at at.
func shut(m []byte, at int) []byte {
	n := len(m) - at
	if n < 1<<7 { // one byte, which is there
		m[at-1] = byte(n)
		return m
	}
	var length [10]byte
	prefix := protowire.AppendVarint(length[:0], uint64(n))
	m = append(m, prefix[1:]...)
	copy(m[at-1+len(prefix):], m[at:at+n])
	copy(m[at-1:], prefix)
	return m
}
