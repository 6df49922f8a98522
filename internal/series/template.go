package series

import (
	"bytes"

	"gitlab-metrics-exporter/internal/format"
)

// A template is a key that was parsed, of a histogram's bucket: the next keys
// will be like it, but for the bound. Those need not be parsed, which spares
// most of the work of learning a large directory.
type template struct {
	source *Source // the pass that the key was met in, nil if there is none
	raw    []byte  // the key
	from   int     // where the value of its label le begins
	to     int     // and ends
	line   line
	sample uint32
	count  ID // see record
}

// note makes the key raw, which was parsed into key and is the given line, the
// template if it can be one.
func (m *template) note(raw []byte, key *format.Key, source *Source, l line, sample uint32, count ID) {
	m.source = nil
	if source.kind.own && count == None {
		return // its bound is no number: others will have a total count
	}
	for _, label := range key.Labels {
		switch string(label.Name) {
		case "quantile":
			return // it shares a part with le
		case "le":
			if label.At > 0 {
				m.source, m.line, m.sample, m.count = source, l, sample, count
				m.raw = append(m.raw[:0], raw...)
				m.from, m.to = label.At, label.At+len(label.Value)
			}
		}
	}
}

// bound returns the value of the label le of the key raw, if that is all in
// which it differs from the template. Then raw is as good JSON as that: what
// it has instead is plain text, too, between the same quotes.
func (m *template) bound(raw []byte, source *Source) (le []byte, ok bool) {
	end := len(raw) - (len(m.raw) - m.to)
	if m.source != source || end < m.from ||
		!bytes.Equal(raw[end:], m.raw[m.to:]) || !bytes.Equal(raw[:m.from], m.raw[:m.from]) {
		return nil, false
	}
	le = raw[m.from:end]
	for _, c := range le {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return le, true
}
