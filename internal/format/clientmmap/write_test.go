package clientmmap_test

import (
	"errors"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

func TestAppendKey(t *testing.T) {
	tests := []struct {
		name   string
		names  []string
		values []any
		want   string
	}{
		{"no labels", nil, nil, `["f","s",[],[]]`},
		{"strings", []string{"a", "b"}, []any{"x", ""}, `["f","s",["a","b"],["x",""]]`},
		{"other values", []string{"a", "b", "c", "d"}, []any{nil, true, 42, 0.5}, `["f","s",["a","b","c","d"],[null,true,42,0.5]]`},
		{"escapes, as in Rails", []string{"a"}, []any{"<&>\u2028\"\\\n"}, `["f","s",["a"],["\u003c\u0026\u003e\u2028\"\\\n"]]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := clientmmap.AppendKey([]byte("kept "), "f", "s", tt.names, tt.values)
			if err != nil {
				t.Fatal(err)
			}
			if want := "kept " + tt.want; string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	if _, err := clientmmap.AppendKey(nil, "f", "s", []string{"a"}, []any{math.NaN()}); err == nil {
		t.Error("a value that JSON does not have is accepted")
	}
}

// What AppendKey writes, ParseKey reads.
func TestAppendKeyParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		family, sample := text.Draw(t, "family"), rapid.StringN(1, -1, -1).Draw(t, "sample")
		names := rapid.SliceOf(rapid.StringN(1, -1, -1)).Draw(t, "names")
		values := make([]any, len(names))
		want := parsed{Family: family, Sample: sample}
		for i, name := range names {
			value := text.Draw(t, "value")
			values[i] = value
			want.Labels = append(want.Labels, label{name, value})
		}
		raw, err := clientmmap.AppendKey(nil, family, sample, names, values)
		if err != nil {
			t.Fatal(err)
		}
		var key format.Key
		if err := clientmmap.ParseKey(raw, &key); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, strs(&key)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A diskFile is a file in memory that is read after each byte of an entry and
// after each header that is written: the moments at which a reader can come by.
type diskFile struct {
	content []byte
	look    func([]byte)
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	if grow := at + int64(len(b)) - int64(len(f.content)); grow > 0 {
		f.content = append(f.content, make([]byte, grow)...)
		f.look(f.content)
	}
	if at == 0 || len(b) == 8 { // a header or a value is one store
		copy(f.content[at:], b)
		f.look(f.content)
		return len(b), nil
	}
	for i := range b {
		f.content[at+int64(i)] = b[i]
		f.look(f.content)
	}
	return len(b), nil
}

// pair is an entry as a reader of the file sees it.
type pair struct {
	Key   string
	Value float64
}

// read returns all entries of b and the text of the error after them.
func read(b []byte) (entries []pair, damage string) {
	at, used := int64(frame.HeaderSize), frame.Used(b)
	for at < used {
		e, err := clientmmap.Layout.At(b[at:], at, used)
		if err != nil {
			return entries, err.Error()
		}
		entries = append(entries, pair{string(b[e.Key:e.KeyTo]), frame.Float(b[e.Value:e.End])})
		at = e.End
	}
	return entries, ""
}

// Whatever is added and set, a reader at any moment finds what was complete
// by then, and never damage.
func TestWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var done []pair // by the writer's account
		var adding *pair
		file := &diskFile{look: func(b []byte) {
			got, damage := read(b)
			if damage != "" {
				t.Fatalf("after %d entries: %s", len(done), damage)
			}
			want := done
			if adding != nil && len(got) > len(done) {
				want = append(want[:len(want):len(want)], *adding)
			}
			if diff := cmp.Diff(want, got, cmpFloats); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		}}
		w := clientmmap.NewWriter(file)
		var places []int64
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			value := rapid.Float64().Draw(t, "value")
			if len(places) > 0 && rapid.Bool().Draw(t, "set") {
				i := rapid.IntRange(0, len(places)-1).Draw(t, "which")
				done[i].Value = value // one store: seen whole or not at all, and looked at after it
				if err := w.Set(places[i], value); err != nil {
					t.Fatal(err)
				}
				continue
			}
			adding = &pair{rapid.StringN(1, 20, -1).Draw(t, "key"), value}
			at, err := w.Add([]byte(adding.Key), value)
			if err != nil {
				t.Fatal(err)
			}
			done, adding = append(done, *adding), nil
			places = append(places, at)
			file.look(file.content)
		}
	})
}

var cmpFloats = cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })

type failing struct{ after int }

func (f *failing) WriteAt(b []byte, _ int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriterReportsErrors(t *testing.T) {
	for after := range 2 {
		if _, err := clientmmap.NewWriter(&failing{after}).Add([]byte("k"), 1); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("Add with write %d failing: error is %v", after, err)
		}
	}
	if err := clientmmap.NewWriter(&failing{}).Set(16, 1); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Set: error is %v", err)
	}
}
