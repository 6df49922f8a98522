//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockVariable, in the environment of the server, names a file that begins with how many
// seconds its clock is wrong by.
const clockVariable = "FAULTS_CLOCK"

// Nothing can set the clock of one process, least of all of a static one. So the server is
// built with a package time whose Now adds what is in that file, and is Go's otherwise.
const (
	reads  = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	skewed = "	sec, nsec, mono := runtimeNow()\n	sec += int64(*skew)\n	if mono == 0 {"
	skew   = `package time

import (
	"syscall"
	"unsafe"
)

var skew = func() *int32 {
	path, _ := syscall.Getenv("` + clockVariable + `")
	if file, err := syscall.Open(path, syscall.O_RDONLY, 0); err == nil {
		defer syscall.Close(file)
		if memory, err := syscall.Mmap(file, 0, 4, syscall.PROT_READ, syscall.MAP_SHARED); err == nil {
			return (*int32)(unsafe.Pointer(&memory[0]))
		}
	}
	return new(int32)
}()
`
)

// wrongClock returns the flag that makes go build such a program. It keeps in dir what that
// needs.
func wrongClock(dir string) (flag string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), reads) != 1 {
		return "", fmt.Errorf("%s/time.go reads the clock in a way that is not known here", source)
	}
	replace := map[string]string{}
	for name, text := range map[string]string{"time.go": strings.Replace(string(text), reads, skewed, 1), "skew.go": skew} {
		path := filepath.Join(dir, name)
		replace[filepath.Join(source, name)] = path
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return "-overlay=" + path, os.WriteFile(path, list, 0o600)
}

// jumpClock sets the server's clock to other decades and back, a few times. That it has
// jumped shows in what it answers; nothing else may.
func (b *breaker) jumpClock() error {
	for range 5 {
		for _, seconds := range []int32{b.random.Int32N(1<<30) - 1<<29, 0} {
			b.tell("the clock is wrong by %d s", seconds)
			b.clock.Store(seconds)
			if err := b.witness(func(v verdict) bool {
				off := time.Until(v.date).Seconds() - float64(seconds)
				return math.Abs(off) < patience.Seconds()
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
