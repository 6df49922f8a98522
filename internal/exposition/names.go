package exposition

import (
	"strings"

	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/series"
)

// names are the names on a page that are not those which identify series. The
// zero value has none.
type names struct{ families, labels map[string]string }

// namesOf returns what becomes of raw names. Nothing, if they are classic. A
// name that would meet another one as it is escaped stays what it is known by.
func namesOf(l *series.Layout, e escaping) names {
	if e == underscores || l.Raw == nil {
		return names{}
	}
	return names{
		families: escapeAll(l.Raw.Families, e, stemOf, isClassic),
		labels:   escapeAll(l.Raw.Labels, e, func(name string) string { return name }, isClassicLabel),
	}
}

// escapeAll returns the names to be shown for raw names by the names that they
// are known by. All names must be there, those that are themselves and, with "",
// those that stand for several. Names of which space returns the same are in
// each other's way; those that are not valid cannot be shown, nor, to Prometheus,
// those with a zero byte.
func escapeAll(raw map[string]string, e escaping, space func(string) string, valid func(string) bool) map[string]string {
	shown := map[string]string{}
	users := map[string]int{space(model.MetricNameLabel): 1}
	for name, is := range raw {
		users[space(name)]++
		if is == "" || is == name {
			continue
		}
		escaped := model.EscapeName(is, e.scheme())
		if e == allowUTF8 && strings.Contains(is, "\x00") || e != allowUTF8 && !valid(escaped) {
			continue
		}
		shown[name] = escaped
		if space(escaped) != space(name) {
			users[space(escaped)]++
		}
	}
	for name, escaped := range shown {
		if e != allowUTF8 && users[space(escaped)] > 1 {
			delete(shown, name)
		}
	}
	return shown
}

// stemOf returns a family's name without what formats append to names, so that
// families of different stems cannot meet.
func stemOf(name string) string {
	for again := true; again; {
		again = false
		for _, suffix := range [...]string{bucketSuffix, sumSuffix, countSuffix, totalSuffix, createdSuffix} {
			if stem, ok := strings.CutSuffix(name, suffix); ok {
				name, again = stem, true
			}
		}
	}
	return name
}

func (n *names) family(name string) string {
	if shown, ok := n.families[name]; ok {
		return shown
	}
	return name
}

// label returns the label name to be shown.
func (n *names) label(name []byte) (shown string, renamed bool) {
	shown, renamed = n.labels[string(name)]
	return shown, renamed
}

// appendName appends a name as it stands where one is expected.
func appendName(dst []byte, name string, quoted bool) []byte {
	if !quoted {
		return append(dst, name...)
	}
	return append(series.AppendEscaped(append(dst, '"'), []byte(name)), '"')
}

// isClassic reports whether a metric name needs no quotes; isClassicLabel, a
// label name.
func isClassic(name string) bool      { return model.LegacyValidation.IsValidMetricName(name) }
func isClassicLabel(name string) bool { return model.LegacyValidation.IsValidLabelName(name) }
