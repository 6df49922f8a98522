package options

import (
	"flag"
	"io"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"none", nil, ""},
		{"good ones", []string{"-n", "1", "-time", "1ms", "-extra", "0", "-text", ""}, ""},
		{"no number", []string{"-n", "0"}, "-n is 0, and must be 1 at least"},
		{"less than none", []string{"-extra", "-1"}, "-extra is -1, and must be 0 at least"},
		{"no time", []string{"-time", "0s"}, "-time is 0s, and must be more than that"},
		{"no rate", []string{"-rate", "NaN"}, "-rate is NaN, and must be more than 0, and no more than 2147483647"},
		{"an endless rate", []string{"-rate", "Inf"}, "-rate is +Inf, and must be more than 0, and no more than 2147483647"},
		{"an argument", []string{"-n", "1", "here"}, `unexpected argument "here"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flags := flag.NewFlagSet("", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			flags.Int("n", 3, "")
			flags.Int("extra", 3, "")
			flags.Duration("time", time.Second, "")
			flags.Float64("rate", 1, "")
			flags.String("text", "x", "")
			if err := flags.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := check(flags, []string{"extra"}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
