package directfilestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"gitlab-metrics-exporter/internal/discover"
)

// MetadataName is the name of the document, in the directory of the files.
const MetadataName = "metrics.metadata.json"

// metadataVersion is the version of the document that is read.
const metadataVersion = 1

// Metadata is what an application says of its metrics, by name.
type Metadata map[string]Metric

// A Metric is what the files do not say of a metric.
type Metric struct {
	Type        discover.Type
	Help        string
	Aggregation Aggregation

	// Buckets are the declared bounds of a histogram, ascending, as the
	// application spells them in the label le, without +Inf; nil if it does not
	// say.
	Buckets []string
}

// document and entry are the JSON. Fields that are not here are ignored.
type (
	document struct {
		Version int               `json:"version"`
		Metrics []json.RawMessage `json:"metrics"`
	}
	entry struct {
		Name        string            `json:"name"`
		Type        string            `json:"type"`
		Help        string            `json:"help"`
		Aggregation *string           `json:"aggregation"`
		Buckets     []json.RawMessage `json:"buckets"`
	}
)

// ParseMetadata parses the document that an application writes about its
// metrics:
//
//	{"version": 1, "metrics": [
//	  {"name": "http_seconds", "type": "histogram", "help": "Duration of requests", "buckets": ["0.1", "1", "10.0"]},
//	  {"name": "threads", "type": "gauge", "help": "Threads", "aggregation": "max"}]}
//
// Without an aggregation a gauge is kept apart by process, and all else is
// summed. A bound is a string, or a number whose JSON text counts. Unknown
// fields are ignored. Everything else is refused, and the error names the metric:
// a type or aggregation that there is not, an aggregation of other types than the
// client allows, bounds that are not finite or do not ascend, or of something
// that is no histogram, a name that no metric can have, or that comes twice.
func ParseMetadata(data []byte) (Metadata, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, err
	}
	if d.Version != metadataVersion {
		return nil, fmt.Errorf("version is %d, not %d", d.Version, metadataVersion)
	}
	metadata := make(Metadata, len(d.Metrics))
	for i, raw := range d.Metrics {
		name, m, err := parseMetric(raw)
		if _, twice := metadata[name]; twice && err == nil {
			err = errors.New("name comes twice")
		}
		if err != nil {
			return nil, fmt.Errorf("metric %d, %.100q: %w", i+1, name, err)
		}
		metadata[name] = m
	}
	return metadata, nil
}

// parseMetric parses one metric. It returns the name with an error, too, if
// there is one.
func parseMetric(raw []byte) (name string, m Metric, err error) {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return e.Name, Metric{}, err
	}
	if !isName(e.Name) {
		return e.Name, Metric{}, errors.New("name is not letters, digits, underscores and colons, the first no digit")
	}
	m.Help = e.Help
	if m.Type, err = parseType(e.Type); err != nil {
		return e.Name, Metric{}, err
	}
	if m.Aggregation, err = parseAggregation(e.Aggregation, m.Type); err != nil {
		return e.Name, Metric{}, err
	}
	if e.Buckets != nil && m.Type != discover.Histogram {
		return e.Name, Metric{}, fmt.Errorf("a %s has no buckets", m.Type)
	}
	m.Buckets, err = parseBuckets(e.Buckets)
	return e.Name, m, err
}

func isName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func parseType(text string) (discover.Type, error) {
	for t := discover.Untyped; t <= discover.Summary; t++ {
		if t.String() == text {
			return t, nil
		}
	}
	return 0, fmt.Errorf("type %.100q is not known", text)
}

// parseAggregation parses the aggregation of a metric of type t; text may be
// nil.
func parseAggregation(text *string, t discover.Type) (Aggregation, error) {
	if text == nil {
		return defaultAggregation(t), nil
	}
	for a := Sum; a <= MostRecent; a++ {
		if a.String() != *text {
			continue
		}
		if a == MostRecent && t != discover.Gauge {
			return 0, fmt.Errorf("aggregation %s is for gauges, not for a %s", a, t)
		}
		return a, nil
	}
	return 0, fmt.Errorf("aggregation %.100q is not known", *text)
}

func parseBuckets(raw []json.RawMessage) (buckets []string, err error) {
	last := math.Inf(-1)
	for _, r := range raw {
		text, err := bucketText(r)
		if err != nil {
			return nil, err
		}
		bound, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(bound, 0) || math.IsNaN(bound) {
			return nil, fmt.Errorf("bucket %.100q is not a finite number", text)
		}
		if bound <= last {
			return nil, fmt.Errorf("bucket %.100q does not come after the one before it", text)
		}
		buckets, last = append(buckets, text), bound
	}
	return buckets, nil
}

// bucketText returns the content of a JSON string, or the text of a number.
func bucketText(raw json.RawMessage) (text string, err error) {
	if raw[0] != '"' {
		return string(raw), nil
	}
	err = json.Unmarshal(raw, &text)
	return text, err
}
