package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
)

// Variables that name directories. Those of the client libraries name one, as it
// is; ours may name several, one a line, with labels.
const (
	dirVariable    = "GME_MMAP_METRICS_DIR"
	rubyVariable   = "prometheus_multiproc_dir"
	pythonVariable = "PROMETHEUS_MULTIPROC_DIR"
)

// Variables that say what is in the directories.
const (
	formatVariable   = "GME_MMAP_FORMAT"
	metadataVariable = "GME_MMAP_METADATA"
	livenessVariable = "GME_MMAP_LIVENESS"
)

// auto leaves a choice to the program.
const auto = "auto"

// reading are the settings of what is read, as given.
type reading struct {
	dirs             []string
	format, metadata string
	liveness         string
}

// flags adds the flags of a command that reads directories, but for the
// directories themselves.
func (r *reading) flags(c *kingpin.CmdClause) {
	r.formatFlag(c)
	c.Flag("mmap.metadata", "File that says what the metrics of a DirectFileStore are, in place of "+directfilestore.MetadataName+" beside its files.").
		Envar(metadataVariable).PlaceHolder("FILE").StringVar(&r.metadata)
	c.Flag("mmap.liveness", "Whether Python's gauges in the modes live... stop counting when their process is dead: off; on; auto, where it is proved "+
		"that names of files have process ids of our own pid namespace.").
		Envar(livenessVariable).Default(auto).StringVar(&r.liveness)
}

// formatFlag adds the flag for the format.
func (r *reading) formatFlag(c *kingpin.CmdClause) {
	c.Flag("mmap.format", "Format of the metric files, others are ignored; auto knows each by its bytes: "+strings.Join(formatNames(), ", ")+".").
		Envar(formatVariable).Default(auto).StringVar(&r.format)
}

// args adds the arguments that name directories.
func (r *reading) args(c *kingpin.CmdClause) {
	c.Arg("dir", "Directories of the metric files, as --mmap.dir of serve takes them. Default: $"+dirVariable+
		", else $"+rubyVariable+", else $"+pythonVariable+".").StringsVar(&r.dirs)
}

// formatNames are what --mmap.format may be.
func formatNames() []string { return append([]string{auto}, discover.Formats...) }

// parseFormat checks the format.
func (r *reading) parseFormat() (discover.Format, error) {
	format := slices.Index(formatNames(), r.format)
	if format < 0 {
		return 0, wrong("mmap.format", formatVariable, r.format, "must be one of %s", strings.Join(formatNames(), ", "))
	}
	return discover.Format(format), nil
}

// config checks the settings.
func (r *reading) config() (collect.Config, error) {
	dirs, err := directories(r.dirs)
	if err != nil {
		return collect.Config{}, err
	}
	format, err := r.parseFormat()
	if err != nil {
		return collect.Config{}, err
	}
	liveness := slices.Index(collect.Livenesses, r.liveness)
	if liveness < 0 {
		return collect.Config{}, wrong("mmap.liveness", livenessVariable, r.liveness, "must be one of %s", strings.Join(collect.Livenesses, ", "))
	}
	c := collect.Config{Dirs: dirs, Format: format, Liveness: collect.Liveness(liveness)}
	if r.metadata != "" {
		if c.Metadata, err = collect.ReadMetadata(r.metadata); err != nil {
			return collect.Config{}, wrong("mmap.metadata", metadataVariable, r.metadata, "%v", err)
		}
	}
	return c, nil
}

// directories are the directories that are named, else those of the variables.
func directories(named []string) ([]collect.Directory, error) {
	if len(named) == 0 {
		named = strings.Split(os.Getenv(dirVariable), "\n")
	}
	var dirs []collect.Directory
	for _, text := range named {
		if strings.TrimSpace(text) == "" {
			continue
		}
		dir, err := parseDirectory(text)
		if err != nil {
			return nil, wrong("mmap.dir", dirVariable, text, "%v", err)
		}
		for _, other := range dirs {
			if filepath.Clean(other.Path) == filepath.Clean(dir.Path) {
				return nil, wrong("mmap.dir", dirVariable, text, "is named twice")
			}
		}
		dirs = append(dirs, dir)
	}
	for _, name := range []string{rubyVariable, pythonVariable} {
		if path := os.Getenv(name); path != "" && len(dirs) == 0 {
			dirs = []collect.Directory{{Path: path}}
		}
	}
	return dirs, nil
}

// parseDirectory parses a path with or without labels behind it:
//
//	/run/app/web{app="web",tier="front"}
func parseDirectory(text string) (collect.Directory, error) {
	path, rest, labeled := strings.Cut(text, "{")
	if !labeled || !strings.HasSuffix(rest, "}") {
		return collect.Directory{Path: text}, nil
	}
	labels, err := parseLabels(strings.TrimSuffix(rest, "}"))
	if err == nil && path == "" {
		err = errors.New("there is no path before the labels")
	}
	return collect.Directory{Path: path, Labels: labels}, err
}

// parseLabels parses a="x",b="y"; a comma may stand at the end.
func parseLabels(text string) (labels []collect.Label, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		quoted, err := strconv.QuotedPrefix(strings.TrimSpace(rest))
		if !ok || err != nil || quoted[0] != '"' {
			return nil, fmt.Errorf(`labels must be written NAME="VALUE", with commas between them`)
		}
		value, _ := strconv.Unquote(quoted)
		label := collect.Label{Name: strings.TrimSpace(name), Value: value}
		if err := checkLabel(label, labels); err != nil {
			return nil, err
		}
		labels = append(labels, label)
		text = strings.TrimSpace(strings.TrimSpace(rest)[len(quoted):])
		if text != "" && text[0] != ',' {
			return nil, fmt.Errorf("there is no comma between labels")
		}
		text = strings.TrimPrefix(text, ",")
	}
	return labels, nil
}

func checkLabel(l collect.Label, before []collect.Label) error {
	switch {
	case !model.LegacyValidation.IsValidLabelName(l.Name) || strings.HasPrefix(l.Name, "__"):
		return fmt.Errorf("%q is no name for a label", l.Name)
	case slices.Contains([]string{"le", "quantile", "pid"}, l.Name):
		return fmt.Errorf("a label %s has a meaning of its own", l.Name)
	case l.Value == "" || !utf8.ValidString(l.Value):
		return fmt.Errorf("label %s has no value, or one that is not UTF-8", l.Name)
	case slices.ContainsFunc(before, func(other collect.Label) bool { return other.Name == l.Name }):
		return fmt.Errorf("label %s is there twice", l.Name)
	}
	return nil
}
