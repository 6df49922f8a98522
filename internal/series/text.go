package series

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"gitlab-metrics-exporter/internal/format"
)

// Prefix starts the names of our own metrics. A sample of the application's
// that has it is renamed, so that the two cannot meet on a page.
const Prefix = "gme_"

// exported starts the new name of a name that we need ourselves. It is what
// Prometheus uses for the same purpose.
const exported = "exported_"

var errDuplicateLabel = errors.New("key has two labels of one name")

// line is the text of one series and what of it the page's order depends on.
type line struct {
	text  []byte  // sample{label="value",...}
	group int     // length of text without the label le or quantile and what follows
	bound float64 // what that label says; NaN if there is none or it is no number
	flags flags
}

// flags says what of the labels that histograms and summaries need is amiss.
type flags uint8

const (
	noLe flags = 1 << iota
	badLe
	noQuantile
	badQuantile
)

// appendLine appends the text that identifies a series: in the text format,
// and with its labels in one fixed order, so that two keys name the same
// series exactly if their texts are equal. perProcess adds the label pid.
//
// Names that the text format does not know are spelled with underscores, as
// Prometheus' own escaping does by default.
func appendLine(dst []byte, key *format.Key, perProcess bool, pid string) (line, error) {
	labels, err := arrange(key, perProcess)
	if err != nil {
		return line{}, err
	}
	if perProcess {
		labels = append(labels, format.Label{Name: pidName, Value: []byte(pid)})
		slices.SortFunc(labels, byName)
	}
	l := line{bound: math.NaN(), flags: noLe | noQuantile}
	dst = append(dst, key.Sample...)
	l.group = len(dst)
	for i, label := range labels {
		if i == 0 {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, label.Name...)
		dst = append(dst, '=', '"')
		dst = appendEscaped(dst, label.Value)
		dst = append(dst, '"')
		if !l.note(label) {
			l.group = len(dst)
		}
	}
	if len(labels) > 0 {
		dst = append(dst, '}')
	}
	l.text = dst
	return l, nil
}

// note takes a label into account if it is a bound.
func (l *line) note(label format.Label) bool {
	missing, bad := noLe, badLe
	switch string(label.Name) {
	case "le":
	case "quantile":
		missing, bad = noQuantile, badQuantile
	default:
		return false
	}
	value, err := parseBound(string(label.Value))
	if err != nil || math.IsNaN(value) {
		l.flags |= bad
		value = math.NaN()
	}
	l.flags &^= missing
	l.bound = value
	return true
}

// parseBound accepts what the readers of the text format accept. A number too
// large for a float64 is infinite, as there.
func parseBound(s string) (float64, error) {
	if strings.ContainsAny(s, "pP_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

var pidName = []byte("pid")

// arrange brings the names in key into the form that pages know, and its
// labels into their order.
func arrange(key *format.Key, perProcess bool) ([]format.Label, error) {
	key.Sample = pageName(key.Sample)
	for i := range key.Labels {
		name := &key.Labels[i].Name
		*name = classic(*name, false)
		if string(*name) == "__name__" {
			*name = append([]byte(exported), *name...)
		}
	}
	for perProcess && rename(key.Labels, pidName) {
	}
	slices.SortFunc(key.Labels, byName)
	for i := 1; i < len(key.Labels); i++ {
		if bytes.Equal(key.Labels[i].Name, key.Labels[i-1].Name) {
			return nil, errDuplicateLabel
		}
	}
	return key.Labels, nil
}

// rename gives the label called name, if there is one, a free name.
func rename(labels []format.Label, name []byte) bool {
	at := slices.IndexFunc(labels, func(l format.Label) bool { return bytes.Equal(l.Name, name) })
	if at < 0 {
		return false
	}
	fresh := append([]byte(exported), name...)
	for rename(labels, fresh) {
	}
	labels[at].Name = fresh
	return true
}

// byName orders labels by name, but the labels that families are arranged by
// come last, so that what stands before them is common to a whole histogram.
func byName(a, b format.Label) int {
	return cmp.Or(cmp.Compare(place(a.Name), place(b.Name)), bytes.Compare(a.Name, b.Name))
}

func place(name []byte) int {
	switch string(name) {
	case "pid":
		return 1
	case "quantile":
		return 2
	case "le":
		return 3
	}
	return 0
}

// pageName is the name that a family or sample has on a page.
func pageName(name []byte) []byte {
	name = classic(name, true)
	if bytes.HasPrefix(name, []byte(Prefix)) {
		name = append([]byte(exported), name...)
	}
	return name
}

// classic returns name with an underscore for each character that names do
// not have in the text format, or name itself.
func classic(name []byte, colons bool) []byte {
	valid := 0
	for valid < len(name) && inName(rune(name[valid]), valid, colons) {
		valid++
	}
	if valid == len(name) {
		return name
	}
	fixed := slices.Clone(name[:valid])
	for i, r := range string(name[valid:]) {
		if !inName(r, valid+i, colons) {
			r = '_'
		}
		fixed = append(fixed, byte(r))
	}
	return fixed
}

// inName reports whether r may stand at byte i of a name.
func inName(r rune, i int, colons bool) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' ||
		'0' <= r && r <= '9' && i > 0 || r == ':' && colons
}

// appendEscaped appends a label value as it stands between quotes.
func appendEscaped(dst, value []byte) []byte {
	done := 0
	for i, c := range value {
		switch c {
		case '\n':
			c = 'n'
		case '\\', '"':
		default:
			continue
		}
		dst = append(append(dst, value[done:i]...), '\\', c)
		done = i + 1
	}
	return append(dst, value[done:]...)
}
