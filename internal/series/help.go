package series

// explain takes note of the help text of a sample. If several are said it is the
// first in byte order: that does not depend on who was met first.
func (t *Table) explain(sample uint32, from *Source) {
	help := from.Help
	if t.key.Help != nil {
		help = string(t.key.Help)
	} else if help == "" {
		help = unsaid
	}
	before, known := t.helps[sample]
	if known && help != before {
		t.differed++
	}
	if !known || help < before {
		t.helps[sample] = help
		t.changed = true
	}
}

// explained numbers a sample name, as sample does, and takes note of its help text.
func (t *Table) explained(name uint32, from *Source) uint32 {
	number := t.sample(name)
	t.explain(number, from)
	return number
}

// familyHelps returns the help texts of families: the first that samples have which
// are there and declare the family. One that is missing is said by nobody.
func (t *Table) familyHelps(uses []use) map[string]string {
	helps := map[string]string{}
	for i, u := range uses {
		help, known := t.helps[uint32(i)]
		if !u.live || !known || help == unsaid {
			continue
		}
		if before, known := helps[u.family]; !known || help < before {
			helps[u.family] = help
		}
	}
	return helps
}

// unsaid stands for the help text of samples of which nobody says one. It is
// behind all others.
const unsaid = "\xff"

// noHelp is the help text of families of which nobody says one. It is what the
// client libraries print then.
const noHelp = "Multiprocess metric"
