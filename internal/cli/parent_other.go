//go:build !linux

package cli

import "context"

// awaitEnd is pollEnd where there is nothing better.
func awaitEnd(pid int) (func(context.Context) bool, error) { return pollEnd(pid) }
