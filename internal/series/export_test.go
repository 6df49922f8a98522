package series

// Patterns returns how many openings of keys a table knows, and how many bytes their
// patterns take.
func (t *Table) Patterns() (number, bytes int) {
	for opening, c := range t.patterns.known {
		bytes += len(opening)
		if c.pattern == nil {
			continue
		}
		for _, literals := range [][][]byte{c.pattern.literals, c.pattern.labels.literals, c.pattern.pid.literals} {
			for _, literal := range literals {
				bytes += 24 + len(literal)
			}
		}
	}
	return len(t.patterns.known), bytes
}
