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

// A wording is the text of one series, cut where series have much in common:
// a histogram's differ only in the last part, and families share label sets.
//
//	name{labels,pid,bound}
type wording struct {
	name   []byte
	labels []byte // a="x",b="y"
	pid    []byte // pid="puma_0"
	bound  []byte // quantile="0.9" or le="0.5", or both
	saying
}

// saying is what the last part of a series' text says.
type saying struct {
	number   float64 // of the label le, or else of quantile; NaN if it is none
	quantile float64 // of the label quantile, the same
	flags    flags
}

// flags says what of the labels that histograms and summaries need is amiss.
type flags uint8

const (
	hasLe flags = 1 << iota
	noLe
	badLe // it is not a number
	hasQuantile
	noQuantile
	badQuantile
)

// word finds the text that identifies a series: that of the text format, with
// the labels in one fixed order, so that two keys name the same series exactly
// if their texts are equal. The text is appended to dst.
//
// Names that the text format does not know are spelled with underscores, as
// Prometheus' own escaping does by default.
func word(dst []byte, key *format.Key, from Origin) (wording, []byte, error) {
	if err := arrange(key, from); err != nil {
		return wording{}, dst, err
	}
	w := newWording()
	w.name = key.Sample
	rest := key.Labels
	w.labels, dst, rest = wordLabels(dst, rest, 0, key.Plain)
	w.pid, dst, rest = wordLabels(dst, rest, 1, false) // it may be the file name's
	for _, label := range rest {
		w.note(label)
	}
	w.bound, dst, _ = wordLabels(dst, rest, math.MaxInt, key.Plain)
	return w, dst, nil
}

// wordLabels appends the text of the first labels, those whose place is not
// behind last. Plain values need no escapes. It returns that text, dst and the
// other labels.
func wordLabels(dst []byte, labels []format.Label, last int, plain bool) (text, end []byte, rest []format.Label) {
	start := len(dst)
	for len(labels) > 0 && place(labels[0].Name) <= last {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, labels[0].Name...), '=', '"')
		if plain {
			dst = append(dst, labels[0].Value...)
		} else {
			dst = AppendEscaped(dst, labels[0].Value)
		}
		dst = append(dst, '"')
		labels = labels[1:]
	}
	return dst[start:len(dst):len(dst)], dst, labels
}

// newWording returns the wording of a series without a bound.
func newWording() wording {
	return wording{saying: saying{math.NaN(), math.NaN(), noLe | noQuantile}}
}

// note takes the label le or quantile into account.
func (w *wording) note(label format.Label) {
	has, missing, bad := hasLe, noLe, badLe
	if string(label.Name) == "quantile" {
		has, missing, bad = hasQuantile, noQuantile, badQuantile
	}
	value, err := parseBound(string(label.Value))
	if err != nil || math.IsNaN(value) {
		w.flags |= bad
		value = math.NaN()
	}
	w.flags = w.flags&^missing | has
	w.number = value // le comes behind quantile
	if has == hasQuantile {
		w.quantile = value
	}
}

// parseBound accepts what the readers of the text format accept.
func parseBound(s string) (float64, error) {
	if strings.ContainsAny(s, "pP_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

var (
	pidName = []byte("pid")
	leName  = []byte("le")
)

// arrange brings the names in key into the form that pages know, and its
// labels into their order. It adds the labels of the origin.
func arrange(key *format.Key, from Origin) error {
	key.Sample = pageName(key.Sample)
	for i := range key.Labels {
		spellLabel(&key.Labels[i])
	}
	if !slices.IsSortedFunc(key.Labels, byName) {
		slices.SortFunc(key.Labels, byName)
	}
	for i := 1; i < len(key.Labels); i++ {
		if bytes.Equal(key.Labels[i].Name, key.Labels[i-1].Name) {
			return errDuplicateLabel
		}
	}
	added := len(key.Labels)
	for _, label := range from.Labels {
		add(key, label)
	}
	if from.File.PerProcess {
		add(key, format.Label{Name: pidName, Value: []byte(from.File.PID)})
	}
	if len(key.Labels) > added {
		slices.SortFunc(key.Labels, byName)
	}
	return nil
}

// add adds a label, which another one of that name has to give way to.
func add(key *format.Key, label format.Label) {
	rename(key.Labels, label.Name)
	key.Labels = append(key.Labels, label)
	key.Plain = key.Plain && plain(label.Value)
}

// plain reports whether a value needs no escapes.
func plain(value []byte) bool { return !bytes.ContainsAny(value, "\"\\\n") }

// spellLabel gives a label the name that it is known by.
func spellLabel(l *format.Label) {
	spelled := classic(l.Name, false)
	if string(spelled) == "__name__" {
		l.Name = append([]byte(exported), spelled...)
		return
	}
	if !bytes.Equal(spelled, l.Name) {
		l.Raw = l.Name
	}
	l.Name = spelled
}

// rename gives the label called name, if there is one, a free name. No two
// labels may have the same name.
func rename(labels []format.Label, name []byte) {
	at := slices.IndexFunc(labels, func(l format.Label) bool { return bytes.Equal(l.Name, name) })
	if at < 0 {
		return
	}
	fresh := append([]byte(exported), name...)
	rename(labels, fresh)
	labels[at].Name, labels[at].Raw = fresh, nil
}

// byName orders labels by name, but the labels that families are arranged by
// come last, so that what stands before them is common to a whole histogram.
func byName(a, b format.Label) int {
	if c := cmp.Compare(place(a.Name), place(b.Name)); c != 0 {
		return c
	}
	return bytes.Compare(a.Name, b.Name)
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

// AppendEscaped appends a label value as it stands between quotes.
func AppendEscaped(dst, value []byte) []byte {
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
