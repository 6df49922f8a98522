package series

import (
	"bytes"

	"gitlab-metrics-exporter/internal/format"
)

// A template is the key of a histogram's bucket that was learnt: the next keys
// will be like it, but for the bound. That is found out faster than what pattern a
// key has, and most keys of histograms are such.
type template struct {
	source *Source // the pass that the key was met in, nil if there is none
	raw    []byte  // the key
	le     stretch // where the value of its label le is
	line   line
	sample uint32
	total  uint32 // see record
}

// note makes the key raw, which was parsed into key and is the given line, the
// template if it can be one.
func (m *template) note(raw []byte, key *format.Key, source *Source, l line, sample, total uint32) {
	m.source = nil
	if source.kind.own && total == 0 {
		return // its bound is no number: others will have a total count
	}
	for _, label := range key.Labels {
		switch string(label.Name) {
		case "quantile":
			return // it shares a part with le
		case "le":
			if label.At > 0 {
				m.set(raw, stretch{label.At, label.At + len(label.Value)}, source, l, sample, total)
			}
		}
	}
}

// set makes the key raw the template, the value of whose label le is at le.
func (m *template) set(raw []byte, le stretch, source *Source, l line, sample, total uint32) {
	*m = template{source, append(m.raw[:0], raw...), le, l, sample, total}
}

// bound returns the value of the label le of the key raw, if that is all in
// which it differs from the template. Then raw is as good JSON as that: what
// it has instead is plain text, too, between the same quotes.
func (m *template) bound(raw []byte, source *Source) (le []byte, ok bool) {
	end := len(raw) - (len(m.raw) - m.le.to)
	if m.source != source || end < m.le.from ||
		!bytes.Equal(raw[end:], m.raw[m.le.to:]) || !bytes.Equal(raw[:m.le.from], m.raw[:m.le.from]) {
		return nil, false
	}
	le = raw[m.le.from:end]
	for _, c := range le {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return le, true
}
