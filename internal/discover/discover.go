// Package discover turns a directory into the metric files in it.
//
// It opens no file: everything it says of a file comes from the file's name.
// The client library encodes there what its bytes do not say:
//
//	<type>[_<gauge mode>]_<pid text>-<n>.db
//
//	counter_puma_0-0.db          counter
//	gauge_livesum_puma_0-0.db    gauge, summed over processes
//	gauge_all_sidekiq_1-0.db     gauge, one series per process, pid="sidekiq_1"
//
// How a name is taken apart is the client library's own rule, oddities
// included (see [Parse]), so that a file means the same to both.
package discover

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Suffix ends the name of every metric file.
const Suffix = ".db"

// A Type is the type of a metric family, as the exposition formats know it.
// The zero value is Untyped.
type Type uint8

// The metric types, in the order in which their files are read.
const (
	Untyped Type = iota
	Counter
	Gauge
	Histogram
	Summary
)

var typeNames = [...]string{"untyped", "counter", "gauge", "histogram", "summary"}

// String returns the type's name in the text format.
func (t Type) String() string { return typeNames[t] }

// A Rule says how the values of one series in several files become one value.
// The zero value is Sum.
type Rule uint8

// The merge rules.
const (
	Sum  Rule = iota // added in byte order of the file names
	Min              // the smallest; NaN only if all are
	Max              // the largest; NaN only if all are
	Last             // kept apart by process, in a label pid; the last file of a process wins
)

// PerProcess reports whether the rule keeps processes apart by a label pid.
func (r Rule) PerProcess() bool { return r == Last }

// A File is a metric file, as its name describes it.
type File struct {
	Name string // within its directory
	Type Type
	Rule Rule

	// TypeText and Mode are the first two parts of the name, as spelled. Mode
	// is the gauge mode; it means nothing for other types.
	TypeText, Mode string

	// PID is the text that identifies the writing process: a number, or
	// what the application calls it, such as "puma_0". It is empty for files
	// whose name says the process where gauges say their mode.
	PID string
}

// GaugeMode returns the mode of a gauge's file, "other" if it is not known, and
// "" for files of other types: one of few texts.
func (f File) GaugeMode() string {
	switch {
	case f.Type != Gauge:
		return ""
	case slices.Contains([]string{"all", "liveall", "livesum", "min", "max"}, f.Mode):
		return f.Mode
	}
	return "other"
}

// Process returns the text that identifies the writing process, whatever the
// file's type is.
func (f File) Process() string {
	switch {
	case f.Type == Gauge:
		return f.PID
	case f.PID == "":
		return f.Mode
	}
	return f.Mode + "_" + f.PID
}

// Parse takes the name of a metric file apart. It returns an error if the
// name is not one that the client library gives.
//
// The rule is the client library's reader's: the base name is split at
// underscores, and each part loses one trailing "-<digits>"; the first part is
// the type, the second the mode, the rest, joined again, the process. A type
// that is not known is untyped and summed, as there.
func Parse(name string) (File, error) {
	base, ok := strings.CutSuffix(name, Suffix)
	if !ok {
		return File{}, fmt.Errorf("file name does not end in %s", Suffix)
	}
	// Underscores at the end are nothing to the client library either.
	parts := strings.Split(strings.TrimRight(base, "_"), "_")
	for i, part := range parts {
		parts[i] = trimNumber(part)
	}
	if len(parts) < 2 {
		return File{}, fmt.Errorf("file name is not <type>_<process>%s or gauge_<mode>_<process>%s", Suffix, Suffix)
	}
	if parts[0] == "exemplar" {
		return File{}, fmt.Errorf("file holds exemplars, which are not read")
	}
	f := File{Name: name, TypeText: parts[0], Mode: parts[1], PID: strings.Join(parts[2:], "_")}
	f.Type, f.Rule = classify(f.TypeText, f.Mode)
	if f.Rule.PerProcess() && !utf8.ValidString(f.PID) {
		return File{}, fmt.Errorf("file name is not valid UTF-8")
	}
	return f, nil
}

// trimNumber removes one trailing "-<digits>".
func trimNumber(part string) string {
	at := strings.LastIndexByte(part, '-')
	if at < 0 || at == len(part)-1 || strings.Trim(part[at+1:], "0123456789") != "" {
		return part
	}
	return part[:at]
}

func classify(typeText, mode string) (Type, Rule) {
	switch typeText {
	case "counter":
		return Counter, Sum
	case "histogram":
		return Histogram, Sum
	case "summary":
		return Summary, Sum
	case "gauge":
		return Gauge, gaugeRule(mode)
	}
	return Untyped, Sum
}

// gaugeRule maps a gauge mode to its rule. A mode that is not known is like
// "all", as in the client library: no value is lost that way.
func gaugeRule(mode string) Rule {
	switch mode {
	case "livesum":
		return Sum
	case "min":
		return Min
	case "max":
		return Max
	}
	return Last
}

// Names returns the names in dir that end in [Suffix] and do not start with a
// dot, in byte order. It does not look into subdirectories.
func Names(dir string) ([]string, error) {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool {
		return !strings.HasSuffix(name, Suffix) || strings.HasPrefix(name, ".")
	})
	slices.Sort(names)
	return names, nil
}
