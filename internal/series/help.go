package series

// explain takes note of the help text of a sample's family. If several are said
// it is the first in byte order: that does not depend on who was met first.
func (t *Table) explain(sample uint32, from *Source) {
	help := from.Help
	if t.key.Help != nil {
		help = string(t.key.Help)
	} else if help == "" {
		help = unsaid
	}
	family := t.samples[sample].family
	before, known := t.helps[family]
	if known && help != before {
		t.tornHelps++
	}
	if !known || help < before {
		t.helps[family] = help
		t.changed = true
	}
}

// help returns the help text of a family.
func (t *Table) help(family string) string {
	if help, known := t.helps[family]; known && help != unsaid {
		return help
	}
	return noHelp
}

// unsaid stands for the help text of families of which nobody says one. It is
// behind all others.
const unsaid = "\xff"

// noHelp is the help text of families of which nobody says one. It is what the
// client libraries print then.
const noHelp = "Multiprocess metric"
