package cardinality

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// What is shown at most of what a file holds: names and values may be as long
// as files are.
const (
	maxText  = 100 // characters
	maxNames = 12  // labels of one family
)

// Clip returns text as it can be shown: valid UTF-8, and cut, with an ellipsis,
// if it is very long.
func Clip(text string) string {
	runes := 0
	for at := range text {
		if runes++; runes == maxText {
			if _, size := utf8.DecodeRuneInString(text[at:]); at+size < len(text) {
				text = text[:at] + "…"
			}
			break
		}
	}
	return strings.ToValidUTF8(strings.Clone(text), "\uFFFD")
}

// Head returns the first n of a list, and how many there are more. The rest can go.
func Head[T any](list []T, n int) (kept []T, more int) {
	if len(list) <= n {
		return list, 0
	}
	return slices.Clone(list[:n]), len(list) - n
}

func (f *Family) clip() {
	f.Name = Clip(f.Name)
	f.Labels, f.LabelsMore = Head(f.Labels, maxNames)
	for i, name := range f.Labels {
		f.Labels[i] = Clip(name)
	}
}

func (l *Label) clip() {
	l.Name = Clip(l.Name)
	for i := range l.Top {
		l.Top[i].Value = Clip(l.Top[i].Value)
	}
}
