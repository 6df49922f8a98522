package python_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/python"
)

// parsed is a format.Key that can be compared and printed.
type parsed struct {
	Family, Sample string
	Labels         []label
	Help           string
	HasHelp        bool
}

type label struct{ Name, Value string }

func strs(key *format.Key) parsed {
	p := parsed{Family: string(key.Family), Sample: string(key.Sample), Help: string(key.Help), HasHelp: key.Help != nil}
	for _, l := range key.Labels {
		p.Labels = append(p.Labels, label{string(l.Name), string(l.Value)})
	}
	return p
}

// helped returns what a key with a help text says.
func helped(family, sample, help string, labels ...label) parsed {
	return parsed{Family: family, Sample: sample, Labels: labels, Help: help, HasHelp: true}
}

// helpless returns what a key without one says.
func helpless(family, sample string, labels ...label) parsed {
	return parsed{Family: family, Sample: sample, Labels: labels}
}

type goodKey struct {
	name, raw string
	want      parsed
}

// goodKeys are keys and what they say. Those of the first part are as
// prometheus_client 0.16 wrote them.
var goodKeys = []goodKey{
	{"a counter", `["requests", "requests_total", {}, "Requests made."]`,
		helped("requests_total", "requests_total", "Requests made.")},
	{"a counter with labels, escapes everywhere", `["jobs", "jobs_total", {"queue": "a\"b\\c\n"}, "Jobs \"done\"."]`,
		helped("jobs_total", "jobs_total", `Jobs "done".`, label{"queue", "a\"b\\c\n"})},
	{"a sample of another family", `["a", "b_total", {}, ""]`, helped("a", "b_total", "")},
	{"a counter called total_total", `["odd_total", "odd_total_total", {}, "Twice."]`,
		helped("odd_total_total", "odd_total_total", "Twice.")},
	{"a gauge called total", `["all_total", "all_total", {}, "A gauge."]`, helped("all_total", "all_total", "A gauge.")},
	{"no ASCII, empty help", `["up", "up", {"host": "\ud83d\ude00", "zone": "\u00fc"}, ""]`,
		helped("up", "up", "", label{"host", "😀"}, label{"zone", "ü"})},
	{"half a surrogate pair", `["half", "half", {"v": "\udcff\u007f"}, "H"]`, helped("half", "half", "H", label{"v", "\ufffd\x7f"})},
	{"a histogram's sum", `["latency_seconds", "latency_seconds_sum", {"path": "{\"a\": [\"b\"]}"}, "Zeit je Anfrage \u2013 \u00fcberall."]`,
		helped("latency_seconds", "latency_seconds_sum", "Zeit je Anfrage – überall.", label{"path", `{"a": ["b"]}`})},
	{"a histogram's bucket", `["latency_seconds", "latency_seconds_bucket", {"le": "1e+06", "path": "/"}, "H"]`,
		helped("latency_seconds", "latency_seconds_bucket", "H", label{"le", "1e+06"}, label{"path", "/"})},
	{"control characters in the help", `["size", "size_count", {}, "\u0000\t"]`, helped("size", "size_count", "\x00\t")},

	{"no help", `["x", "x_total", {"a": "b"}]`, helpless("x_total", "x_total", label{"a", "b"})},
	{"no help, no labels", `["x", "x", {}]`, helpless("x", "x")},
	{"lists", `["x", "x", ["b", "a"], ["1", "2"]]`, helpless("x", "x", label{"b", "1"}, label{"a", "2"})},
	{"empty lists", `["x", "x", [], []]`, helpless("x", "x")},
	{"lists of a counter", `["x", "x_total", [], []]`, helpless("x_total", "x_total")},

	{"no spaces", `["x","y",{"a":"b","c":"d"},"h"]`, helped("x", "y", "h", label{"a", "b"}, label{"c", "d"})},
	{"more spaces", " [ \"x\"\t,\n\"y\"\r, { \"a\" : \"b\" , \"c\" : 2 } , \"h\" ] ", helped("x", "y", "h", label{"a", "b"}, label{"c", "2"})},
	{"a space in the object", `["x", "y", { }, "h"]`, helped("x", "y", "h")},
	{"names in no order", `["x", "x", {"b": "1", "a": "2"}, "h"]`, helped("x", "x", "h", label{"b", "1"}, label{"a", "2"})},
	{"a name twice", `["x", "x", {"a": "1", "a": "2"}, "h"]`, helped("x", "x", "h", label{"a", "1"}, label{"a", "2"})},
	{"escapes in names", `["a\u0062", "a\u0062_total", {"\u00e9\n": "1"}, "h"]`,
		helped("ab_total", "ab_total", "h", label{"é\n", "1"})},
	{"what is after an escape", `["x", "x", {"a": "\n", "b": "plain", "c": "\t"}, "h"]`,
		helped("x", "x", "h", label{"a", "\n"}, label{"b", "plain"}, label{"c", "\t"})},
	{"no ASCII, no escapes", `["x", "x", {"ä": "漢字😀"}, "é"]`, helped("x", "x", "é", label{"ä", "漢字😀"})},
	{"empty value", `["x", "x", {"a": ""}, "h"]`, helped("x", "x", "h", label{"a", ""})},
	{"empty family", `["", "x", {}, "h"]`, helped("", "x", "h")},
	{"empty family of a total", `["", "_total", {}, "h"]`, helped("_total", "_total", "h")},
	{"text that looks like the end", `["x", "x", {"a": "}, ", "b": "\"}, \"h\"]"}, "]"]`,
		helped("x", "x", "]", label{"a", "}, "}, label{"b", `"}, "h"]`})},
}

// bareKeys are good, too, but have values that are no strings.
var bareKeys = []goodKey{
	{"null", `["x", "x", {"a": null, "b": null }, "h"]`, helped("x", "x", "h", label{"a", ""}, label{"b", ""})},
	{"numbers and booleans", `["x", "x", {"a": 1, "b": -0.5e+07, "c": true, "d": false}, "h"]`,
		helped("x", "x", "h", label{"a", "1"}, label{"b", "-0.5e+07"}, label{"c", "true"}, label{"d", "false"})},
	{"arrays and objects", `["x", "x", {"a": [1, {"b": "}]"}], "c": {"d": "e", "f": {}}}, "h"]`,
		helped("x", "x", "h", label{"a", `[1, {"b": "}]"}]`}, label{"c", `{"d": "e", "f": {}}`})},
}

func TestParseKey(t *testing.T) {
	for _, tt := range slices.Concat(goodKeys, bareKeys) {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := python.ParseKey([]byte(tt.raw), &key); err != nil {
				t.Fatalf("%s: %v", tt.raw, err)
			}
			if diff := cmp.Diff(tt.want, strs(&key)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.raw, diff)
			}
		})
	}
}

const (
	notUTF8   = "key is not valid UTF-8"
	badShape  = "key is not a JSON array of family, sample, labels and help"
	badString = "key has a string that is not valid JSON"
	badValue  = "key has a label value that is not valid JSON"
	badCount  = "key has a different number of label names and values"
	noName    = "key has an empty sample name"
	noLabel   = "key has an empty label name"
)

func TestParseKeyRefuses(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"empty", ``, badShape},
		{"not JSON", `http_requests_total`, badShape},
		{"NULs", "\x00\x00\x00\x00", badShape},
		{"an object", `{"a": 1}`, badShape},
		{"two parts", `["m", "m"]`, badShape},
		{"two parts and a comma", `["m", "m", ]`, badShape},
		{"five parts", `["m", "m", {}, "h", "h"]`, badShape},
		{"lists and help", `["m", "m", [], [], "h"]`, badShape},
		{"an object and a list", `["m", "m", {}, []]`, badShape},
		{"a list and an object", `["m", "m", [], {}]`, badShape},
		{"a list and help", `["m", "m", [], "h"]`, badShape},
		{"one list", `["m", "m", []]`, badShape},
		{"a comma after the help", `["m", "m", {}, "h",]`, badShape},
		{"a comma in place of the help", `["m", "m", {},]`, badShape},
		{"bytes after it", `["m", "m", {}, "h"]x`, badShape},
		{"not closed", `["m", "m", {}, "h"`, badShape},
		{"not closed, no help", `["m", "m", {}`, badShape},
		{"byte order mark", "\ufeff" + `["m", "m", {}, "h"]`, badShape},

		{"family null", `[null, "m", {}, "h"]`, badShape},
		{"sample a number", `["m", 1, {}, "h"]`, badShape},
		{"labels null", `["m", "m", null, "h"]`, badShape},
		{"help null", `["m", "m", {}, null]`, badShape},
		{"help a number", `["m", "m", {}, 1]`, badShape},

		{"a name without a value", `["m", "m", {"a"}, "h"]`, badShape},
		{"a name and a colon", `["m", "m", {"a":}, "h"]`, badValue},
		{"an equals sign", `["m", "m", {"a"="b"}, "h"]`, badShape},
		{"a name that is no string", `["m", "m", {a: "b"}, "h"]`, badShape},
		{"a name that is a number", `["m", "m", {1: "b"}, "h"]`, badShape},
		{"a comma after the last label", `["m", "m", {"a": "b",}, "h"]`, badShape},
		{"a comma before the first label", `["m", "m", {,"a": "b"}, "h"]`, badShape},
		{"labels not separated", `["m", "m", {"a": "b" "c": "d"}, "h"]`, badShape},
		{"the wrong bracket", `["m", "m", {"a": "b"], "h"]`, badShape},
		{"the wrong bracket after a bare value", `["m", "m", {"a": 1], "h"]`, badShape},
		{"the wrong bracket in lists", `["m", "m", ["a"], [1}, "h"]`, badShape},
		{"an object not closed", `["m", "m", {"a": "b", "h"]`, badShape},

		{"a bareword", `["m", "m", {"a": b}, "h"]`, badValue},
		{"NaN, which Python's json reads", `["m", "m", {"a": NaN}, "h"]`, badValue},
		{"two values", `["m", "m", {"a": 1 2}, "h"]`, badValue},
		{"an inner array not closed", `["m", "m", {"a": [1}, "h"]`, badValue},
		{"one value too few", `["m", "m", ["a"], []]`, badCount},
		{"one value too many", `["m", "m", [], ["a"]]`, badCount},

		{"a control character", "[\"m\", \"m\", {\"a\": \"\n\"}, \"h\"]", badString},
		{"a control character in the help", "[\"m\", \"m\", {}, \"\x00\"]", badString},
		{"an escape that is none", `["m", "m", {"a": "\x41"}, "h"]`, badString},
		{"a help not closed", `["m", "m", {}, "h]`, badString},
		{"a help not closed after an escape", `["m", "m", {}, "\n]`, badString},

		{"empty sample", `["m", "", {}, "h"]`, noName},
		{"empty label name", `["m", "m", {"": "b"}, "h"]`, noLabel},
		{"invalid UTF-8", "[\"m\", \"m\", {\"a\": \"\xff\"}, \"h\"]", notUTF8},
		{"invalid UTF-8 in the help", "[\"m\", \"m\", {}, \"\xff\"]", notUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := python.ParseKey([]byte(tt.raw), &key); err == nil {
				t.Errorf("%q is parsed as %+v, want error %q", tt.raw, strs(&key), tt.want)
			} else if err.Error() != tt.want {
				t.Errorf("%q: error is %q, want %q", tt.raw, err, tt.want)
			}
		})
	}
}

// A key that is cut anywhere is no key.
func TestParseKeyRefusesPrefixes(t *testing.T) {
	for _, tt := range slices.Concat(goodKeys, bareKeys) {
		whole := strings.TrimRight(tt.raw, " ")
		for n := range len(whole) {
			var key format.Key
			if python.ParseKey([]byte(whole[:n]), &key) == nil {
				t.Errorf("%s is parsed", whole[:n])
			}
		}
	}
}

// What was in a Key before does not show, be it a key's or half a key's.
func TestParseKeyReuses(t *testing.T) {
	var key format.Key
	for range 2 {
		for _, tt := range slices.Concat(goodKeys, bareKeys) {
			raw := []byte(tt.raw)
			if err := python.ParseKey(raw[:len(raw)-2], &key); err == nil {
				t.Errorf("half of %s is parsed", tt.raw)
			}
			before := bytes.Clone(raw)
			if err := python.ParseKey(raw, &key); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strs(&key)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.raw, diff)
			}
			if !bytes.Equal(raw, before) {
				t.Errorf("%s became %s", before, raw)
			}
		}
	}
}

func TestParseKeyAllocatesNothing(t *testing.T) {
	for _, tt := range goodKeys {
		t.Run(tt.name, func(t *testing.T) {
			raw := []byte(tt.raw)
			var key format.Key
			allocs := testing.AllocsPerRun(100, func() { // after one run that does not count
				if err := python.ParseKey(raw, &key); err != nil {
					t.Fatal(err)
				}
			})
			if allocs > 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

// FuzzParseKey checks that ParseKey understands exactly the keys that
// encoding/json understands as an array of such parts, and the same.
func FuzzParseKey(f *testing.F) {
	for _, tt := range slices.Concat(goodKeys, bareKeys) {
		f.Add([]byte(tt.raw))
	}
	for _, raw := range []string{
		`["m", "m", {"a": "b"`, `["m", "m", [], [], "h"]`, `["m", "m", {"a": [1}, "h"]`, `["m", "m", {}, null]`, "[\"m\", \"m\", {\"a\": \"\xff\"}]",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		want, reason := reference(raw)
		var key format.Key
		err := python.ParseKey(raw, &key)
		switch {
		case err == nil && reason != "":
			t.Fatalf("%q is parsed as %+v, but %s", raw, strs(&key), reason)
		case err != nil && reason == "":
			t.Fatalf("%q: %v, but encoding/json has %+v", raw, err, want)
		case err == nil:
			if diff := cmp.Diff(want, strs(&key)); diff != "" {
				t.Errorf("%q: -want +got:\n%s", raw, diff)
			}
			checkMarks(t, raw, &key)
		}
	})
}

// checkMarks checks what a Key says about how its values are spelled.
func checkMarks(t *testing.T, raw []byte, key *format.Key) {
	t.Helper()
	for _, l := range key.Labels {
		needsEscape := func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }
		if key.Plain && bytes.ContainsFunc(l.Value, needsEscape) {
			t.Errorf("%q is plain, but %q is not", raw, l.Value)
		}
		if l.At > 0 && !bytes.HasPrefix(raw[l.At-1:], fmt.Appendf(nil, `"%s"`, l.Value)) {
			t.Errorf("%q: %q is not at %d", raw, l.Value, l.At)
		}
	}
}

// reference parses a key by means of encoding/json. It says what is wrong
// with a key that is none.
func reference(raw []byte) (key parsed, reason string) {
	if !utf8.Valid(raw) {
		return key, "it is not UTF-8" // encoding/json would replace it
	}
	parts, ok := array(raw)
	if !ok || len(parts) < 3 || len(parts) > 4 {
		return key, "it is not an array of three or four"
	}
	var isString bool
	if key.Family, isString = text(parts[0]); !isString {
		return key, "the family is no string"
	}
	if key.Sample, isString = text(parts[1]); !isString || key.Sample == "" {
		return key, "the sample is no string, or empty"
	}
	if key.Sample == key.Family+"_total" {
		key.Family = key.Sample
	}
	names, values, ok := object(parts[2])
	switch {
	case ok && len(parts) == 4:
		if key.Help, key.HasHelp = text(parts[3]); !key.HasHelp {
			return key, "the help is no string"
		}
	case ok:
	case len(parts) == 4:
		var ok2 bool
		names, ok = array(parts[2])
		values, ok2 = array(parts[3])
		if !ok || !ok2 || len(names) != len(values) {
			return key, "the third and fourth are not arrays of one length"
		}
	default:
		return key, "the third is no object"
	}
	for i, name := range names {
		var l label
		if l.Name, isString = text(name); !isString || l.Name == "" {
			return key, "a label name is no string, or empty"
		}
		if l.Value, isString = text(values[i]); !isString && string(values[i]) != "null" {
			l.Value = string(values[i])
		}
		key.Labels = append(key.Labels, l)
	}
	return key, ""
}

// object returns the names, as JSON, and values of an object in their order,
// with all that are there twice.
func object(raw []byte) (names, values []json.RawMessage, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, false
	}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return nil, nil, false
		}
		names, values = append(names, quoted(name)), append(values, value)
	}
	return names, values, true
}

func quoted(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

func array(raw []byte) (items []json.RawMessage, ok bool) {
	err := json.Unmarshal(raw, &items)
	return items, err == nil && items != nil // null is no array
}

func text(raw []byte) (s string, ok bool) {
	err := json.Unmarshal(raw, &s)
	return s, err == nil && raw[0] == '"' // null is no string
}
