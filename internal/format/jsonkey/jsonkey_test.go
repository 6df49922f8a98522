package jsonkey_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/jsonkey"
)

// What keys say is tested with the formats that have them. Here is what a Key
// tells beside it, and the parts that no format uses alone.

var errShape = errors.New("another shape")

// read reads a key with labels in either style and nothing after them.
func read(raw string, key *format.Key) error {
	r, err := jsonkey.Open([]byte(raw), key, errShape)
	if err != nil {
		return err
	}
	labels := r.Object
	if r.Next() == '[' {
		labels = r.Lists
	}
	if err := labels(); err != nil {
		return err
	}
	return r.Close()
}

func TestMarks(t *testing.T) {
	tests := []struct {
		name, raw string
		plain     bool
		at        []bool // whose values have a place
	}{
		{"no labels", `["f","s",[],[]]`, true, nil},
		{"lists", `["f","s",["a","b"],["x","yz"]]`, true, []bool{true, true}},
		{"an object", `["f","s",{"a":"x","b":"yz"}]`, true, []bool{true, true}},
		{"white space", `["f","s",{ "a" : "x" ,` + "\n" + ` "b":` + "\t" + `"yz"}]`, true, []bool{true, true}},
		{"empty", `["f","s",{"a":""}]`, true, []bool{true}},
		{"no ASCII", `["f","s",{"a":"é","b":"x"}]`, true, []bool{true, true}},
		{"an escape in a value", `["f","s",{"a":"x","b":"\n","c":"z"}]`, false, []bool{true, false, true}},
		{"an escape that none would need", `["f","s",{"a":"\u0041"}]`, false, []bool{false}},
		{"an escape in a name", `["f","s",{"\u0041":"x","b":"y"}]`, true, []bool{true, true}},
		{"an escape in the family", `["f\u0041","s",["a"],["x"]]`, true, []bool{true}},
		{"an escape before a bare value", `["f","s",{"a":"\n","b":1}]`, false, []bool{false, false}},
		{"a bare value", `["f","s",{"a":1,"b":"x"}]`, true, []bool{false, true}},
		{"null", `["f","s",["a","b"],[null,"x"]]`, true, []bool{false, true}},
		{"a bare value with strings", `["f","s",{"a":["x"]}]`, false, []bool{false}},
		{"a bare value with lines", `["f","s",{"a":[1,` + "\n" + `2]}]`, false, []bool{false}},
		{"a bare value between lines", `["f","s",{"a":` + "\n1\n" + `}]`, true, []bool{false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := format.Key{Help: []byte("of another key")}
			if err := read(tt.raw, &key); err != nil {
				t.Fatal(err)
			}
			if key.Plain != tt.plain {
				t.Errorf("plain is %v, want %v", key.Plain, tt.plain)
			}
			if key.Help != nil {
				t.Errorf("help is %q", key.Help)
			}
			var at []bool
			for _, l := range key.Labels {
				at = append(at, l.At > 0)
				if quoted := `"` + string(l.Value) + `"`; l.At > 0 && tt.raw[l.At-1:l.At-1+len(quoted)] != quoted {
					t.Errorf("%q is not at %d", l.Value, l.At)
				}
			}
			if diff := cmp.Diff(tt.at, at); diff != "" {
				t.Errorf("places: -want +got:\n%s", diff)
			}
		})
	}
}

// The first escape may stand anywhere among the eight bytes that are looked at
// together, and in any string.
func TestEscapesAnywhere(t *testing.T) {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for n := range letters {
		before, after := letters[:n], letters[n:]
		text := before + `\t` + after
		raw := `["` + text + `","` + text + `",{"` + text + `":"` + text + `","z":"` + letters + `"}]`
		var key format.Key
		if err := read(raw, &key); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		want := before + "\t" + after
		for _, got := range [][]byte{key.Family, key.Sample, key.Labels[0].Name, key.Labels[0].Value} {
			if string(got) != want {
				t.Errorf("%s: got %q, want %q", raw, got, want)
			}
		}
		if got := string(key.Labels[1].Value); got != letters {
			t.Errorf("%s: got %q, want %q", raw, got, letters)
		}
	}
}

// Half a pair of escapes stands for nothing, whatever follows it, and a string may end
// anywhere.
func TestEscapePairs(t *testing.T) {
	var key format.Key
	if err := read(`["f","s",{"a":"\ud83dxude00"}]`, &key); err != nil || string(key.Labels[0].Value) != "\ufffdxude00" {
		t.Errorf("%q, %v", key.Labels[0].Value, err)
	}
	for _, raw := range []string{`["\u12"`, `["\ud83d\u12"`} {
		if _, err := jsonkey.Open(slices.Clip([]byte(raw)), &key, errShape); err == nil {
			t.Errorf("%s is a string", raw)
		}
	}
}

// What JSON has for white space and brackets, and nothing else.
func TestOtherBytes(t *testing.T) {
	for _, raw := range []string{"[\"f\",\"s\",{\"a\":\"x\"}\f]", "[\"f\",\"s\",{\"a\":\"x\"}\x00"} {
		if err := read(raw, new(format.Key)); err == nil {
			t.Errorf("%q is a key", raw)
		}
	}
}

// A Key does not grow with the keys that it was used for.
func TestKeyStaysSmall(t *testing.T) {
	var key format.Key
	for range 1000 {
		if err := read(`["f","s",{"a":"\n"}]`, &key); err != nil {
			t.Fatal(err)
		}
	}
	if len(key.Scratch) > 100 {
		t.Errorf("scratch has %d bytes", len(key.Scratch))
	}
}

func TestReader(t *testing.T) {
	var key format.Key
	r, err := jsonkey.Open([]byte(`["f","s", "a\tb" , 1`), &key, errShape)
	if err != nil {
		t.Fatal(err)
	}
	if r.Take(',') {
		t.Error("a comma is taken that is not there")
	}
	if got := r.Next(); got != '"' {
		t.Errorf("next is %q", got)
	}
	if got, err := r.Text(); err != nil || string(got) != "a\tb" {
		t.Errorf("text is %q, %v", got, err)
	}
	if !r.Take(',') || r.Next() != '1' {
		t.Error("the comma is not taken")
	}
	if _, err := r.Text(); err != errShape {
		t.Errorf("text of a number: error is %v", err)
	}
	if !r.Take('1') || r.Next() != 0 || r.Take(0) {
		t.Error("the end is not the end")
	}
	if err := r.Close(); err != errShape {
		t.Errorf("close: error is %v", err)
	}
}
