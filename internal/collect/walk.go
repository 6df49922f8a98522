package collect

import (
	"bytes"
	"path/filepath"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/frame"
)

// An Entry is one entry of a metric file as it stands in it.
type Entry struct {
	Offset int64 // of the value, in bytes from the start of the file
	Key    []byte
	Value  float64

	Stamp   float64 // the timestamp behind the value, in seconds since what the format says
	Stamped bool    // there is one
}

// Walk calls visit with each entry of the file at path, in file order. The format is
// that of its first entry, if want says none. The key is valid only during the
// call. It stops at the first error: that of visit, of reading, or a
// [format.Damage].
func Walk(path string, want discover.Format, visit func(Entry) error) error {
	fd, id, err := openFile(unix.AT_FDCWD, path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	w := newWindow()
	used, err := w.openData(fd, &id, 0)
	if err != nil {
		return err
	}
	if file, err := discover.Parse(filepath.Base(path), want); err == nil && file.Metric != "" {
		want = discover.DirectFileStore
	}
	form, _, err := w.form(used, want)
	if err != nil {
		return err
	}
	layout := form.Layout
	var damage *format.Damage
	for at := int64(frame.HeaderSize); frame.More(at, w.limit); {
		var e frame.Entry
		if e, damage, err = w.entry(layout, at); err != nil {
			return err
		}
		if damage != nil {
			break
		}
		entry := Entry{Offset: e.Value, Key: w.slice(e.Key, e.KeyTo), Value: frame.Float(w.slice(e.Value, e.End)), Stamped: layout.Stamped}
		if !layout.Bare {
			entry.Key = bytes.TrimRight(entry.Key, " ")
		}
		if layout.Stamped {
			entry.Stamp = frame.Stamp(w.slice(e.Value, e.End))
		}
		if err := visit(entry); err != nil {
			return err
		}
		at = e.End
	}
	if used > w.limit {
		damage = frame.Cut(used, id.sizeBytes)
	}
	if damage != nil {
		return damage
	}
	return nil
}
