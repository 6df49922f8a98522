package series

import "strings"

// spellings says what the names are, in the files, that series are known by:
// the same for a classic one, and "" for a name that several stand for. The zero
// value has none.
type spellings struct {
	raw  map[string]string
	odd  int // names that are not the same
	torn int // of these, names that several stand for

	before [8]string // by place: the name that stood for itself last
}

// note takes in that name stands for raw in a file, or for itself if raw is nil. It is
// the one at a place of a key: the key before mostly has the same there.
func (s *spellings) note(place int, name, raw []byte) {
	before := &s.before[place%len(s.before)]
	if raw == nil && string(name) == *before {
		return // nothing comes of it a second time
	}
	if raw == nil {
		raw = name
	}
	was, known := s.raw[string(name)]
	switch {
	case known && (was == "" || was == string(raw)):
		if was == string(name) {
			*before = was
		}
	case known:
		if was == string(name) {
			s.odd++
		}
		s.raw[string(name)] = ""
		s.torn++
	default:
		s.add(string(name), string(raw))
	}
}

func (s *spellings) add(name, raw string) {
	if s.raw == nil {
		s.raw = map[string]string{}
	}
	if name == raw {
		raw = name // the same bytes
	} else {
		s.odd++
	}
	s.raw[name] = raw
}

// Differences returns how many names there are that several names in files are spelled
// as, and how often help texts, or what origins say, differed. It never shrinks.
func (t *Table) Differences() int {
	return t.sampleNames.torn + t.labelNames.torn + t.differed
}

// rawNames returns the names in the files, nil if they are all classic. A
// family's is what those of all its samples begin with.
func (t *Table) rawNames(uses []use, homes []string) *RawNames {
	if t.sampleNames.odd+t.labelNames.odd == 0 {
		return nil
	}
	families := map[string]string{}
	for i, u := range uses {
		if !u.live {
			continue
		}
		home := homes[i]
		raw, _ := strings.CutSuffix(t.sampleNames.raw[u.name], u.name[len(home):])
		if raw+u.name[len(home):] != t.sampleNames.raw[u.name] {
			raw = ""
		}
		if before, known := families[home]; known && before != raw {
			raw = ""
		}
		families[home] = raw
	}
	return &RawNames{Families: families, Labels: t.rawLabels()}
}

// rawLabels returns the names in the files of the labels that are on a page. Those of
// series that are gone are in nobody's way.
func (t *Table) rawLabels() map[string]string {
	labels := map[string]string{}
	seen := make([]bool, t.texts.spans.len)
	for i := range t.records.len {
		if !t.shown(ID(i)) {
			continue
		}
		line := t.lines.at(i)
		for _, part := range [...]uint32{line.labels, line.pid, line.bound} {
			if seen[part] {
				continue
			}
			seen[part] = true
			for text := t.texts.get(part); len(text) > 0; {
				var name []byte
				name, _, text = CutLabel(text)
				labels[string(name)] = t.labelNames.raw[string(name)]
			}
		}
	}
	return labels
}
