package exposition

import (
	"strings"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/series"
)

// appendFamily appends the lines that introduce a family. In the help text, quotes
// are escaped too if that is wanted.
func appendFamily(dst []byte, f *family, typ string, quotes bool) []byte {
	dst = append(appendName(append(dst, "# HELP "...), f.title, f.quoted), ' ')
	dst = appendHelp(dst, f.Help, quotes)
	dst = appendName(append(dst, "\n# TYPE "...), f.title, f.quoted)
	return append(append(append(dst, ' '), typ...), '\n')
}

func appendHelp(dst []byte, help string, quotes bool) []byte {
	if quotes {
		return series.AppendEscaped(dst, []byte(help))
	}
	return append(dst, plainHelp.Replace(help)...)
}

// plainHelp escapes what the text format cannot have in a help text.
var plainHelp = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// AppendSample appends the line of the text format for one sample of a layout.
func AppendSample(dst []byte, layout *series.Layout, id series.ID, value float64) []byte {
	dst = append(layout.AppendText(dst, id), ' ')
	return append(AppendValue(dst, value), '\n')
}

func (w *Writer) textFamily(s *collect.Snapshot, f *family) {
	w.buf = appendFamily(w.buf, f, f.Type.String(), false)
	if w.asKnown(f) {
		for _, id := range f.Series {
			w.buf = AppendSample(w.buf, s.Layout, id, s.Value(id))
			if w.flushFull() != nil {
				return
			}
		}
		return
	}
	for _, id := range f.Series {
		w.labels = w.appendLabels(w.labels[:0], s.Layout, id)
		w.buf = f.appendSeries(w.buf, s.Layout.Name(id)[len(f.Name):], w.labels)
		w.buf = append(AppendValue(append(w.buf, ' '), s.Value(id)), '\n')
		if w.flushFull() != nil {
			return
		}
	}
}

// asKnown reports whether a family's series are written as what identifies
// them: their names and labels are classic, or the format wants them so.
func (w *Writer) asKnown(f *family) bool { return f.shown == f.Name && len(w.names.labels) == 0 }

// appendSeries appends what stands before a value: the name, which is the
// family's with a suffix, and the labels, given as text.
func (f *family) appendSeries(dst []byte, suffix string, labels []byte) []byte {
	if !f.quoted {
		dst = append(append(dst, f.shown...), suffix...)
		if len(labels) == 0 {
			return dst
		}
		dst = append(dst, '{')
	} else {
		dst = series.AppendEscaped(append(dst, `{"`...), []byte(f.shown))
		dst = append(append(dst, suffix...), '"')
		if len(labels) > 0 {
			dst = append(dst, ',')
		}
	}
	return append(append(dst, labels...), '}')
}

// appendLabels appends the text of all labels of a series.
func (w *Writer) appendLabels(dst []byte, l *series.Layout, id series.ID) []byte {
	for _, part := range l.Parts(id) {
		dst = w.appendPart(dst, l.PartText(part))
	}
	return dst
}

// appendSetLabels appends the text of the labels of a set.
func (w *Writer) appendSetLabels(dst []byte, l *series.Layout, set *set) []byte {
	parts := l.Parts(set.id)
	dst = w.appendPart(dst, l.PartText(parts[0]))
	dst = w.appendPart(dst, l.PartText(parts[1]))
	return w.appendPart(dst, set.rest)
}

// appendPart appends labels, a="x",b="y", behind others.
func (w *Writer) appendPart(dst, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	if len(w.names.labels) == 0 {
		return append(dst, text...)
	}
	for len(text) > 0 {
		name, value, rest := series.CutLabel(text)
		if shown, renamed := w.names.label(name); renamed {
			dst = appendName(dst, shown, !isClassicLabel(shown))
		} else {
			dst = append(dst, name...)
		}
		dst = append(append(append(dst, `="`...), value...), '"')
		if text = rest; len(text) > 0 {
			dst = append(dst, ',')
		}
	}
	return dst
}
