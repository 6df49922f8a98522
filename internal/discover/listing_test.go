package discover

import (
	"slices"
	"testing"
)

// TestListingTwice: a file that a listing has twice is one file.
func TestListingTwice(t *testing.T) {
	got := metrics([]string{"counter_2-0.db", "counter_1-0.db", ".", "counter_2-0.db", "other"}, NoFormat)
	if want := []string{"counter_1-0.db", "counter_2-0.db"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
