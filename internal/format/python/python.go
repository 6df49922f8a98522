// Package python knows the files of Python's prometheus_client in its
// multiprocess mode.
//
// They are framed as package frame says; an entry's length is that of the key
// alone, and since 0.18 a timestamp follows each value. It is in Unix seconds,
// and only gauges in the modes mostrecent and livemostrecent have one: elsewhere,
// and in such a gauge that was never set, it is 0.
//
// The key is a JSON array that names one series and describes its family, in
// ASCII with escapes for all else. The label names are sorted, the values are
// strings:
//
//	["http", "http_total", {"code": "200", "path": "/"}, "Requests."]
//	 family   sample name   labels                       help
//
// Files and keys have no version mark, and there have been four layouts:
//
//	until 0.3     [family, sample, [names], [values]]   value
//	until 0.15    [family, sample, {labels}]            value
//	until 0.17    [family, sample, {labels}, help]      value
//	since 0.18    [family, sample, {labels}, help]      value, timestamp
//
// Keys tell the first two; the last two look alike, but entries read in the
// wrong way do not end where the data does.
//
// Not every sample of the page is an entry. Each bucket of a histogram holds
// only what is in no smaller one, so that buckets have to be added up, and
// there is no count. The type, and a gauge's mode, are in the file's name.
//
// What is deliberately not like the library: one bad key does not cost the
// rest of the file.
package python

import (
	"bytes"
	"errors"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/jsonkey"
)

var errShape = errors.New("key is not a JSON array of family, sample, labels and help")

// ParseKey parses raw, the key of an entry, into key. The result aliases raw.
// On error key is undefined.
//
// The family of a counter is what the library's page calls it, so it has the
// _total that its samples have. Label values that are not strings, which the
// library does not write, are their JSON text, and null is empty. A label name
// that is there twice gives two labels.
func ParseKey(raw []byte, key *format.Key) error {
	r, err := jsonkey.Open(raw, key, errShape)
	if err != nil {
		return err
	}
	if err := readLabels(&r, key); err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	if name, ok := bytes.CutSuffix(key.Sample, total); ok && bytes.Equal(name, key.Family) {
		key.Family = key.Sample
	}
	return nil
}

var total = []byte("_total")

// readLabels reads the labels in either style, and the help if there is one.
func readLabels(r *jsonkey.Reader, key *format.Key) (err error) {
	if r.Next() == '[' {
		return r.Lists()
	}
	if err := r.Object(); err != nil || !r.Take(',') {
		return err
	}
	key.Help, err = r.Text()
	return err
}
