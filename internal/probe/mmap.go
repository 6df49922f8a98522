package probe

import (
	"errors"
	"strconv"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format"
)

// runMmap delivers the application's families.
func runMmap(s *scrape) (part, error) {
	snapshot, err := s.snapshot()
	return part{snapshot: snapshot}, err
}

// runMmapStats delivers facts about the application's files.
func runMmapStats(s *scrape) (part, error) {
	snapshot, err := s.snapshot()
	unreadable := (*collect.UnreadableError)(nil)
	switch {
	case errors.As(err, &unreadable):
		return part{families: []*dto.MetricFamily{up(s.dirs, unreadable.Errs)}}, err
	case err != nil:
		return part{}, err
	}
	errs := make([]error, len(snapshot.Dirs))
	for i, dir := range snapshot.Dirs {
		errs[i] = dir.Err
	}
	return part{families: append(stats(snapshot), up(s.dirs, errs))}, nil
}

// up says which directories can be read.
func up(dirs []collect.Directory, errs []error) *dto.MetricFamily {
	var samples []sample
	for i, dir := range dirs {
		samples = append(samples, sample{truth(errs[i] == nil), []string{"dir", shownPath(dir.Path)}})
	}
	return gauge("gme_source_up", "Whether the directory could be read.", samples...)
}

// shownPath is a path as a label's value: what is not UTF-8 is shown byte by byte, so
// that two paths stay two.
func shownPath(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	quoted := strconv.Quote(path)
	return quoted[1 : len(quoted)-1]
}

// group is what files are counted by.
type group struct{ typ, mode string }

// sums are totals over the files of one group.
type sums struct{ files, size, used, entries float64 }

func stats(s *collect.Snapshot) []*dto.MetricFamily {
	groups := map[group]*sums{}
	damaged := map[format.Reason]float64{}
	badKeys, dead, badMetadata := 0, 0, 0
	for _, dir := range s.Dirs {
		if dir.MetadataErr != nil {
			badMetadata++
		}
	}
	for _, f := range s.Files {
		if f.Damage != nil {
			damaged[f.Damage.Reason]++
		}
		badKeys += f.BadKeys
		if f.Dead {
			dead++
		}
		if f.Damage != nil && f.Damage.Reason == format.BadName {
			continue
		}
		g := group{f.Type.String(), f.GaugeMode()}
		if groups[g] == nil {
			groups[g] = &sums{}
		}
		groups[g].files++
		groups[g].size += float64(f.Size)
		groups[g].used += float64(min(f.Used, f.Size)) // a damaged file may claim more
		groups[g].entries += float64(f.Entries)
	}
	var files, size, used, entries, faults []sample
	for g, sum := range groups {
		labels := []string{"metric_type", g.typ, "mode", g.mode}
		files = append(files, sample{sum.files, labels})
		size = append(size, sample{sum.size, labels})
		used = append(used, sample{sum.used, labels})
		entries = append(entries, sample{sum.entries, labels})
	}
	for _, reason := range format.Reasons {
		faults = append(faults, sample{damaged[reason], []string{"reason", string(reason)}})
	}
	return []*dto.MetricFamily{
		gauge("gme_mmap_files", "Number of metric files.", files...),
		gauge("gme_mmap_file_size_bytes", "Size of the metric files.", size...),
		gauge("gme_mmap_used_bytes", "Bytes of the metric files that hold data.", used...),
		gauge("gme_mmap_entries", "Entries in the metric files that are on the page.", entries...),
		gauge("gme_mmap_skipped_entries", "Entries in the metric files that are absent because their key cannot be understood.", sample{value: float64(badKeys)}),
		gauge("gme_mmap_damaged_files", "Number of metric files of which at least a part is absent.", faults...),
		gauge("gme_mmap_series", "Number of distinct series in the metric files.", sample{value: float64(s.Layout.Len())}),
		gauge("gme_mmap_dead_files", "Number of files of live gauges that do not count, because their process is dead.", sample{value: float64(dead)}),
		gauge("gme_mmap_families_without_metadata", "Number of families of DirectFileStores of which nobody says what they are.", sample{value: float64(s.WithoutMetadata())}),
		gauge("gme_mmap_unreadable_metadata", "Number of directories of which what the application says of its metrics cannot be read.", sample{value: float64(badMetadata)}),
		gauge("gme_mmap_conflicting_families", "Number of families that cannot be shown as they were declared, because files disagree about them.", sample{value: float64(len(s.Layout.Conflicts))}),
	}
}
