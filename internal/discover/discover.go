// Package discover turns a directory into the metric files in it.
//
// It opens no file: everything it says of a file comes from the file's name.
// The client libraries encode there what the bytes do not say:
//
//	<type>[_<gauge mode>]_<process>-<n>.db   the Ruby gem prometheus-client-mmap
//	<type>[_<gauge mode>]_<process>.db       Python's prometheus_client
//	metric_<name>___<process>.bin            Ruby's prometheus-client, DirectFileStore
//
//	counter_puma_0-0.db          counter
//	gauge_livesum_puma_0-0.db    gauge, summed over processes
//	gauge_all_sidekiq_1-0.db     gauge, one series per process, pid="sidekiq_1"
//	metric_http_seconds___77.bin whatever the application declared http_seconds to be
//
// How a name is taken apart is the client library's own rule, oddities
// included (see [Parse]), so that a file means the same to both. Which of the first
// two wrote a file only its bytes tell.
package discover

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Suffixes of the names of metric files.
const (
	mmapSuffix  = ".db"
	storeSuffix = ".bin"
	storePrefix = "metric_"
)

// A Format is an on-disk format of metric files. The zero value stands for one
// that is not known: a file without entries does not say which it is.
type Format uint8

// The formats.
const (
	NoFormat        Format = iota
	ClientMmap             // of the Ruby gem prometheus-client-mmap
	Python                 // of Python's prometheus_client
	DirectFileStore        // of the Ruby gem prometheus-client
)

// Formats are the names of all formats that there are, in their order.
var Formats = []string{"client-mmap", "python", "direct-file-store"}

// String returns the format's name, "-" if it is not known.
func (f Format) String() string {
	if f == NoFormat {
		return "-"
	}
	return Formats[f-1]
}

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
	Sum        Rule = iota // added in byte order of the file names
	Min                    // the smallest; NaN only if all are
	Max                    // the largest; NaN only if all are
	Last                   // that of the last file
	MostRecent             // the one with the greatest timestamp; none if no file has one above zero
)

// A File is a metric file, as its name describes it.
type File struct {
	Name   string // within its directory
	Format Format // as far as it is known
	Type   Type
	Rule   Rule

	// PerProcess keeps the series of processes apart by a label pid.
	PerProcess bool

	// OwnCounts is true of histograms whose buckets count what is in themselves
	// alone, and not what is in smaller ones, too; and which have no total count.
	OwnCounts bool

	// TypeText and Mode are the type and the gauge mode, as spelled. In files of
	// client-mmap they are just the first two parts of the name: there the mode
	// means nothing for other types.
	TypeText, Mode string

	// PID is the text that identifies the writing process: a number, or
	// what the application calls it, such as "puma_0". It is empty for files
	// of client-mmap whose name says the process where gauges say their mode.
	PID string

	// Metric is the one metric whose series the file has; "" if it may have any.
	Metric string
}

// modes are those of gauges, one of few texts each.
var modes = []string{
	"all", "liveall", "sum", "livesum", "min", "livemin", "max", "livemax", "mostrecent", "livemostrecent", "most_recent",
}

// GaugeMode returns the mode of a gauge's file, "other" if it is not known, and
// "" for files of other types: one of few texts.
func (f File) GaugeMode() string {
	switch {
	case f.Type != Gauge:
		return ""
	case slices.Contains(modes, f.Mode):
		return f.Mode
	}
	return "other"
}

// Process returns the text that identifies the writing process, whatever the
// file's type is.
func (f File) Process() string {
	switch {
	case f.Type == Gauge || f.Format > ClientMmap:
		return f.PID
	case f.PID == "":
		return f.Mode
	}
	return f.Mode + "_" + f.PID
}

// Live reports whether the file's gauges count only as long as their process
// lives.
func (f File) Live() bool { return f.Type == Gauge && strings.HasPrefix(f.Mode, "live") }

// Parse takes the name of a metric file apart. It returns an error if the
// name is not one that a client library gives. If the format is not known, it is
// that of client-mmap for names in .db, and stays unknown in the File.
func Parse(name string, format Format) (File, error) {
	f, err := parse(name, format)
	if err == nil && f.PerProcess && !utf8.ValidString(f.PID) {
		err = fmt.Errorf("file name is not valid UTF-8")
	}
	if err != nil {
		return File{}, err
	}
	f.Name, f.Format = name, format
	return f, nil
}

func parse(name string, format Format) (File, error) {
	if base, ok := strings.CutSuffix(name, storeSuffix); ok {
		return parseStore(base)
	}
	base, ok := strings.CutSuffix(name, mmapSuffix)
	switch {
	case !ok:
		return File{}, fmt.Errorf("file name ends neither in %s nor in %s", mmapSuffix, storeSuffix)
	case strings.HasPrefix(base, "exemplar_"):
		return File{}, fmt.Errorf("file holds exemplars, which are not read")
	case format == Python:
		return parsePython(base)
	}
	return parseMmap(base)
}

// parseMmap is what the reader of the gem does: the base name is split at
// underscores, and each part loses one trailing "-<digits>"; the first part is
// the type, the second the mode, the rest, joined again, the process. A type
// that is not known is untyped and summed, as there.
func parseMmap(base string) (File, error) {
	// Underscores at the end are nothing to the client library either.
	parts := strings.Split(strings.TrimRight(base, "_"), "_")
	for i, part := range parts {
		parts[i] = trimNumber(part)
	}
	if len(parts) < 2 {
		return File{}, fmt.Errorf("file name is not <type>_<process>%s or gauge_<mode>_<process>%s", mmapSuffix, mmapSuffix)
	}
	f := File{TypeText: parts[0], Mode: parts[1], PID: strings.Join(parts[2:], "_")}
	f.Type = typeOf(f.TypeText)
	if f.Type == Gauge {
		f.Rule, f.PerProcess = mmapRule(f.Mode)
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

// parsePython is what the library does, but that a process may have any name: the
// library takes what stands before its first underscore.
func parsePython(base string) (File, error) {
	typeText, rest, _ := strings.Cut(base, "_")
	f := File{TypeText: typeText, Type: typeOf(typeText), PID: rest}
	if f.Type == Gauge {
		f.Mode, f.PID, _ = strings.Cut(rest, "_")
		f.Rule, f.PerProcess = pythonRule(strings.TrimPrefix(f.Mode, "live"))
	}
	if f.PID == "" {
		return File{}, fmt.Errorf("file name is not <type>_<process>%s or gauge_<mode>_<process>%s", mmapSuffix, mmapSuffix)
	}
	f.OwnCounts = f.Type == Histogram
	return f, nil
}

// parseStore splits where the gem joins, but at the last place, so that no file is
// taken for that of another metric. What the metric is, and how its files are
// merged, the name does not say.
func parseStore(base string) (File, error) {
	base, ok := strings.CutPrefix(base, storePrefix)
	at := strings.LastIndex(base, "___")
	if !ok || at <= 0 || at+3 == len(base) {
		return File{}, fmt.Errorf("file name is not %s<name>___<process>%s", storePrefix, storeSuffix)
	}
	return File{Metric: base[:at], PID: base[at+3:], Rule: Last, PerProcess: true}, nil
}

func typeOf(text string) Type {
	if at := slices.Index(typeNames[:], text); at > 0 {
		return Type(at)
	}
	return Untyped
}

// mmapRule maps a gauge mode to its rule, and whether processes are kept apart. A
// mode that is not known is like "all", as in the client libraries: no value is
// lost that way.
func mmapRule(mode string) (rule Rule, perProcess bool) {
	switch mode {
	case "livesum":
		return Sum, false
	case "min":
		return Min, false
	case "max":
		return Max, false
	}
	return Last, true
}

// pythonRule is the same for Python's modes, without the word live, which says
// nothing of how values are merged.
func pythonRule(mode string) (rule Rule, perProcess bool) {
	switch mode {
	case "sum":
		return Sum, false
	case "min":
		return Min, false
	case "max":
		return Max, false
	case "mostrecent":
		return MostRecent, false
	}
	return Last, true
}

// Open opens the directory at path, and nothing else.
func Open(path string) (*os.File, error) {
	// Not blocking: a pipe of that name would wait for its writer for ever.
	return os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// Names returns the names in dir that files of a format may have, or of any if that
// is [NoFormat], in byte order: not those that start with a dot. It does not look
// into subdirectories, and it is to be called once.
func Names(dir *os.File, format Format) ([]string, error) {
	all, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	return metrics(all, format), nil
}

// metrics are the names of a listing that files of a format may have, in order. A
// listing may have a name twice, if its file is replaced meanwhile: POSIX leaves that
// open, and the tmpfs of Linux 6.6 is one that does it. The file counts once.
func metrics(listing []string, format Format) []string {
	names := slices.DeleteFunc(listing, func(name string) bool { return !isMetric(name, format) })
	slices.Sort(names)
	return slices.Compact(names)
}

func isMetric(name string, format Format) bool {
	return strings.HasSuffix(name, mmapSuffix) && name[0] != '.' && format != DirectFileStore ||
		IsStore(name) && (format == NoFormat || format == DirectFileStore)
}

// IsStore reports whether a name may be that of a file of DirectFileStore.
func IsStore(name string) bool {
	return strings.HasSuffix(name, storeSuffix) && strings.HasPrefix(name, storePrefix)
}
