package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/directfilestore"
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
	dirsName         string // of the flag or argument that they are given by
	format, metadata string
	liveness         string
}

// flags adds the flags of a command that reads directories, but for the
// directories themselves.
func (r *reading) flags(c *kingpin.CmdClause) {
	r.formatFlag(c)
	c.Flag("mmap.metadata", "File that says what the metrics of a DirectFileStore are; wins over "+directfilestore.MetadataName+" beside its files.").
		Envar(metadataVariable).PlaceHolder("FILE").StringVar(&r.metadata)
	c.Flag("mmap.liveness", "Whether Python's gauges in the modes live... stop counting when their process is dead: off; on; auto, where it is proved "+
		"that names of files have process ids of our own pid namespace.").
		Envar(livenessVariable).Default(auto).StringVar(&r.liveness)
}

// formatFlag adds the flag for the format.
func (r *reading) formatFlag(c *kingpin.CmdClause) {
	c.Flag("mmap.format", "Format of the metric files: "+strings.Join(formatNames(), ", ")+". auto knows each by its bytes; else all files are taken for what is said, but those of another suffix are left out.").
		Envar(formatVariable).Default(auto).StringVar(&r.format)
}

// args adds the arguments that name directories.
func (r *reading) args(c *kingpin.CmdClause) {
	r.dirsName = "DIR"
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
	dirs, err := directories(r.dirs, r.dirsName)
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

// warnOfDamage names what cannot be read of directories, and the files that are damaged.
func warnOfDamage(t terminal, snapshot *collect.Snapshot) {
	for _, trouble := range troublesOf(snapshot.Dirs) {
		fmt.Fprintf(t.err, "%s: warning: %s\n", Name, trouble)
	}
	for _, f := range snapshot.Files {
		if f.Damage != nil {
			fmt.Fprintf(t.err, "%s: warning: %s: %v\n", Name, printable(snapshot.Path(f)), f.Damage)
		}
	}
}

// troublesOf says of directories what cannot be read: they themselves, or the metadata of
// their metrics.
func troublesOf(dirs []collect.Dir) (troubles []string) {
	for _, dir := range dirs {
		if dir.Err != nil {
			troubles = append(troubles, dir.Err.Error())
		}
		if dir.MetadataErr != nil {
			troubles = append(troubles, "metadata of metrics: "+dir.MetadataErr.Error())
		}
	}
	return troubles
}

// readingOf adds the settings of what is read to a command that does so once.
func readingOf(c *kingpin.CmdClause) *reading {
	r := &reading{}
	r.flags(c)
	r.args(c)
	return r
}

// look surveys directories once.
func look(r *reading) (*collect.Snapshot, error) {
	c, err := r.config()
	if err != nil {
		return nil, err
	}
	snapshot, err := c.Engine().Survey(context.Background())
	if errors.Is(err, collect.ErrNoDirectory) {
		return nil, misuse("no directory is named: give it as an argument, or set %s", dirVariable)
	}
	return snapshot, err
}
