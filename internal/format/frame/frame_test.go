package frame_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/format"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// bare is the layout of most tests here.
var bare = clientmmap.Layout

// pair is an entry as a reader of the file sees it.
type pair struct {
	Key   string
	Value float64
}

// image returns the content of a sound file that holds entries.
func image(entries ...pair) []byte {
	b := clientmmap.AppendHeader(nil, 0)
	for _, e := range entries {
		b = clientmmap.AppendEntry(b, []byte(e.Key), e.Value)
	}
	return withUsed(b, uint32(len(b)))
}

// withUsed returns a copy of b whose header says used.
func withUsed(b []byte, used uint32) []byte {
	b = slices.Clone(b)
	binary.LittleEndian.PutUint32(b, used)
	return b
}

// withLength returns a copy of b whose entry at the given place has a key of
// the given length.
func withLength(b []byte, at int, length uint32) []byte {
	b = slices.Clone(b)
	binary.LittleEndian.PutUint32(b[at:], length)
	return b
}

// read returns all entries of b and the text of the error after them.
func read(b []byte) (entries []pair, damage string) {
	for e, err := range bare.All(b) {
		if err != nil {
			return entries, err.Error()
		}
		entries = append(entries, pair{string(b[e.Key:e.KeyTo]), frame.Float(b[e.Value:e.End])})
	}
	return entries, ""
}

func TestUsed(t *testing.T) {
	tests := []struct {
		name   string
		header string
		want   int64
	}{
		{"just created", "", 8},
		{"cut short", "\xc8\x00\x00\x00\x00\x00\x00", 8},
		{"zero", "\x00\x00\x00\x00\x00\x00\x00\x00", 8},
		{"within the header", "\x07\x00\x00\x00\x00\x00\x00\x00", 8},
		{"the header", "\x08\x00\x00\x00\x00\x00\x00\x00", 8},
		{"not a multiple of 8", "\x09\x00\x00\x00\x00\x00\x00\x00", 9},
		{"200", "\xc8\x00\x00\x00\x00\x00\x00\x00", 200},
		{"second word set", "\xc8\x00\x00\x00\xef\xbe\xad\xde", 200},
		{"entries follow", "\xc8\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff", 200},
		{"all ones", "\xff\xff\xff\xff\x00\x00\x00\x00", 0xffffffff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := frame.Used([]byte(tt.header)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestValueOffset(t *testing.T) {
	tests := []struct {
		name   string
		at     int64
		keyLen uint32
		want   int64
	}{
		{"no key, 4 spaces", 8, 0, 16},
		{"1 space", 8, 3, 16},
		{"8 spaces", 8, 4, 24},
		{"the reference's example", 8, 76, 96},
		{"further on", 4096, 76, 4184},
		{"longest key", 8, math.MaxInt32, 2147483664},
		{"longer than any key", 8, math.MaxUint32, 4294967312},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := frame.ValueOffset(tt.at, tt.keyLen, bare.Slack()); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// The value of an entry is aligned, and 1 to 8 bytes stand before it.
func TestValueOffsetAligns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := 8 * rapid.Int64Range(1, 1<<29).Draw(t, "eighths")
		keyLen := rapid.Uint32().Draw(t, "key length")
		value := frame.ValueOffset(at, keyLen, bare.Slack())
		if spaces := value - at - 4 - int64(keyLen); value%8 != 0 || spaces < 1 || spaces > 8 {
			t.Errorf("value is at %d, after %d spaces", value, spaces)
		}
	})
}

func TestAt(t *testing.T) {
	const header = frame.HeaderSize
	length := func(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
	tests := []struct {
		name     string
		head     string
		at, used int64
		want     frame.Entry
		err      string
	}{
		{name: "no data", at: header, used: header},
		{name: "start after the end", at: 16, used: header},
		{name: "used 9", head: "\x01", at: header, used: 9},
		{name: "used 12", head: length(0), at: header, used: 12},
		{name: "used 13, zeros", head: length(0) + "\x00", at: header, used: 13, err: "offset 8: key length is 0"},
		{name: "used 13", head: length(1) + "k", at: header, used: 13,
			err: "offset 8: entry of 16 bytes passes the end of the data, 5 bytes away"},
		{name: "smallest entry", head: length(1), at: header, used: 24,
			want: frame.Entry{Key: 12, KeyTo: 13, Value: 16, End: 24}},
		{name: "1 space", head: length(3), at: header, used: 24,
			want: frame.Entry{Key: 12, KeyTo: 15, Value: 16, End: 24}},
		{name: "8 spaces", head: length(4), at: header, used: 32,
			want: frame.Entry{Key: 12, KeyTo: 16, Value: 24, End: 32}},
		{name: "ends 1 byte late", head: length(4), at: header, used: 31,
			err: "offset 8: entry of 24 bytes passes the end of the data, 23 bytes away"},
		{name: "in the middle", head: length(76), at: 104, used: 4096,
			want: frame.Entry{Key: 108, KeyTo: 184, Value: 192, End: 200}},
		{name: "longest key", head: length(16 << 20), at: header, used: 16777240,
			want: frame.Entry{Key: 12, KeyTo: 16777228, Value: 16777232, End: 16777240}},
		{name: "longest key, 1 byte short", head: length(16 << 20), at: header, used: 16777239,
			err: "offset 8: entry of 16777232 bytes passes the end of the data, 16777231 bytes away"},
		{name: "longer than any key", head: length(16<<20 + 1), at: header, used: math.MaxUint32,
			err: "offset 8: key length 16777217 is more than 16777216"},
		// In 32 bits these two come round to small numbers: the gem crashes.
		{name: "0xfffffff4", head: length(0xfffffff4), at: header, used: 4096,
			err: "offset 8: key length 4294967284 is more than 16777216"},
		{name: "0xffffffff", head: length(0xffffffff), at: header, used: 4096,
			err: "offset 8: key length 4294967295 is more than 16777216"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bare.At([]byte(tt.head), tt.at, tt.used)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := errorText(err); text != tt.err {
				t.Errorf("error is %q, want %q", text, tt.err)
			}
			if err != nil && err.Reason != format.BadEntry {
				t.Errorf("reason is %q, want %q", err.Reason, format.BadEntry)
			}
		})
	}
}

// Every layout finds what it wrote, whatever the keys' lengths are, and no file
// is taken for one of a layout whose values have another size.
func TestLayouts(t *testing.T) {
	for _, l := range layouts {
		b, want := frame.AppendHeader(nil, 0), []pair{}
		for n := range 40 {
			key := strings.Repeat("k", n+1)
			b = l.AppendEntry(b, []byte(key), float64(n), 1e9)
			want = append(want, pair{key, float64(n)})
		}
		b = withUsed(b, uint32(len(b)))
		var got []pair
		for e, err := range l.All(b) {
			if err != nil {
				t.Fatalf("%+v: %v", l, err)
			}
			got = append(got, pair{strings.TrimRight(string(b[e.Key:e.KeyTo]), " "), frame.Float(b[e.Value:])})
			if l.Stamped && frame.Float(b[e.Value+8:e.End]) != 1e9 {
				t.Fatalf("%+v: timestamp of entry %+v is %v", l, e, frame.Float(b[e.Value+8:e.End]))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: -want +got:\n%s", l, diff)
		}
		other := l
		other.Stamped = !l.Stamped
		n := 0
		for _, err := range other.All(b) {
			if n++; err != nil {
				n = 0
			}
		}
		if n > 0 {
			t.Errorf("a file of layout %+v can be read as one of %+v", l, other)
		}
	}
}

// layouts are all that there are.
var layouts = []frame.Layout{{}, {Stamped: true}, {Bare: true}, {Bare: true, Stamped: true}}

func errorText(damage *format.Damage) string {
	if damage == nil {
		return ""
	}
	return damage.Error()
}

func TestAll(t *testing.T) {
	a, b := pair{`["a","a",[],[]]`, 1.5}, pair{`["b","b",["l"],["v"]]`, math.Inf(-1)}
	both := image(a, b) // a is at 8 to 40, b at 40 to 80
	const aEnd, bEnd = 40, 80
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	page := make([]byte, 4096)

	tests := []struct {
		name string
		file []byte
		want []pair
		err  string
	}{
		{name: "just created"},
		{name: "7 bytes", file: page[:7]},
		{name: "8 zero bytes", file: page[:8]},
		{name: "a page of zeros", file: page},
		{name: "used 0 but entries after it", file: withUsed(both, 0)},
		{name: "used 8", file: withUsed(both, 8)},
		{name: "used 9", file: withUsed(both, 9)},
		{name: "used 12", file: withUsed(both, 12)},
		{name: "used 13", file: withUsed(both, 13),
			err: "offset 8: entry of 32 bytes passes the end of the data, 5 bytes away"},

		{name: "one entry", file: image(a), want: []pair{a}},
		{name: "two entries", file: both, want: []pair{a, b}},
		{name: "the same key twice", file: image(a, a), want: []pair{a, a}},
		{name: "data to the last byte of a page", file: image(pair{strings.Repeat("k", 4096-8-4-8-1), 1}),
			want: []pair{{strings.Repeat("k", 4096-8-4-8-1), 1}}},
		{name: "1 space", file: image(pair{"123", 1}), want: []pair{{"123", 1}}},
		{name: "8 spaces", file: image(pair{"1234", 1}), want: []pair{{"1234", 1}}},
		{name: "spaces that are none", file: []byte(strings.ReplaceAll(string(both), "     ", "\xff\x00\"],")), want: []pair{a, b}},
		{name: "second word of the header set", file: join(both[:4], []byte{0xef, 0xbe, 0xad, 0xde}, both[8:]), want: []pair{a, b}},

		{name: "zeros past used", file: join(both, page), want: []pair{a, b}},
		{name: "an entry past used", file: withUsed(both, aEnd), want: []pair{a}},
		{name: "a bad entry past used", file: join(both, []byte("\xff\xff\xff\xff\xff")), want: []pair{a, b}},
		{name: "used 1 past the last entry", file: withUsed(both, aEnd+1), want: []pair{a}},
		{name: "used 4 past the last entry", file: withUsed(both, aEnd+4), want: []pair{a}},
		{name: "used 5 past the last entry", file: withUsed(join(both, page), bEnd+5), want: []pair{a, b},
			err: "offset 80: key length is 0"},
		{name: "used 5 into an entry", file: withUsed(both, aEnd+5), want: []pair{a},
			err: "offset 40: entry of 40 bytes passes the end of the data, 5 bytes away"},
		{name: "used 1 before the end of an entry", file: withUsed(both, bEnd-1), want: []pair{a},
			err: "offset 40: entry of 40 bytes passes the end of the data, 39 bytes away"},

		{name: "used past the file, entries whole", file: withUsed(both, 4096), want: []pair{a, b},
			err: "used is 4096 bytes but the file has 80"},
		{name: "used past the file by 1", file: both[:bEnd-1], want: []pair{a},
			err: "used is 80 bytes but the file has 79"},
		{name: "used past a file of one header", file: withUsed(page[:8], 200),
			err: "used is 200 bytes but the file has 8"},
		{name: "used all ones", file: withUsed(both, math.MaxUint32), want: []pair{a, b},
			err: "used is 4294967295 bytes but the file has 80"},

		{name: "length 0", file: withLength(both, aEnd, 0), want: []pair{a}, err: "offset 40: key length is 0"},
		{name: "length of the rest", file: withLength(both, aEnd, 40), want: []pair{a},
			err: "offset 40: entry of 56 bytes passes the end of the data, 40 bytes away"},
		{name: "length 2^31", file: withLength(both, aEnd, 1<<31), want: []pair{a},
			err: "offset 40: key length 2147483648 is more than 16777216"},
		{name: "length 0xffffffff", file: withLength(both, 8, math.MaxUint32),
			err: "offset 8: key length 4294967295 is more than 16777216"},
		// Which of two faults is told: the cut explains the entry, not the
		// other way round.
		{name: "cut and a bad length", file: withLength(withUsed(both, 4096), aEnd, 0), want: []pair{a},
			err: "used is 4096 bytes but the file has 80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(tt.file)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// Where a cut file's damage is said to be is not its point.
			if err = strings.TrimPrefix(err, "offset 0: "); err != tt.err {
				t.Errorf("error is %q, want %q", err, tt.err)
			}
		})
	}
}

// Wherever a file is cut, the entries before the cut are sound and nothing
// else is read.
func TestAllOfACutFile(t *testing.T) {
	whole := image(pair{"123", 1}, pair{"1234", 2}, pair{strings.Repeat("k", 77), 3}, pair{`["m","m",[],[]]`, 4})
	ends := []int{8} // of entries
	for e := range bare.All(whole) {
		ends = append(ends, int(e.End))
	}
	before := func(at int) int { // entries that end at or before at
		n, found := slices.BinarySearch(ends, at)
		if found {
			n++
		}
		return max(0, n-1)
	}
	for at := range len(whole) {
		want, wantReason := before(at), format.Truncated
		if at < frame.HeaderSize {
			wantReason = ""
		}
		if got, reason := count(t, whole[:at]); got != want || reason != wantReason {
			t.Errorf("file cut at %d: %d entries, then %q; want %d, then %q", at, got, reason, want, wantReason)
		}
	}
	for at := 8; at <= len(whole); at++ {
		want, wantReason := before(at), format.BadEntry
		if at-ends[want] <= 4 {
			wantReason = ""
		}
		if got, reason := count(t, withUsed(whole, uint32(at))); got != want || reason != wantReason {
			t.Errorf("used %d: %d entries, then %q; want %d, then %q", at, got, reason, want, wantReason)
		}
	}
}

// count returns the number of entries in b and the reason why they end early.
func count(t testing.TB, b []byte) (n int, reason format.Reason) {
	t.Helper()
	for _, err := range bare.All(b) {
		if err == nil {
			n++
			continue
		}
		var damage *format.Damage
		if !errors.As(err, &damage) {
			t.Fatalf("error is %T %v, want a *format.Damage", err, err)
		}
		reason = damage.Reason
	}
	return n, reason
}

// A caller that has seen enough is not called again.
func TestAllStops(t *testing.T) {
	n := 0
	for range bare.All(image(pair{"1", 1}, pair{"2", 2})) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// What decoding allocates depends neither on the number of entries nor on
// what lengths a damaged file claims.
func TestAllAllocatesNothingPerEntry(t *testing.T) {
	one := image(pair{"key", 1})
	many := image(slices.Repeat([]pair{{"key", 1}}, 10_000)...)
	for name, file := range map[string][]byte{
		"many entries": many,
		"used":         withUsed(many, math.MaxUint32),
		"length":       withLength(many, 8, math.MaxInt32),
	} {
		drain := func(b []byte) float64 {
			return testing.AllocsPerRun(10, func() {
				for range bare.All(b) {
				}
			})
		}
		// One damage, formatted, is all that may come on top.
		if few, got := drain(one), drain(file); got > few+8 {
			t.Errorf("%s: %.0f allocations, want about the %.0f of one entry", name, got, few)
		}
	}
}

// FuzzAll checks that any bytes at all are read without a panic, within
// bounds, forwards, with no error but a *format.Damage at the end; and that the
// engine's way of reading, entry by entry through At with only the bytes it
// has, finds the same.
func FuzzAll(f *testing.F) {
	sound := image(pair{`["a","a",[],[]]`, 1}, pair{`["b","b",["l"],["v"]]`, 2}, pair{"123", 3}, pair{"1234", 4})
	for _, seed := range [][]byte{
		nil, sound[:7], sound[:8], sound[:50], sound,
		withUsed(sound, 0), withUsed(sound, 12), withUsed(sound, 13), withUsed(sound, 4096), withUsed(sound, math.MaxUint32),
		withLength(sound, 8, 0), withLength(sound, 8, math.MaxInt32), withLength(sound, 8, 1<<31), withLength(sound, 8, 0xfffffff4),
		append(slices.Clone(sound), make([]byte, 100)...),
	} {
		for which := range layouts {
			f.Add(seed, uint8(which))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, which uint8) {
		l := layouts[which%4]
		used := frame.Used(file)
		limit := min(used, int64(len(file)))
		var damage *format.Damage
		var entries []frame.Entry
		end := int64(frame.HeaderSize)
		for e, err := range l.All(file) {
			if damage != nil {
				t.Fatalf("%v is not the end", damage)
			}
			if err != nil {
				if !errors.As(err, &damage) || e != (frame.Entry{}) {
					t.Fatalf("entry %+v with error %T %v", e, err, err)
				}
				continue
			}
			if e.Key != end+4 || e.KeyTo <= e.Key || e.Value < e.KeyTo || l.Bare && e.Value == e.KeyTo || e.Value%8 != 0 || e.End != e.Value+l.ValueSize() || e.End > limit {
				t.Fatalf("entry %+v after offset %d of %d", e, end, limit)
			}
			end = e.End
			entries = append(entries, e)
		}
		truncated := damage != nil && damage.Reason == format.Truncated
		if len(file) >= frame.HeaderSize && truncated != (used > limit) {
			t.Errorf("used %d of %d bytes: damage is %v", used, len(file), damage)
		}

		at := int64(frame.HeaderSize)
		for _, want := range entries {
			got, err := l.At(file[at:at+4:at+4], at, limit)
			if err != nil || got != want {
				t.Fatalf("At(%d) is %+v, %v; All has %+v", at, got, err, want)
			}
			at = got.End
		}
		last, err := l.At(file[min(at, limit):limit], at, limit)
		if last != (frame.Entry{}) {
			t.Errorf("At(%d) is %+v, but All ends there", at, last)
		}
		if used <= limit && (err == nil) != (damage == nil) {
			t.Errorf("At(%d) says %v, All says %v", at, err, damage)
		}
	})
}
