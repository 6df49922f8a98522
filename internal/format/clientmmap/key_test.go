package clientmmap_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// parsed is a format.Key that can be compared and printed.
type parsed struct {
	Family, Sample string
	Labels         []label
}

type label struct{ Name, Value string }

func strs(key *format.Key) parsed {
	p := parsed{Family: string(key.Family), Sample: string(key.Sample)}
	for _, l := range key.Labels {
		p.Labels = append(p.Labels, label{string(l.Name), string(l.Value)})
	}
	return p
}

func TestParseKey(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want parsed
	}{
		{"no labels", `["x","x",[],[]]`, parsed{"x", "x", nil}},
		{"a histogram's bucket", `["h","h_bucket",["c","le"],["1","0.005"]]`,
			parsed{"h", "h_bucket", []label{{"c", "1"}, {"le", "0.005"}}}},
		{"label names in no order", `["x","x",["b","a"],["1","2"]]`, parsed{"x", "x", []label{{"b", "1"}, {"a", "2"}}}},
		{"a label name twice", `["x","x",["a","a"],["1","2"]]`, parsed{"x", "x", []label{{"a", "1"}, {"a", "2"}}}},
		{"empty family", `["","x",[],[]]`, parsed{"", "x", nil}},
		{"white space", " [\t\"x\"\n,\r\"y\" , [ \"a\" , \"b\" ] , [ \"1\" , 2 ] ] ", parsed{"x", "y", []label{{"a", "1"}, {"b", "2"}}}},
		{"white space in empty lists", `["x","y",[ ],[` + "\n" + `]]`, parsed{"x", "y", nil}},
		{"names that are no Prometheus names", `["a b","-",["ä"],["1"]]`, parsed{"a b", "-", []label{{"ä", "1"}}}},
		{"escapes in all names", `["a\"","b\\",["\u00e9"],["1"]]`, parsed{`a"`, `b\`, []label{{"é", "1"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := clientmmap.ParseKey([]byte(tt.raw), &key); err != nil {
				t.Fatalf("%s: %v", tt.raw, err)
			}
			if diff := cmp.Diff(tt.want, strs(&key)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.raw, diff)
			}
		})
	}
}

// goodValues are label values as they stand in keys, and what they say.
var goodValues = []struct{ name, raw, want string }{
	{"empty", `""`, ""},
	{"plain", `"puma_0"`, "puma_0"},
	{"null", `null`, ""},
	{"the word null", `"null"`, "null"},
	{"true", `true`, "true"},
	{"false", `false`, "false"},
	{"integer", `42`, "42"},
	{"negative", `-7`, "-7"},
	{"minus zero", `-0`, "-0"},
	{"big integer", `123456789012345678901234567890`, "123456789012345678901234567890"},
	{"fraction", `0.1`, "0.1"},
	{"exponents", `1.0e+20`, "1.0e+20"},
	{"negative exponent", `1.0E-07`, "1.0E-07"},
	{"number, spaces around", " 5\t\n", "5"},
	{"null, spaces around", " null\r", ""},
	{"empty array", `[]`, "[]"},
	{"array", `["x"]`, `["x"]`},
	{"array with white space", `[1, 2]`, `[1, 2]`},
	{"deep", `[[1,{"a":[2,"]"]}],{}]`, `[[1,{"a":[2,"]"]}],{}]`},
	{"object", `{"a":"b","c":[]}`, `{"a":"b","c":[]}`},
	{"brackets, commas and quotes in inner strings", `["]","}",",","\"]"]`, `["]","}",",","\"]"]`},
	{"escapes in inner strings", `["\u003c\\"]`, `["\u003c\\"]`},

	{"quote", `"a\"b"`, `a"b`},
	{"backslash", `"a\\"`, `a\`},
	{"slash", `"a\/b"`, "a/b"},
	{"bare slash", `"a/b"`, "a/b"},
	{"short escapes", `"\b\f\n\r\t"`, "\b\f\n\r\t"},
	{"comma, brackets and braces", `"a,b]c[d}{"`, "a,b]c[d}{"},
	{"what Rails escapes", `"\u003c\u003e\u0026\u2028\u2029"`, "<>&\u2028\u2029"},
	{"control characters", `"\u0000\u0001\u001f\u007f"`, "\x00\x01\x1f\x7f"},
	{"raw DEL", "\"\x7f\"", "\x7f"},
	{"hex digits of both cases", `"\u00e9\u00E9\uabCD"`, "éé\uabcd"},
	{"two bytes", `"ä"`, "ä"},
	{"three bytes", "\"\u65e5\u2028\"", "日\u2028"},
	{"four bytes", `"😀"`, "😀"},
	{"last of the BMP", `"\uffff\ufffd"`, "\uffff\ufffd"},
	{"text after an escape", `"\tx😀"`, "\tx😀"},

	{"surrogate pair", `"\ud83d\ude00"`, "😀"},
	{"surrogate pair, upper case", `"\uD83D\uDE00"`, "😀"},
	{"first and last pair", `"\ud800\udc00\udbff\udfff"`, "\U00010000\U0010ffff"},
	{"high surrogate alone", `"\ud83d"`, "\ufffd"},
	{"low surrogate alone", `"\ude00"`, "\ufffd"},
	{"high surrogate, then text", `"\ud83dx"`, "\ufffdx"},
	{"high surrogate, then an escape", `"\ud83d\n"`, "\ufffd\n"},
	{"high surrogate, then a letter's escape", `"\ud83d\u0041"`, "\ufffdA"},
	{"high surrogate twice, then low", `"\ud83d\ud83d\ude00"`, "\ufffd😀"},
	{"surrogates the wrong way round", `"\ude00\ud83d"`, "\ufffd\ufffd"},
}

func TestParseKeyValues(t *testing.T) {
	for _, tt := range goodValues {
		t.Run(tt.name, func(t *testing.T) {
			// The value comes first, last and next to itself.
			raw := fmt.Sprintf(`["m","m",["a","b","c"],[%s,%s,"z"]]`, tt.raw, tt.raw)
			var key format.Key
			if err := clientmmap.ParseKey([]byte(raw), &key); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			want := parsed{"m", "m", []label{{"a", tt.want}, {"b", tt.want}, {"c", "z"}}}
			if diff := cmp.Diff(want, strs(&key)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", raw, diff)
			}
		})
	}
}

const (
	notUTF8   = "key is not valid UTF-8"
	badShape  = "key is not a JSON array of family, sample, label names and label values"
	badString = "key has a string that is not valid JSON"
	badValue  = "key has a label value that is not valid JSON"
	badCount  = "key has a different number of label names and values"
	noName    = "key has an empty sample name"
	noLabel   = "key has an empty label name"
)

func TestParseKeyRefuses(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"empty", ``, badShape},
		{"white space only", ` `, badShape},
		{"not JSON", `http_requests_total`, badShape},
		{"NULs", "\x00\x00\x00\x00", badShape},
		{"null", `null`, badShape},
		{"an object", `{"a":1}`, badShape},
		{"a string", `"m"`, badShape},
		{"no parts", `[]`, badShape},
		{"one part", `["m"]`, badShape},
		{"two parts", `["m","m"]`, badShape},
		{"three parts", `["m","m",[]]`, badShape},
		{"five parts", `["m","m",[],[],[]]`, badShape},
		{"comma at the end", `["m","m",[],[],]`, badShape},
		{"comma at the start", `[,"m","m",[],[]]`, badShape},
		{"commas missing", `["m" "m" [] []]`, badShape},
		{"comma missing after the sample", `["m","m"[],[]]`, badShape},
		{"comma missing after the label names", `["m","m",[][]]`, badShape},
		{"not closed", `["m","m",[],[]`, badShape},
		{"bytes after it", `["m","m",[],[]]x`, badShape},
		{"bracket after it", `["m","m",[],[]]]`, badShape},
		{"NUL after it", `["m","m",[],[]]` + "\x00", badShape},
		{"byte order mark", "\ufeff" + `["m","m",[],[]]`, badShape},
		{"no-break space", `["m",` + "\u00a0" + `"m",[],[]]`, badShape},
		{"vertical tab", "[\v" + `"m","m",[],[]]`, badShape},

		{"family null", `[null,"m",[],[]]`, badShape},
		{"sample null", `["m",null,[],[]]`, badShape},
		{"barewords", `[m,m,[a],[b]]`, badShape},
		{"numbers as names", `[1,1,[],[]]`, badShape},
		{"number as a label name", `["m","m",[1],["b"]]`, badShape},
		{"null as a label name", `["m","m",[null],["b"]]`, badShape},
		{"label names null", `["m","m",null,[]]`, badShape},
		{"label values null", `["m","m",[],null]`, badShape},
		{"label names an object", `["m","m",{},[]]`, badShape},
		{"comma after the last label name", `["m","m",["a",],["b"]]`, badShape},
		{"label names not separated", `["m","m",["a" "c"],["b","d"]]`, badShape},
		{"label values not separated", `["m","m",["a","c"],["b" "d"]]`, badShape},

		{"one value too few", `["m","m",["a"],[]]`, badCount},
		{"two values too few", `["m","m",["a","b"],[]]`, badCount},
		{"one value too many", `["m","m",[],["b"]]`, badCount},
		{"two values too many", `["m","m",["a"],["b","c","d"]]`, badCount},
		{"comma after the last value", `["m","m",["a"],["b",]]`, badCount},
		{"comma instead of a value", `["m","m",["a","c"],["b",]]`, badValue},
		{"two commas", `["m","m",["a","c","d"],["b",,"d"]]`, badValue},

		{"empty sample", `["m","",[],[]]`, noName},
		{"family and sample empty", `["","",[],[]]`, noName},
		{"empty label name", `["m","m",[""],["b"]]`, noLabel},

		{"invalid UTF-8 in a value", "[\"m\",\"m\",[\"a\"],[\"\xff\"]]", notUTF8},
		{"invalid UTF-8 in a name", "[\"m\xe4\",\"m\",[],[]]", notUTF8},
		{"UTF-8 cut short", "[\"m\",\"m\",[\"a\"],[\"\xe6\x97\"]]", notUTF8},
		{"overlong NUL", "[\"m\",\"m\",[\"a\"],[\"\xc0\x80\"]]", notUTF8},
		{"surrogate in UTF-8", "[\"m\",\"m\",[\"a\"],[\"\xed\xa0\x80\"]]", notUTF8},
		{"invalid UTF-8 after the key", "[\"m\",\"m\",[],[]]\xff", notUTF8},

		{"string not closed", `["m","m",["a"],["b`, badString},
		{"string not closed after an escape", `["m","m",["a"],["\n`, badString},
		{"family not closed", `["m`, badString},
		{"inner array not closed", `["m","m",["a"],[[1]]`, badShape},
		{"inner object not closed", `["m","m",["a"],[{]]`, badValue},
		{"inner string not closed", `["m","m",["a"],[["]]]`, badValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refuses(t, tt.raw, tt.want)
		})
	}
}

func TestParseKeyRefusesStrings(t *testing.T) {
	for _, text := range []string{
		"\n", "\t", "\x00", "\x1f", "\\n\n", "\\n\x00", // raw control characters, also after an escape
		`\x41`, `\'`, `\a`, `\v`, `\0`, `\N`, `\U00000041`, `\ `, `\ä`,
		`\u`, `\u1`, `\u12`, `\u123`, `\u123g`, `\u 123`, `\u-123`, `\u+123`, `\ud83d\u`, `\ud83d\ude0`, `\ud83d\x`,
	} {
		for _, where := range []string{
			`["%s","m",["a"],["b"]]`, `["m","%s",["a"],["b"]]`, `["m","m",["%s"],["b"]]`, `["m","m",["a"],["%s"]]`,
			`["m","m",["a"],["x%s"]]`,
		} {
			refuses(t, strings.Replace(where, "%s", text, 1), badString)
		}
	}
	refuses(t, `["m","m",["a"],["\"]]`, badString)
}

func TestParseKeyRefusesValues(t *testing.T) {
	for _, value := range []string{
		` `, `nul`, `nulll`, `null null`, `NULL`, `nil`, `True`, `tru`, `truefalse`, `b`, `'b'`,
		`NaN`, `Infinity`, `-Infinity`, `+1`, `01`, `1.`, `.5`, `1e`, `0x1`, `1_000`, `--1`, `1 2`,
		`[1}`, `{"a"}`, `{a:1}`, `[1,]`, `["` + "\n" + `"]`, `["\x"]`,
		"\u00a01", "1\u00a0", "\v1", // space, but not JSON's
	} {
		refuses(t, `["m","m",["a"],[`+value+`,1]]`, badValue)
	}
}

func refuses(t *testing.T, raw, want string) {
	t.Helper()
	var key format.Key
	if err := clientmmap.ParseKey([]byte(raw), &key); err == nil {
		t.Errorf("%q is parsed as %+v, want error %q", raw, strs(&key), want)
	} else if err.Error() != want {
		t.Errorf("%q: error is %q, want %q", raw, err, want)
	}
}

// A key that is cut anywhere is no key.
func TestParseKeyRefusesPrefixes(t *testing.T) {
	raw := `["h","h_bucket",["a","b","c","le"],["\u003c\ud83d\ude00",[1,{"x":"]"}],null,"0.5"]]`
	for n := range len(raw) {
		var key format.Key
		if clientmmap.ParseKey([]byte(raw[:n]), &key) == nil {
			t.Errorf("%s is parsed", raw[:n])
		}
	}
}

// One Key serves many keys, in whatever order, and unescaped strings of one
// key do not overwrite each other however many there are.
func TestParseKeyReuses(t *testing.T) {
	var names, values []string
	want := parsed{Family: "f\t", Sample: "s\t"}
	for i := range 200 {
		name, value := fmt.Sprintf("l\t%d", i), fmt.Sprintf("v\n%d", i)
		names, values = append(names, name), append(values, value)
		want.Labels = append(want.Labels, label{name, value})
	}
	big, err := json.Marshal([]any{want.Family, want.Sample, names, values})
	if err != nil {
		t.Fatal(err)
	}
	var key format.Key
	for range 3 {
		if err := clientmmap.ParseKey(big, &key); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, strs(&key)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if err := clientmmap.ParseKey([]byte(`["m","m",["a"],["\`), &key); err == nil {
			t.Error("half a key is parsed")
		}
		if err := clientmmap.ParseKey([]byte(`["m","m",[],[]]`), &key); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parsed{"m", "m", nil}, strs(&key)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestParseKeyDoesNotWrite(t *testing.T) {
	raw := []byte(`["f\t","s\n",["l\\"],["v\""]]`)
	before := bytes.Clone(raw)
	var key format.Key
	if err := clientmmap.ParseKey(raw, &key); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, before) {
		t.Errorf("key became %s", raw)
	}
}

// Length alone is no reason to refuse a key, or to be slow.
func TestParseKeyLong(t *testing.T) {
	const labels, size = 100_000, 10 << 20
	list := func(item string) string { return `["` + strings.Repeat(item+`","`, labels-1) + item + `"]` }
	tests := []struct {
		name, raw string
		labels    int
		first     int // length of the first value
	}{
		{"100,000 labels", `["m","m",` + list("name") + `,` + list("value") + `]`, labels, 5},
		{"100,000 labels, escapes", `["m","m",` + list(`n\t`) + `,` + list(`v\u0041`) + `]`, labels, 2},
		{"10 MB", `["m","m",["a"],["` + strings.Repeat("x", size) + `"]]`, 1, size},
		{"10 MB of escapes", `["m","m",["a"],["` + strings.Repeat(`\u0041`, size/6) + `"]]`, 1, size / 6},
		{"10 MB, no string", `["m","m",["a"],[[` + strings.Repeat("1,", size/2) + `1]]]`, 1, size + 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := clientmmap.ParseKey([]byte(tt.raw), &key); err != nil {
				t.Fatal(err)
			}
			if len(key.Labels) != tt.labels || len(key.Labels[0].Value) != tt.first {
				t.Errorf("%d labels, the first of %d bytes; want %d, %d",
					len(key.Labels), len(key.Labels[0].Value), tt.labels, tt.first)
			}
		})
	}
}

// FuzzParseKey checks that ParseKey understands exactly the keys that
// encoding/json understands as an array of the four parts, and the same.
func FuzzParseKey(f *testing.F) {
	for _, v := range goodValues {
		f.Add([]byte(`["h","h_bucket",["a","le"],[` + v.raw + `,"0.5"]]`))
	}
	for _, raw := range []string{
		`["x","x",[],[]]`, " [ \"x\" ,\t\"y\" , [ ] , [ ] ]\n", `["a\"","b\\",["\u00e9"],["1"]]`, `["","",[""],[""]]`,
		`[1,1,[],[]]`, `["m","m",["a","b"],[]]`, `["m","m",["a"],["b"]]]`, "[\"m\",\"m\",[\"a\"],[\"\xff\"]]", `["m","m",["a"],[nul]]`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		want, reason := reference(raw)
		var key format.Key
		err := clientmmap.ParseKey(raw, &key)
		switch {
		case err == nil && reason != "":
			t.Fatalf("%q is parsed as %+v, but %s", raw, strs(&key), reason)
		case err != nil && reason == "":
			t.Fatalf("%q: %v, but encoding/json has %+v", raw, err, want)
		case err == nil:
			if diff := cmp.Diff(want, strs(&key)); diff != "" {
				t.Errorf("%q: -want +got:\n%s", raw, diff)
			}
		}
	})
}

// reference parses a key by means of encoding/json. It says what is wrong
// with a key that is none.
func reference(raw []byte) (key parsed, reason string) {
	if !utf8.Valid(raw) {
		return key, "it is not UTF-8" // encoding/json would replace it
	}
	parts, ok := array(raw)
	if !ok || len(parts) != 4 {
		return key, "it is not an array of four"
	}
	names, ok := array(parts[2])
	values, ok2 := array(parts[3])
	if !ok || !ok2 || len(names) != len(values) {
		return key, "the third and fourth are not arrays of one length"
	}
	var isString bool
	if key.Family, isString = text(parts[0]); !isString {
		return key, "the family is no string"
	}
	if key.Sample, isString = text(parts[1]); !isString || key.Sample == "" {
		return key, "the sample is no string, or empty"
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

func array(raw []byte) (items []json.RawMessage, ok bool) {
	err := json.Unmarshal(raw, &items)
	return items, err == nil && items != nil // null is no array
}

func text(raw []byte) (s string, ok bool) {
	err := json.Unmarshal(raw, &s)
	return s, err == nil && raw[0] == '"' // null is no string
}
