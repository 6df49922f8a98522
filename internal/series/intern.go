package series

import (
	"encoding/binary"
	"hash/maphash"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

// Intern returns the series that the next entry of the source belongs to, whose key
// is raw, and whether that had to be learnt, as always with an error: that of parse, or
// what says why a key makes no series.
func (t *Table) Intern(raw []byte, from *Source, parse ParseFunc) (id ID, fresh bool, err error) {
	key, hash := t.keys.find(raw, from.last)
	id = t.find(key, from)
	if fresh = id == None; fresh {
		id, err = t.learn(raw, from, parse)
		if len(raw) >= bulky {
			t.key, t.text = format.Key{}, nil // they may be as huge, and have parts of raw
		}
		if err != nil {
			return None, true, err
		}
		if key == 0 {
			key = t.keys.add(raw, hash, from.last)
			t.keyBytes += len(raw)
			if len(raw) >= bulky {
				t.bulk += len(raw)
			}
		}
		t.note(key, from, id)
	}
	from.last = key
	return id, fresh, nil
}

func (t *Table) hash(b []byte) uint32 { return uint32(maphash.Bytes(t.seed, b)) }

// find returns the series that was noted for a key, or None.
func (t *Table) find(key keyNo, from *Source) ID {
	if from.File.PerProcess {
		return t.ofKeyPID[uint64(key)<<32|uint64(from.process)]
	}
	if known := t.ofKey[from.space]; uint32(key) < known.len {
		return ID(known.at(uint32(key)).Load())
	}
	return None
}

func (t *Table) note(key keyNo, from *Source, id ID) {
	if from.File.PerProcess {
		t.ofKeyPID[uint64(key)<<32|uint64(from.process)] = id
		return
	}
	known := t.ofKey[from.space]
	for uint32(key) >= known.len {
		known.next()
	}
	known.at(uint32(key)).Store(uint32(id))
}

// learn returns the series that the key raw names, numbering it if it is new.
func (t *Table) learn(raw []byte, from *Source, parse ParseFunc) (ID, error) {
	if le, ok := t.template.bound(raw, from); ok {
		l := t.template.line
		l.bound = t.bucket(le)
		id := t.id(l, t.template.sample, from)
		if from.kind.own && t.bounds[l.bound].flags&badLe == 0 {
			t.record(id).total = t.template.total
		}
		return id, nil
	}
	if id := t.learnAlike(raw, from); id != None {
		return id, nil
	}
	if err := parse(raw, &t.key); err != nil {
		return None, err
	}
	inFile := t.key.Sample
	w, text, err := word(t.text[:0], &t.key, from.Origin)
	t.text = text
	if err != nil {
		return None, err
	}
	t.spell(inFile)
	l := line{t.name(w.name), t.part(w.labels), t.part(w.pid), t.bound(w), from.kind.own}
	sample := t.explained(l.name, from)
	id := t.id(l, sample, from)
	if from.kind.own {
		t.imply(id, w, l, from)
	}
	t.template.note(raw, &t.key, from, l, sample, t.record(id).total)
	t.patterns.note(raw, &t.key, from, l, sample)
	return id, nil
}

// spell takes note of what names the key has, whose sample is called so in the
// file.
func (t *Table) spell(sample []byte) {
	before := t.Differences()
	if len(t.key.Sample) != len(classic(sample, true)) {
		sample = nil // it got a new name, not another spelling
	}
	t.sampleNames.note(0, t.key.Sample, sample)
	for i, label := range t.key.Labels {
		t.labelNames.note(i, label.Name, label.Raw)
	}
	if t.Differences() != before {
		t.changed = true
	}
}

// bucket is bound for a text of nothing but the label le, whose value needs no escapes.
// Of most it is known what it says.
func (t *Table) bucket(le []byte) uint32 {
	t.text = append(append(append(t.text[:0], `le="`...), le...), '"')
	number := t.part(t.text)
	if t.boundKnown(number) {
		return number
	}
	w := newWording()
	w.bound = t.text
	w.note(format.Label{Name: leName, Value: le})
	return t.bound(w)
}

// bound numbers the last part of a series' text, and keeps what it says.
func (t *Table) bound(w wording) uint32 {
	number := t.part(w.bound)
	if !t.boundKnown(number) {
		if int(number) >= len(t.bounds) {
			t.bounds = append(t.bounds, make([]saying, int(number)-len(t.bounds)+1)...)
		}
		t.bounds[number] = w.saying
	}
	return number
}

func (t *Table) boundKnown(number uint32) bool {
	return int(number) < len(t.bounds) && t.bounds[number].flags != 0
}

// id returns the series with the text l, numbering it if it is new.
func (t *Table) id(l line, sample uint32, from *Source) ID {
	id := t.findLine(l)
	if id != None {
		t.rename(id, sample)
		return id
	}
	id = ID(t.lines.len)
	t.lineNo.add(t.hashLine(l), uint32(id))
	t.lines.add(l)
	t.records.add(record{sample: sample, kind: from.kind})
	t.noteRivals(id)
	return id
}

// findLine returns the series that a line identifies, or None.
func (t *Table) findLine(l line) ID {
	number, _ := t.lineNo.find(t.hashLine(l), func(n uint32) bool { return *t.lines.at(n) == l })
	return ID(number)
}

func (t *Table) hashLine(l line) uint32 {
	var b [17]byte
	binary.LittleEndian.PutUint32(b[0:], l.name)
	binary.LittleEndian.PutUint32(b[4:], l.labels)
	binary.LittleEndian.PutUint32(b[8:], l.pid)
	binary.LittleEndian.PutUint32(b[12:], l.bound)
	if l.own {
		b[16] = 1
	}
	return t.hash(b[:])
}

// part numbers a part of a series' text.
func (t *Table) part(text []byte) uint32 {
	if len(text) == 0 {
		return 0
	}
	return t.texts.number(t.hash(text), text)
}

func (t *Table) name(name []byte) uint32 {
	number, known := t.nameNo[string(name)]
	if !known {
		number = uint32(len(t.names))
		t.names = append(t.names, string(name))
		t.nameNo[string(name)] = number
	}
	return number
}

// sample numbers a sample name within the family that t.key declares. A key
// without a family declares the sample's own.
func (t *Table) sample(name uint32) uint32 {
	family := name
	if declared := pageName(t.key.Family); len(declared) > 0 {
		family = t.name(declared)
	}
	number, known := t.sampleNo[[2]uint32{family, name}]
	if !known {
		number = uint32(len(t.samples))
		t.samples = append(t.samples, sample{t.names[family], t.names[name]})
		t.sampleNo[[2]uint32{family, name}] = number
	}
	return number
}

// rename settles which family a series belongs to if keys disagree: the first
// by name, so that it does not depend on which key was met first.
func (t *Table) rename(id ID, name uint32) {
	r := t.record(id)
	if r.sample == name {
		return
	}
	t.mix(id, r.kind.typ)
	if t.samples[name].family < t.samples[r.sample].family {
		r.sample = name
		t.changed, t.resort = true, true
	}
}

// mix notes that files of different kinds or families name the series, one
// of them of the given type.
func (t *Table) mix(id ID, typ discover.Type) {
	before := t.mixed[id]
	types := before
	types.add(t.record(id).kind.typ)
	types.add(typ)
	if types != before {
		t.mixed[id] = types
		t.changed = true
	}
}
