// Package options reads the command line of a benchmark. What makes no sense is an
// error before anything is measured, not a table that means nothing.
package options

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Parse parses the flags of the command. Numbers and times have to be positive, but those
// of the flags named by zero, which may be 0; and there are no other arguments. Else it
// says what is wrong, and ends the program.
func Parse(zero ...string) {
	flag.Parse()
	if err := check(flag.CommandLine, zero); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func check(flags *flag.FlagSet, zero []string) (err error) {
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	flags.VisitAll(func(f *flag.Flag) {
		least := int64(1)
		if slices.Contains(zero, f.Name) {
			least = 0
		}
		switch value := f.Value.(flag.Getter).Get().(type) {
		case int:
			if int64(value) < least {
				err = fmt.Errorf("-%s is %d, and must be %d at least", f.Name, value, least)
			}
		case time.Duration:
			if int64(value) < least {
				err = fmt.Errorf("-%s is %s, and must be more than that", f.Name, value)
			}
		case float64:
			if !(value > 0 && value <= math.MaxInt32) {
				err = fmt.Errorf("-%s is %g, and must be more than 0, and no more than %d", f.Name, value, math.MaxInt32)
			}
		}
	})
	return err
}
