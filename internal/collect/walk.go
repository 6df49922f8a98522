package collect

import (
	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// An Entry is one entry of a metric file as it stands in it.
type Entry struct {
	Offset int64 // of the value, in bytes from the start of the file
	Key    []byte
	Value  float64
}

// Walk calls visit with each entry of the file at path, in file order. The key
// is valid only during the call. It stops at the first error: that of visit,
// of reading, or a [format.Damage].
func Walk(path string, visit func(Entry) error) error {
	fd, id, err := openFile(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var header [clientmmap.HeaderSize]byte
	used, err := readUsed(fd, &header)
	if err != nil {
		return err
	}
	size := max(id.sizeBytes, clientmmap.HeaderSize)
	w := newWindow()
	w.reset(fd, min(used, size))
	var damage *format.Damage
	for at := int64(clientmmap.HeaderSize); w.limit-at > 4; {
		var e clientmmap.Entry
		if e, damage, err = w.entry(at); err != nil {
			return err
		}
		if damage != nil {
			break
		}
		if err := visit(Entry{e.Value, w.slice(e.Key, e.KeyTo), clientmmap.Float(w.slice(e.Value, e.End))}); err != nil {
			return err
		}
		at = e.End
	}
	if used > size {
		damage = clientmmap.Cut(used, id.sizeBytes)
	}
	if damage != nil {
		return damage
	}
	return nil
}
