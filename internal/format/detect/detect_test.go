package detect_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format/detect"
	"gitlab-metrics-exporter/internal/format/frame"
)

// forms are all that there are, the newer layout of a format first.
var forms = []detect.Form{
	{Format: discover.ClientMmap, Layout: frame.Layout{Bare: true}},
	{Format: discover.Python, Layout: frame.Layout{Bare: true, Stamped: true}},
	{Format: discover.Python, Layout: frame.Layout{Bare: true}},
	{Format: discover.DirectFileStore, Layout: frame.Layout{Stamped: true}},
	{Format: discover.DirectFileStore},
}

// known returns what is known of a file of the form before it is opened: files of
// DirectFileStore have a suffix of their own.
func known(form detect.Form) discover.Format {
	if form.Format == discover.DirectFileStore {
		return form.Format
	}
	return discover.NoFormat
}

// image returns a file with one entry for each key, which has the value and the
// timestamp of the same place, if there is one.
func image(l frame.Layout, keys []string, numbers ...float64) []byte {
	b := frame.AppendHeader(nil, 0)
	for i, key := range keys {
		value, stamp := 1.0, 0.0
		if 2*i+1 < len(numbers) {
			value, stamp = numbers[2*i], numbers[2*i+1]
		}
		b = l.AppendEntry(b, []byte(key), value, stamp)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

func check(t interface{ Errorf(string, ...any) }, what string, want, got detect.Form) {
	if got != want {
		t.Errorf("%s: taken for %v %+v, want %v %+v", what, got.Format, got.Layout, want.Format, want.Layout)
	}
}

// The first key of a file that is not a DirectFileStore's says its format,
// whichever layout it has.
func TestFirstKey(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		want      discover.Format
	}{
		{"gem", `["a","a",[],[]]`, discover.ClientMmap},
		{"gem, labels", `["a","a_bucket",["code","le"],[200,"0.5"]]`, discover.ClientMmap},
		{"gem, all values", `["a","a",["b","c","d","e"],[null,true,-0.5e+07,""]]`, discover.ClientMmap},
		{"gem, values with spaces", `["a","a",["b"],["{\"a\": \"b\"}, [1, 2]"]]`, discover.ClientMmap},
		{"gem, names like Python's", `["a, \"b\", {","[\"a\", \"a\", {}]",["{"],["}"]]`, discover.ClientMmap},
		{"gem, no ASCII", `["größe","größe",[],[]]`, discover.ClientMmap},
		{"gem, empty names", `["","",[],[]]`, discover.ClientMmap},

		{"until 0.3", `["a", "a", [], []]`, discover.Python},
		{"until 0.3, labels", `["a", "a_bucket", ["code", "le"], ["200", "0.5"]]`, discover.Python},
		{"until 0.15", `["a", "a_total", {}]`, discover.Python},
		{"until 0.15, labels", `["a", "a_bucket", {"code": "200", "le": "0.5"}]`, discover.Python},
		{"since 0.16", `["a", "a_total", {}, "Help."]`, discover.Python},
		{"since 0.16, labels", `["a", "a_bucket", {"code": "200", "le": "0.5"}, "Help."]`, discover.Python},
		{"since 0.16, no help", `["a", "a", {}, ""]`, discover.Python},
		{"escapes", `["a\"\\", "a\u0022\\\"", {"\"": "\\"}, "\\\""]`, discover.Python},
		{"names like the gem's", `["\"a\",\"a\",[],[]", "[", {}, "[],[]"]`, discover.Python},
		{"empty names", `["", "", {}, ""]`, discover.Python},
		{"an object without spaces", `["a","a",{},"Help."]`, discover.Python},
		{"cut off behind the labels' bracket", `["a", "a", {`, discover.Python},

		// Whatever else it is: the gem's files are what there was first, if only entries
		// are as long as theirs.
		{"no JSON", `a{b="c"} 1`, discover.ClientMmap},
		{"a query", `a=b&c=d`, discover.ClientMmap},
		{"spaces", `    `, discover.ClientMmap},
		{"NULs", "\x00\x00\x00\x00", discover.ClientMmap},
		{"bracket", `[`, discover.ClientMmap},
		{"string that does not end", `["a`, discover.ClientMmap},
		{"escape that does not end", `["a\`, discover.ClientMmap},
		{"one name", `["a"`, discover.ClientMmap},
		{"one name and a comma", `["a", `, discover.ClientMmap},
		{"two names", `["a", "a"]`, discover.ClientMmap},
		{"two names and a comma", `["a", "a", `, discover.ClientMmap},
		{"three names", `["a", "a", "a"]`, discover.ClientMmap},
		{"numbers", `[1, 2, {}]`, discover.ClientMmap},
		{"an object", `{"a": {}}`, discover.ClientMmap},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, form := range forms[:3] {
				if tt.want == discover.ClientMmap && form.Layout.Stamped && !strings.HasPrefix(tt.name, "gem") {
					continue
				}
				for n := range 3 {
					b := image(form.Layout, slices.Repeat([]string{tt.key}, n+1))
					if got := formOf(b, int64(len(b)), discover.NoFormat); got.Format != tt.want {
						t.Errorf("%d entries of layout %+v: format %v, want %v", n+1, form.Layout, got.Format, tt.want)
					}
				}
			}
		})
	}
}

func TestLayout(t *testing.T) {
	object := []string{`["a", "a_total", {}, "A."]`, `["a", "a_total", {"b": "c"}, "A."]`, `["b", "b", {}, ""]`}
	for _, tt := range []struct {
		name string
		form detect.Form
		keys []string
	}{
		{"since 0.18", forms[1], object},
		{"until 0.17", forms[2], object},
		{"until 0.15", forms[2], []string{`["a", "a_total", {}]`, `["a", "a_total", {"b": "c"}]`, `["b", "b", {}]`}},
		{"until 0.3", forms[2], []string{`["a", "a", [], []]`, `["a", "a", ["b"], ["c"]]`, `["b", "b", [], []]`}},
		{"since 2.1", forms[3], []string{`code=200&path=%2F`, `code=404&path=%2Fa+b`, `code=500&path=`}},
		{"until 2.0", forms[4], []string{`code=200&path=%2F`, `code=404&path=%2Fa+b`, `code=500&path=`}},
		{"since 2.1, no labels", forms[3], []string{``}},
		{"until 2.0, no labels", forms[4], []string{``}},
		// Read in the wrong way, such a value is a length.
		{"since 2.1, shortest keys", forms[3], []string{`a=b`, `a=c`, `a=d`}},
		{"until 2.0, shortest keys", forms[4], []string{`a=b`, `a=c`, `a=d`}},
		{"since 2.1, keys that end where words do", forms[3], []string{`le=1`, `le=2`, `le=%2BInf`, `le=sum`}},
		{"until 2.0, keys that end where words do", forms[4], []string{`le=1`, `le=2`, `le=%2BInf`, `le=sum`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := range tt.keys {
				// Numbers that are a length, too: the low half, the high half, both.
				for _, value := range []float64{
					0, 1, 12, math.Float64frombits(12), math.Float64frombits(12 << 32), math.Float64frombits(12<<32 | 12), math.NaN(), math.Inf(-1), -0.1,
				} {
					b := image(tt.form.Layout, tt.keys[:n+1], slices.Repeat([]float64{value}, 2*n+2)...)
					what := fmt.Sprintf("%d entries of value %x", n+1, math.Float64bits(value))
					check(t, what, tt.form, formOf(b, int64(len(b)), known(tt.form)))
					// Files are longer than what they hold.
					longer := append(b, make([]byte, 100)...)
					check(t, what+" and zeros", tt.form, formOf(longer, int64(len(b)), known(tt.form)))
				}
			}
		})
	}
}

// Whoever says which format it is, is right.
func TestForced(t *testing.T) {
	gem, object, query := `["a","a",[],[]]`, `["a", "a", {}, "A."]`, `a=b`
	for _, format := range []discover.Format{discover.ClientMmap, discover.Python, discover.DirectFileStore} {
		for _, key := range []string{gem, object, query, "", "x"} {
			for _, form := range forms {
				b := image(form.Layout, []string{key, key})
				if got := formOf(b, int64(len(b)), format); got.Format != format || !slices.Contains(forms, got) {
					t.Errorf("%q in layout %+v, forced to be of %v: taken for %v %+v", key, form.Layout, format, got.Format, got.Layout)
				}
			}
		}
	}
	// A gem that writes what Python writes is none of Python's.
	b := image(forms[0].Layout, []string{object, object})
	check(t, "an object of the gem", forms[0], formOf(b, int64(len(b)), discover.ClientMmap))
	b = image(forms[1].Layout, []string{gem, gem})
	check(t, "lists of Python without spaces", forms[1], formOf(b, int64(len(b)), discover.Python))
}

// No two files that differ in their form are taken for one of the same.
func TestOfRandomFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form, keys, b := drawFile(t)
		check(t, fmt.Sprintf("%q", keys), form, formOf(b, int64(len(b)), known(form)))
		if form.Format != discover.DirectFileStore {
			check(t, fmt.Sprintf("forced, %q", keys), form, formOf(b, int64(len(b)), form.Format))
		}
	})
}

// A head need not be the whole file. What it takes is the first key; and for the
// layout where the second entry would begin if the first value were longer: there
// is text, which is no length. Queries are too short for that: there may be a
// number.
func TestOfCutHeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form, keys, b := drawFile(t)
		first, _ := form.Layout.At(b[frame.HeaderSize:], frame.HeaderSize, int64(len(b)))
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		got := formOf(b[:cut:cut], int64(len(b)), known(form))
		switch {
		case int64(cut) < first.KeyTo && form.Format != discover.DirectFileStore:
			// Nothing can be read of it yet.
		case got.Format != form.Format:
			t.Errorf("%q cut at %d: taken for %v, want %v", keys, cut, got.Format, form.Format)
		case form.Layout.Stamped || form.Layout.Bare && int64(cut) >= first.Value+16+4:
			check(t, fmt.Sprintf("%q cut at %d", keys, cut), form, got)
		}
	})
}

// What is damaged behind the second entry does not change what is before it.
func TestOfDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form, keys, b := drawFile(t)
		at := int64(frame.HeaderSize)
		n := rapid.IntRange(2, max(2, len(keys))).Draw(t, "entries before the damage")
		for range min(n, len(keys)) {
			e, _ := form.Layout.At(b[at:], at, int64(len(b)))
			at = e.End
		}
		if n >= len(keys) {
			return
		}
		length := rapid.SampledFrom([]uint32{0, 1 << 31, math.MaxUint32, math.MaxInt32, uint32(len(b)), 0xfffffff4}).Draw(t, "length")
		binary.LittleEndian.PutUint32(b[at:], length)
		check(t, fmt.Sprintf("%q, then length %d", keys[:n], length), form, formOf(b, int64(len(b)), known(form)))
	})
}

// drawFile draws a file of any form, as its client would write it.
func drawFile(t *rapid.T) (detect.Form, []string, []byte) {
	form := rapid.SampledFrom(forms).Draw(t, "form")
	var key func(*rapid.T) string
	switch {
	case form.Format == discover.ClientMmap:
		key = drawGemKey
	case form.Format == discover.DirectFileStore:
		key = drawQuery
	case form.Layout.Stamped:
		key = func(t *rapid.T) string { return drawPythonKey(t, styleHelp) }
	default:
		style := rapid.SampledFrom([]string{styleLists, styleObject, styleHelp}).Draw(t, "style")
		key = func(t *rapid.T) string { return drawPythonKey(t, style) }
	}
	n := rapid.SampledFrom([]int{1, 1, 2, 3, 5, 20, 100}).Draw(t, "entries")
	keys := rapid.SliceOfN(rapid.Custom(key), n, n).Draw(t, "keys")
	if n == 1 && form.Format == discover.DirectFileStore && rapid.Bool().Draw(t, "no labels") {
		keys[0] = ""
	}
	numbers := make([]float64, 2*n)
	for i := range n {
		numbers[2*i] = drawNumber(t)
		if form.Format == discover.DirectFileStore || rapid.Bool().Draw(t, "timed") {
			numbers[2*i+1] = rapid.Float64Range(0, 2e9).Draw(t, "stamp")
		}
	}
	return form, keys, image(form.Layout, keys, numbers...)
}

func drawNumber(t *rapid.T) float64 {
	if rapid.Bool().Draw(t, "small") {
		return float64(rapid.IntRange(-1, 1000).Draw(t, "number"))
	}
	return math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
}

var texts = rapid.OneOf(rapid.StringMatching(`[a-z_]{1,12}`), rapid.String(), rapid.StringMatching(`[\[\]{}", \\:]{0,12}`))

// drawLabels draws names and values; names are sorted, as all clients sort them.
func drawLabels(t *rapid.T) (names, values []string) {
	names = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_][a-z0-9_]{0,8}`), 0, 4, rapid.ID[string]).Draw(t, "names")
	slices.Sort(names)
	for range names {
		values = append(values, drawText(t))
	}
	return names, values
}

func drawGemKey(t *rapid.T) string {
	names, strings := drawLabels(t)
	values := make([]any, len(strings))
	for i, text := range strings {
		values[i] = rapid.SampledFrom([]any{text, text, nil, true, 200, -0.5}).Draw(t, "bare")
	}
	if names == nil {
		names = []string{}
	}
	return marshal([]any{drawText(t), drawText(t), names, values})
}

func drawText(t *rapid.T) string { return texts.Draw(t, "text") }

// Styles of Python's keys.
const (
	styleLists  = "until 0.3"
	styleObject = "until 0.15"
	styleHelp   = "since 0.16"
)

func drawPythonKey(t *rapid.T, style string) string {
	names, values := drawLabels(t)
	parts := []string{ascii(drawText(t)), ascii(drawText(t))}
	var labels, listed []string
	for i, name := range names {
		if style == styleLists {
			labels, listed = append(labels, ascii(name)), append(listed, ascii(values[i]))
		} else {
			labels = append(labels, ascii(name)+": "+ascii(values[i]))
		}
	}
	joined := strings.Join(labels, ", ")
	switch style {
	case styleLists:
		parts = append(parts, "["+joined+"]", "["+strings.Join(listed, ", ")+"]")
	case styleObject:
		parts = append(parts, "{"+joined+"}")
	default:
		parts = append(parts, "{"+joined+"}", ascii(drawText(t)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// drawQuery draws a key that is not empty.
func drawQuery(t *rapid.T) string {
	names, values := drawLabels(t)
	parts := []string{"a=" + url.QueryEscape(drawText(t))}
	for i, name := range names {
		parts = append(parts, name+"="+url.QueryEscape(values[i]))
	}
	return strings.Join(parts, "&")
}

func marshal(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// ascii is a JSON string as Python writes it.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range marshal(text) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// Whatever a head is, it is taken for something, and twice for the same.
func TestHostileHeads(t *testing.T) {
	entry := func(length uint32, rest string) []byte {
		return append(binary.LittleEndian.AppendUint32(frame.AppendHeader(nil, 64), length), rest...)
	}
	heads := map[string][]byte{
		"nothing":                 nil,
		"a header":                frame.AppendHeader(nil, 64),
		"half a length":           frame.AppendHeader(nil, 64)[:6],
		"length and nothing":      entry(20, ""),
		"zeros":                   make([]byte, 4096),
		"ones":                    bytes.Repeat([]byte{0xff}, 4096),
		"spaces":                  bytes.Repeat([]byte(" "), 4096),
		"backslashes":             entry(44, strings.Repeat(`\`, 60)),
		"string of backslashes":   entry(44, `["`+strings.Repeat(`\`, 58)),
		"brackets":                entry(44, strings.Repeat("[", 60)),
		"quotes":                  entry(44, strings.Repeat(`"`, 60)),
		"length 2^31-1":           entry(math.MaxInt32, strings.Repeat("x", 100)),
		"length 2^31":             entry(1<<31, strings.Repeat("x", 100)),
		"length 2^32-1":           entry(math.MaxUint32, strings.Repeat("x", 100)),
		"length that comes round": entry(0xfffffff4, strings.Repeat("x", 100)),
		"a long first key":        entry(1<<20, `["a", "a", {`+strings.Repeat(`"a": "b", `, 100)),
		"a thousand entries":      image(forms[1].Layout, slices.Repeat([]string{`["a", "a", {}, "A."]`}, 1000)),
	}
	for name, head := range heads {
		t.Run(name, func(t *testing.T) {
			for _, used := range []int64{0, 8, 9, 12, 13, 24, 64, int64(len(head)), int64(len(head)) + 1, 4096, math.MaxUint32} {
				for format := discover.NoFormat; format <= discover.DirectFileStore; format++ {
					checkOf(t, head, used, format)
				}
			}
		})
	}
}

// checkOf checks what holds of any bytes at all.
func checkOf(t *testing.T, head []byte, used int64, format discover.Format) {
	t.Helper()
	before := slices.Clone(head)
	got := formOf(head, used, format)
	if again := formOf(slices.Clone(head), used, format); again != got {
		t.Errorf("used %d, format %v: taken for %+v, and then for %+v", used, format, got, again)
	}
	if !slices.Contains(forms, got) {
		t.Errorf("used %d, format %v: there is no %+v", used, format, got)
	}
	if format != discover.NoFormat && got.Format != format {
		t.Errorf("used %d: %v is taken for %v", used, format, got.Format)
	}
	if format == discover.NoFormat && got.Format == discover.DirectFileStore {
		t.Errorf("used %d: taken for %v, which only a file's name says", used, got.Format)
	}
	if !bytes.Equal(before, head) {
		t.Errorf("used %d, format %v: the head was changed", used, format)
	}
}

// A head that ends within its first key fits all layouts of a format alike, so that it is
// not certain which one it is; the file as a whole says it.
func TestCertain(t *testing.T) {
	keys := map[discover.Format]string{
		discover.ClientMmap: `["a","a",["b"],["x"]]`, discover.Python: `["a", "a", {"b": "x"}, "A."]`, discover.DirectFileStore: `b=x`,
	}
	for _, form := range forms {
		key := strings.Replace(keys[form.Format], "x", strings.Repeat("x", 1000), 1)
		b := image(form.Layout, slices.Repeat([]string{key}, 3))
		for n, want := range map[int]bool{500: form.Format == discover.ClientMmap, len(b): true} {
			if _, certain := detect.Of(b[:n], int64(len(b)), known(form)); certain != want {
				t.Errorf("%v %+v, %d bytes: certain is %t", form.Format, form.Layout, n, certain)
			}
		}
	}
	b := image(forms[0].Layout, []string{"x"})
	if _, certain := detect.Of(b[:10], int64(len(b)), discover.ClientMmap); !certain {
		t.Error("a file that is said to be the gem's may be something else")
	}
}

func FuzzOf(f *testing.F) {
	for _, form := range forms {
		key := map[discover.Format]string{
			discover.ClientMmap: `["a","a",["b"],["c"]]`, discover.Python: `["a", "a", {"b": "c"}, "A."]`, discover.DirectFileStore: `b=c`,
		}[form.Format]
		b := image(form.Layout, slices.Repeat([]string{key}, 3))
		for _, cut := range []int{0, 10, 20, 60, len(b)} {
			f.Add(b[:min(cut, len(b))], int64(len(b)), uint8(known(form)))
		}
	}
	f.Add(bytes.Repeat([]byte{0xff}, 64), int64(math.MaxUint32), uint8(discover.Python))
	f.Fuzz(func(t *testing.T, head []byte, used int64, format uint8) {
		checkOf(t, head, used, discover.Format(format%4))
	})
}

// formOf is detect.Of, for who does not care whether it is certain.
func formOf(head []byte, used int64, format discover.Format) detect.Form {
	form, _ := detect.Of(head, used, format)
	return form
}
