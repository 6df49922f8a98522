package format_test

import (
	"slices"
	"testing"

	"gitlab-metrics-exporter/internal/format"
)

func TestDamageError(t *testing.T) {
	tests := []struct {
		damage format.Damage
		want   string
	}{
		{format.Damage{Reason: format.BadEntry, Offset: 24, Detail: "key length is 0"}, "offset 24: key length is 0"},
		{format.Damage{Reason: format.BadName, Offset: -1, Detail: "not a metric file"}, "not a metric file"},
		{format.Damage{Detail: "at the start"}, "offset 0: at the start"},
	}
	for _, tt := range tests {
		if got := tt.damage.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestDamageSame(t *testing.T) {
	d := &format.Damage{Reason: format.BadKey, Offset: 8, Detail: "now"}
	if !d.Same(&format.Damage{Reason: format.BadKey, Offset: 8, Detail: "later"}) {
		t.Error("another detail is another damage")
	}
	for _, other := range []*format.Damage{{Reason: format.BadEntry, Offset: 8}, {Reason: format.BadKey, Offset: 16}, nil} {
		if d.Same(other) || other.Same(d) {
			t.Errorf("%v is the same as %v", d, other)
		}
	}
	var none *format.Damage
	if !none.Same(nil) {
		t.Error("no damage is not the same as none")
	}
}

// Our own metrics have one series for each reason, so none may be missing and
// no two may be spelled alike.
func TestReasons(t *testing.T) {
	for _, r := range []format.Reason{
		format.BadName, format.Unreadable, format.NotRegular, format.Truncated, format.BadEntry, format.BadKey,
	} {
		if !slices.Contains(format.Reasons, r) {
			t.Errorf("Reasons lacks %q", r)
		}
	}
	sorted := slices.Sorted(slices.Values(format.Reasons))
	if len(slices.Compact(sorted)) != len(format.Reasons) {
		t.Errorf("Reasons has one twice: %q", format.Reasons)
	}
}
