package collect

import (
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/frame"
	"gitlab-metrics-exporter/internal/series"
)

// A file is what the engine keeps of one metric file between scrapes.
type file struct {
	discover.File
	path   *string // never changes what it points to: see [Engine.Reading]
	source *source
	alien  *format.Damage // the name is not a metric file's: never opened
	id     identity
	parse  series.ParseFunc // for keys of its format
	store  *store           // of a DirectFileStore, else nil
	unsure bool             // about the format, or what the file is
	column column
	used   int64

	counted int // entries of the column that the table counts, see [series.Table.Retain]

	badKeys int            // entries absent because of their key
	badKey  *format.Damage // the first of them
	damage  *format.Damage // of the file as a whole, at the last scrape
}

func newFile(path, name string, from *source) *file {
	f := &file{path: &path, source: from}
	f.empty(name)
	return f
}

// empty makes f a file about which nothing is known but its name.
func (f *file) empty(name string) {
	*f = file{path: f.path, source: f.source, used: f.used, damage: f.damage, column: newColumn(frame.Layout{})}
	var err error
	if f.File, err = discover.Parse(name, discover.NoFormat); err != nil {
		f.Name, f.alien = name, badName(err)
	}
}

// sameKind reports whether another file is likely to have as many entries: processes have
// files of the same kinds.
func (f *file) sameKind(other *file) bool {
	if f.Metric != "" || other.Metric != "" {
		return f.Metric == other.Metric
	}
	return f.Type == other.Type && f.GaugeMode() == other.GaugeMode()
}

func badName(err error) *format.Damage {
	return &format.Damage{Reason: format.BadName, Offset: -1, Detail: err.Error()}
}

func (f *file) addBadKey(e frame.Entry, err error) {
	f.badKeys++
	if f.badKey == nil {
		f.badKey = &format.Damage{Reason: format.BadKey, Offset: e.Key, Detail: err.Error()}
	}
}
