//go:build !linux

package collect_test

import "os"

// birth returns what tells apart two files of one name, one after the other, as far as
// that can be told here.
func birth(t tb, path string) any {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.ModTime()
}
