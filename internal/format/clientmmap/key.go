package clientmmap

import (
	"errors"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/jsonkey"
)

var errShape = errors.New("key is not a JSON array of family, sample, label names and label values")

// ParseKey parses raw, the key of an entry, into key. The result aliases raw.
// On error key is undefined.
//
// Label values that are not strings are what the gem prints for them: null is
// empty, everything else is its JSON text.
func ParseKey(raw []byte, key *format.Key) error {
	r, err := jsonkey.Open(raw, key, errShape)
	if err != nil {
		return err
	}
	if err := r.Lists(); err != nil {
		return err
	}
	return r.Close()
}
