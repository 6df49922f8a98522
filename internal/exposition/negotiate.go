package exposition

import (
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Format is a format that pages are written in. The zero value is Text.
// Formats can be compared.
type Format struct {
	kind     kind
	version  version
	escaping escaping
	named    bool // the Content-Type says how names are escaped
}

type kind uint8

const (
	text kind = iota
	openMetrics
	protobuf
)

// version is that of OpenMetrics. What we write is the same in both.
type version uint8

const (
	version100 version = iota
	version001
)

// escaping says what becomes of names that are not classic: that have other
// characters than ASCII letters, digits, underscores and colons.
type escaping uint8

const (
	underscores escaping = iota // the name that identifies the series; what old readers want
	allowUTF8                   // as they are, quoted
	dots                        // a.b becomes a_dot_b
	values                      // a.b becomes U__a_2e_b
)

// The formats, with underscores in names that are not classic.
var (
	Text        = Format{}
	OpenMetrics = Format{kind: openMetrics}
	Protobuf    = Format{kind: protobuf} // families of io.prometheus.client, each behind its length
)

// TextType is the Content-Type of Text.
const TextType = string(expfmt.FmtText)

// Negotiate returns the format for a client that sent this Accept header, which
// may be empty: the one that it likes best, or Text. OpenMetrics is only
// considered if it is on: see docs/formats/exposition.md for what that changes.
func Negotiate(accept string, openMetricsOn bool) Format {
	offers := []expfmt.Format{expfmt.FmtProtoDelim, expfmt.FmtText}
	if openMetricsOn {
		offers = append([]expfmt.Format{expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1}, offers...)
	}
	best := expfmt.NegotiateAccept(map[string][]string{"Accept": {accept}}, offers...)
	f := Format{named: strings.Contains(accept, model.EscapingKey)}
	switch best.FormatType() {
	case expfmt.TypeOpenMetrics:
		f.kind = openMetrics
		if best.Version() == expfmt.OpenMetricsVersion_0_0_1 {
			f.version = version001
		}
	case expfmt.TypeProtoDelim:
		f.kind = protobuf
	}
	switch best.ToEscapingScheme() {
	case model.NoEscaping:
		f.escaping = allowUTF8
	case model.DotsEscaping:
		f.escaping = dots
	case model.ValueEncodingEscaping:
		f.escaping = values
	}
	return f
}

// ContentType returns the format's Content-Type. It says how names are escaped
// if the client has asked for anything there, which old ones do not.
func (f Format) ContentType() string {
	var name expfmt.Format
	switch f.kind {
	case text:
		name = expfmt.FmtText
	case protobuf:
		name = expfmt.FmtProtoDelim
	case openMetrics:
		name = [...]expfmt.Format{version100: expfmt.FmtOpenMetrics_1_0_0, version001: expfmt.FmtOpenMetrics_0_0_1}[f.version]
	}
	if f.named {
		name = name.WithEscapingScheme(f.escaping.scheme())
	}
	return string(name)
}

func (e escaping) scheme() model.EscapingScheme {
	return [...]model.EscapingScheme{
		underscores: model.UnderscoreEscaping, allowUTF8: model.NoEscaping,
		dots: model.DotsEscaping, values: model.ValueEncodingEscaping,
	}[e]
}
