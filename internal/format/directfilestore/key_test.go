package directfilestore_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/directfilestore"
)

const (
	plain     = directfilestore.Plain
	histogram = directfilestore.Histogram
	summary   = directfilestore.Summary
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

// tableKey is what a key of the metric m is to the table.
func tableKey(kind directfilestore.Kind, raw string) []byte {
	return directfilestore.AppendKey(nil, "m", kind, []byte(raw))
}

func TestAppendKey(t *testing.T) {
	appendTo := func(dst string, metric string, kind directfilestore.Kind, raw string) string {
		return string(directfilestore.AppendKey([]byte(dst), metric, kind, []byte(raw)))
	}
	if got, want := appendTo("before", "m", summary, "a=1&b=2   "), "before\x02m\x00a=1&b=2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	distinct := map[string]bool{
		appendTo("", "m", plain, "a=1 "):     true,
		appendTo("", "m", histogram, "a=1 "): true,
		appendTo("", "ma", plain, "=1 "):     true,
		appendTo("", "n", plain, "a=1 "):     true,
		appendTo("", "m", plain, "    "):     true,
	}
	if len(distinct) != 5 {
		t.Errorf("of five keys %d are distinct", len(distinct))
	}
	if a, b := appendTo("", "m", plain, "a=1 "), appendTo("", "m", plain, "a=1     "); a != b {
		t.Errorf("%q and %q are not equal", a, b)
	}
}

func TestParseKey(t *testing.T) {
	tests := []struct {
		name string
		kind directfilestore.Kind
		raw  string
		want parsed
	}{
		{"no labels", plain, "    ", parsed{"m", "m", nil}},
		{"labels", plain, "code=200&path=users ", parsed{"m", "m", []label{{"code", "200"}, {"path", "users"}}}},
		{"label names in no order", plain, "b=1&a=2 ", parsed{"m", "m", []label{{"b", "1"}, {"a", "2"}}}},
		{"a label name twice", plain, "a=1&a=2 ", parsed{"m", "m", []label{{"a", "1"}, {"a", "2"}}}},
		{"pid", plain, "pid=7 ", parsed{"m", "m", []label{{"pid", "7"}}}},
		{"escapes in names", plain, "a+b=1&%C3%A4=2 ", parsed{"m", "m", []label{{"a b", "1"}, {"ä", "2"}}}},

		{"bucket", histogram, "a=1&le=0.005&z=2 ", parsed{"m", "m_bucket", []label{{"a", "1"}, {"le", "0.005"}, {"z", "2"}}}},
		{"last bucket", histogram, "le=%2BInf ", parsed{"m", "m_bucket", []label{{"le", "+Inf"}}}},
		{"bucket by exponent", histogram, "le=1.0e-07 ", parsed{"m", "m_bucket", []label{{"le", "1.0e-07"}}}},
		{"bucket that is no number", histogram, "le=count ", parsed{"m", "m_bucket", []label{{"le", "count"}}}},
		{"sum of a histogram", histogram, "a=1&le=sum&z=2 ", parsed{"m", "m_sum", []label{{"a", "1"}, {"z", "2"}}}},
		{"sum, escaped", histogram, "l%65=s%75m ", parsed{"m", "m_sum", nil}},
		{"sum, of another label", histogram, "ale=sum&le=1 ", parsed{"m", "m_bucket", []label{{"ale", "sum"}, {"le", "1"}}}},
		{"histogram without le", histogram, "a=1 ", parsed{"m", "m", []label{{"a", "1"}}}},
		{"histogram with quantile", histogram, "le=1&quantile=sum ", parsed{"m", "m_bucket", []label{{"le", "1"}, {"quantile", "sum"}}}},

		{"sum of a summary", summary, "a=1&quantile=sum&z=2 ", parsed{"m", "m_sum", []label{{"a", "1"}, {"z", "2"}}}},
		{"count of a summary", summary, "quantile=count ", parsed{"m", "m_count", nil}},
		{"quantile", summary, "quantile=0.5 ", parsed{"m", "m", []label{{"quantile", "0.5"}}}},
		{"summary without quantile", summary, "a=1 ", parsed{"m", "m", []label{{"a", "1"}}}},
		{"summary with le", summary, "le=sum&quantile=sum ", parsed{"m", "m_sum", []label{{"le", "sum"}}}},

		{"le of a counter", plain, "le=sum ", parsed{"m", "m", []label{{"le", "sum"}}}},
		{"quantile of a counter", plain, "quantile=sum ", parsed{"m", "m", []label{{"quantile", "sum"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := directfilestore.ParseKey(tableKey(tt.kind, tt.raw), &key); err != nil {
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
	{"empty", "", ""},
	{"what is not escaped", "aZ09-._~", "aZ09-._~"},
	{"space", "+", " "},
	{"spaces at both ends", "+a+", " a "},
	{"escaped space", "%20", " "},
	{"plus", "%2B", "+"},
	{"percent", "%25", "%"},
	{"percent that reads like an escape", "%2541", "%41"},
	{"what divides", "%26%3D%3B%3F%23", "&=;?#"},
	{"bare equals sign", "a=b", "a=b"},
	{"lower case digits", "%c3%a4", "ä"},
	{"quote", "%22", `"`},
	{"backslash", "%5C", `\`},
	{"line feed", "%0A", "\n"},
	{"quote and backslash", "%22%5C", `"\`},
	{"control characters", "%00%0A%1F%7F", "\x00\n\x1f\x7f"},
	{"bare control characters and quotes", "\t\"\\", "\t\"\\"},
	{"bare bytes above ASCII", "ä", "ä"},
	{"half of it escaped", "%C3%A4ä", "ää"},
	{"four bytes", "%F0%9F%98%80", "😀"},
	{"inner space that is not escaped", "a b", "a b"},
}

func TestParseKeyValues(t *testing.T) {
	for _, tt := range goodValues {
		t.Run(tt.name, func(t *testing.T) {
			// The value comes first, last and next to itself.
			raw := fmt.Sprintf("a=%s&b=%s&c=z&d=%s", tt.raw, tt.raw, tt.raw)
			var key format.Key
			if err := directfilestore.ParseKey(tableKey(plain, raw), &key); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			want := parsed{"m", "m", []label{{"a", tt.want}, {"b", tt.want}, {"c", "z"}, {"d", tt.want}}}
			if diff := cmp.Diff(want, strs(&key)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", raw, diff)
			}
			if special := strings.ContainsFunc(tt.want, isSpecial); key.Plain == special {
				t.Errorf("%s: Plain is %t", raw, key.Plain)
			}
		})
	}
}

func isSpecial(r rune) bool { return r < ' ' || r == '"' || r == '\\' }

const (
	noMetric  = "key has no metric before it"
	noName    = "metric has an empty name"
	notUTF8   = "key is not valid UTF-8"
	badShape  = "key is not a query string of labels"
	badEscape = "key has a % without two hexadecimal digits"
	noLabel   = "key has an empty label name"
	twice     = "key has the label le or quantile twice"
)

func TestParseKeyRefuses(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"nothing", "", noMetric},
		{"a kind only", "\x00", noMetric},
		{"no end of the name", "\x00m", noMetric},
		{"a kind that there is not", "\x03m\x00a=1", noMetric},
		{"empty name", "\x00\x00a=1", noName},
		{"name that is not UTF-8", "\x00m\xff\x00a=1", notUTF8},

		{"no equals sign", "\x00m\x00a", badShape},
		{"no equals sign in the second label", "\x00m\x00a=1&b", badShape},
		{"two dividers", "\x00m\x00a=1&&b=2", badShape},
		{"divider first", "\x00m\x00&a=1", badShape},
		{"divider last", "\x00m\x00a=1&", badShape},
		{"semicolon", "\x00m\x00a=1;b=2", badShape},
		{"NULs", "\x00m\x00\x00\x00\x00", badShape},
		{"a NUL in a value", "\x00m\x00a=\x00b", badShape},
		{"JSON", "\x00m\x00" + `["m","m",[],[]]`, badShape},

		{"empty label name", "\x00m\x00=1", noLabel},
		{"empty label name later", "\x00m\x00a=1&=1", noLabel},

		{"percent at the end", "\x00m\x00a=%", badEscape},
		{"one digit", "\x00m\x00a=%4", badEscape},
		{"one digit, then a divider", "\x00m\x00a=%4&b=1", badEscape},
		{"no digits", "\x00m\x00a=%zz", badEscape},
		{"second is no digit", "\x00m\x00a=%4g", badEscape},
		{"signs", "\x00m\x00a=%+1", badEscape},
		{"in a name", "\x00m\x00a%=1", badEscape},

		{"bare byte that is not UTF-8", "\x00m\x00a=\xff", notUTF8},
		{"escaped byte that is not UTF-8", "\x00m\x00a=%FF", notUTF8},
		{"UTF-8 cut short by a divider", "\x00m\x00a=%C3&b=%A4", notUTF8},
		{"surrogate", "\x00m\x00a=%ED%A0%80", notUTF8},
		{"name that is not UTF-8 either", "\x00m\x00%FF=1", notUTF8},

		{"le twice", "\x01m\x00le=sum&le=1", twice},
		{"quantile twice", "\x02m\x00quantile=sum&quantile=count", twice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var key format.Key
			if err := directfilestore.ParseKey([]byte(tt.raw), &key); err == nil {
				t.Errorf("%q is parsed as %+v, want error %q", tt.raw, strs(&key), tt.want)
			} else if err.Error() != tt.want {
				t.Errorf("%q: error is %q, want %q", tt.raw, err, tt.want)
			}
		})
	}
}

// One Key serves many keys, and unescaped texts of one key do not overwrite
// each other however many there are.
func TestParseKeyReuses(t *testing.T) {
	var pairs []string
	want := parsed{Family: "m", Sample: "m_sum"}
	for i := range 200 {
		name, value := fmt.Sprintf("l %d", i), fmt.Sprintf("v\n%d", i)
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(value))
		want.Labels = append(want.Labels, label{name, value})
	}
	big := tableKey(histogram, strings.Join(append(pairs, "le=sum"), "&"))
	key := format.Key{Help: []byte("of another format")}
	for range 3 {
		if err := directfilestore.ParseKey(big, &key); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, strs(&key)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if key.Help != nil {
			t.Errorf("Help is %q", key.Help)
		}
		if len(key.Scratch) > len(big) {
			t.Errorf("a key of %d bytes keeps %d", len(big), len(key.Scratch))
		}
		if err := directfilestore.ParseKey(tableKey(plain, "a=%0A%"), &key); err == nil {
			t.Error("half an escape is parsed")
		}
		if err := directfilestore.ParseKey(tableKey(plain, " "), &key); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parsed{"m", "m", nil}, strs(&key)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestParseKeyDoesNotWrite(t *testing.T) {
	raw := tableKey(histogram, "a=%0A&le=sum&z=+")
	before := bytes.Clone(raw)
	var key format.Key
	if err := directfilestore.ParseKey(raw, &key); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, before) {
		t.Errorf("key became %q", raw)
	}
}

func TestKeysDoNotAllocate(t *testing.T) {
	var (
		key format.Key
		dst []byte
	)
	raws := [][]byte{
		[]byte("    "),
		[]byte("code=200&path=users "),
		[]byte("code=200&le=2.5&path=%2Fusers%2F7+a "),
		[]byte("code=200&le=sum&path=" + strings.Repeat("x", 100)),
		[]byte("le=" + strings.Repeat("1", 100)),
		[]byte("a=1&quantile=count "),
	}
	parse := func() {
		for _, raw := range raws {
			for kind := plain; kind <= summary; kind++ {
				dst = directfilestore.AppendKey(dst[:0], "http_requests", kind, raw)
				if err := directfilestore.ParseKey(dst, &key); err != nil {
					t.Error(err)
				}
			}
		}
	}
	parse()
	if n := testing.AllocsPerRun(100, parse); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseKey checks that ParseKey understands exactly the query strings that
// net/url understands label by label, and the same.
func FuzzParseKey(f *testing.F) {
	for _, v := range goodValues {
		f.Add(uint8(1), []byte("a="+v.raw+"&le=0.5 "))
	}
	for _, raw := range []string{
		"    ", "le=sum", "a=1&le=%2BInf", "quantile=count", "quantile=sum&a=+", "quantile=0.5", "le=1&le=sum",
		"a", "a=1&&b=2", "=1", "a=%", "a=%4", "a=%FF", "a=1;b=2", "a=1&", "&",
	} {
		for kind := range uint8(3) {
			f.Add(kind, []byte(raw))
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, raw []byte) {
		kind := directfilestore.Kind(number % 3)
		want, ok := reference(kind, strings.TrimRight(string(raw), " "))
		var key format.Key
		whole := directfilestore.AppendKey(nil, "m", kind, raw)
		err := directfilestore.ParseKey(whole, &key)
		switch {
		case err == nil && !ok:
			t.Fatalf("%q is parsed as %+v", raw, strs(&key))
		case err != nil && ok:
			t.Fatalf("%q: %v, want %+v", raw, err, want)
		case err != nil:
			return
		}
		if diff := cmp.Diff(want, strs(&key)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", raw, diff)
		}
		for _, l := range key.Labels {
			if l.At > 0 && !bytes.HasPrefix(whole[l.At:], l.Value) {
				t.Errorf("%q: at %d is not the value %q", raw, l.At, l.Value)
			}
			if key.Plain && strings.ContainsFunc(string(l.Value), isSpecial) {
				t.Errorf("%q: Plain is true", raw)
			}
		}
	})
}

// reference parses a key by means of net/url.
func reference(kind directfilestore.Kind, raw string) (key parsed, ok bool) {
	key = parsed{Family: "m", Sample: "m"}
	if raw == "" {
		return key, true
	}
	if strings.Contains(raw, "\x00") { // which net/url takes for a character as any other
		return key, false
	}
	pseudo := map[directfilestore.Kind]string{histogram: "le", summary: "quantile"}[kind]
	seen := 0
	for pair := range strings.SplitSeq(raw, "&") {
		// It takes what has no equals sign, and nothing at all, for labels, too.
		if !strings.Contains(pair, "=") {
			return key, false
		}
		values, err := url.ParseQuery(pair)
		if err != nil || len(values) != 1 {
			return key, false
		}
		for name, list := range values {
			value := list[0]
			if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
				return key, false
			}
			if name == pseudo {
				seen++
				if value == "sum" || kind == summary && value == "count" {
					key.Sample = "m_" + value
					continue
				}
				if kind == histogram {
					key.Sample = "m_bucket"
				}
			}
			key.Labels = append(key.Labels, label{name, value})
		}
	}
	return key, seen < 2
}
