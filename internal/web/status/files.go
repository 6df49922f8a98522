package status

import (
	"cmp"
	"slices"
	"strings"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
)

// Files says what files there are.
type Files struct {
	Directories []Directory `json:"directories"`
	Damaged     int         `json:"damaged"`
	Amount
	ByType      []TypeFiles    `json:"by_type"`
	ByProcess   []ProcessFiles `json:"by_process"` // the most bytes first
	ProcessMore int            `json:"by_process_more"`
}

// A Directory says what files of a directory there are.
type Directory struct {
	Path          string            `json:"path"`
	Labels        map[string]string `json:"labels"`         // that its series get
	Error         string            `json:"error"`          // why it cannot be read, "" if it can
	MetadataError string            `json:"metadata_error"` // why what the application says of its metrics cannot be, as well
	Amount
}

// An Amount is how much there is of some files.
type Amount struct {
	Files   int   `json:"files"`
	Size    int64 `json:"size_bytes"`
	Used    int64 `json:"used_bytes"`
	Samples int   `json:"samples"` // entries that are on the page
}

// TypeFiles are the files of one metric type, gauge mode and format.
type TypeFiles struct {
	Type   string `json:"metric_type"`
	Mode   string `json:"mode"`
	Format string `json:"format"` // "-" while it is not known
	Amount
}

// ProcessFiles are the files of one process.
type ProcessFiles struct {
	Process   string `json:"process"`
	Directory string `json:"directory,omitempty"` // if there are several
	Amount
}

func (a *Amount) add(f collect.File) {
	a.Files++
	a.Size += f.Size
	a.Used += min(f.Used, f.Size) // a damaged file may claim more
	a.Samples += f.Entries
}

// filesOf sums up files. Those whose name is not a metric file's are only
// part of the total.
func filesOf(s *collect.Snapshot, limit int) Files {
	all := Files{Directories: directoriesOf(s)}
	types, processes := map[[3]string]*TypeFiles{}, map[[2]string]*ProcessFiles{}
	for _, f := range s.Files {
		all.add(f)
		all.Directories[f.Dir].add(f)
		if f.Damage != nil {
			all.Damaged++
		}
		if f.Damage != nil && f.Damage.Reason == format.BadName {
			continue
		}
		key := [...]string{f.Type.String(), f.GaugeMode(), f.Format.String()}
		if types[key] == nil {
			types[key] = &TypeFiles{Type: key[0], Mode: key[1], Format: key[2]}
		}
		types[key].add(f)
		process := [...]string{f.Process(), ""}
		if len(s.Dirs) > 1 {
			process[1] = s.Dirs[f.Dir].Path
		}
		if processes[process] == nil {
			processes[process] = &ProcessFiles{Process: cardinality.Clip(process[0]), Directory: valid(process[1])}
		}
		processes[process].add(f)
	}
	all.ByType = sorted(types, func(a, b TypeFiles) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Format, b.Format))
	})
	all.ByProcess = sorted(processes, func(a, b ProcessFiles) int {
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Process, b.Process), cmp.Compare(a.Directory, b.Directory))
	})
	all.ByProcess, all.ProcessMore = cardinality.Head(all.ByProcess, limit)
	return all
}

// valid returns text of the operator's, or a path, as it can be shown: what tells it from
// others may stand at its end.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func directoriesOf(s *collect.Snapshot) []Directory {
	all := make([]Directory, len(s.Dirs))
	for i, dir := range s.Dirs {
		all[i] = Directory{Path: valid(dir.Path), Labels: map[string]string{}}
		for _, label := range dir.Labels {
			all[i].Labels[label.Name] = valid(label.Value)
		}
		if dir.Err != nil {
			all[i].Error = valid(dir.Err.Error())
		}
		if dir.MetadataErr != nil {
			all[i].MetadataError = valid(dir.MetadataErr.Error())
		}
	}
	return all
}

// sorted returns what is in a map, in order.
func sorted[K comparable, V any](m map[K]*V, compare func(a, b V) int) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, *v)
	}
	slices.SortFunc(list, compare)
	return list
}

// Damage says what is wrong with files.
type Damage struct {
	Total     int            `json:"damaged"`
	Skipped   int            `json:"skipped_samples"`
	Conflicts int            `json:"conflicting_families"`
	Reasons   map[string]int `json:"reasons"` // number of files; every reason is there
	Files     []DamagedFile  `json:"files"`   // by name
	More      int            `json:"files_more"`

	Families     []string `json:"families"` // that files disagree about, by name
	FamiliesMore int      `json:"families_more"`
}

// A DamagedFile is a file of which at least a part is absent.
type DamagedFile struct {
	Name    string `json:"name"`
	Reason  string `json:"reason"`
	Offset  *int64 `json:"offset"` // in bytes; nil if it is the file as a whole
	Detail  string `json:"detail"`
	Skipped int    `json:"skipped_samples"` // because of their key
}

func damageOf(s *collect.Snapshot, limit int) Damage {
	d := Damage{Conflicts: len(s.Layout.Conflicts), Reasons: map[string]int{}, Files: []DamagedFile{}, Families: []string{}}
	families, more := cardinality.Head(s.Layout.Conflicts, limit)
	for _, family := range families {
		d.Families = append(d.Families, cardinality.Clip(family))
	}
	d.FamiliesMore = more
	for _, reason := range format.Reasons {
		d.Reasons[string(reason)] = 0
	}
	for _, f := range s.Files {
		if f.Damage == nil {
			continue
		}
		d.Total++
		d.Skipped += f.BadKeys
		d.Reasons[string(f.Damage.Reason)]++
		if len(d.Files) == limit {
			d.More++
			continue
		}
		file := DamagedFile{
			Name: valid(s.Path(f)), Reason: string(f.Damage.Reason), Detail: cardinality.Clip(f.Damage.Detail), Skipped: f.BadKeys,
		}
		if f.Damage.Offset >= 0 {
			file.Offset = new(f.Damage.Offset)
		}
		d.Files = append(d.Files, file)
	}
	return d
}
