package main_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// TestScript runs testdata/script/*.txt. Beside the commands that testscript
// brings they have:
//
//	exits CODE PROGRAM ARG...
//	      runs a program, which must end with exactly this exit code
//
//	refused [-only=flag|-only=variable] FLAG VARIABLE VALUE TEXT
//	      starts the server with this setting, given as a flag and then as a
//	      variable, which must stop the start: exit code 2, nothing on standard
//	      output, one line on standard error with both names, the value, and TEXT
//
//	mmapfile FILE [OPTION...] [ENTRY...]
//	      writes a metric file. An entry is 'name{label="value",...} 1.5', or
//	      '!KEY 1.5' with the bytes of the key as they are. The options are
//	      used=+N, to say that N bytes more hold data than there are, and hole=N,
//	      for N bytes of zero behind the entries
//
//	listen VARIABLE
//	      listens on a free port until the script ends, and sets VARIABLE to it
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		// A server that starts although it should not must not run for ever.
		Deadline:            time.Now().Add(3 * time.Minute),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, setting := range environment() {
				name, value, _ := strings.Cut(setting, "=")
				if name != "HOME" && name != "TMPDIR" {
					env.Setenv(name, value)
				}
			}
			env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"refused":  refused,
			"mmapfile": mmapfile,
			"listen":   listen,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts, args[1:]...); got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func exitCode(ts *testscript.TestScript, command ...string) int {
	err := ts.Exec(command[0], command[1:]...)
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func refused(ts *testscript.TestScript, neg bool, args []string) {
	only := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "-only=") {
		only, args = strings.TrimPrefix(args[0], "-only="), args[1:]
	}
	if neg || len(args) != 4 {
		ts.Fatalf("usage: refused [-only=flag|-only=variable] FLAG VARIABLE VALUE TEXT")
	}
	flag, variable, value, text := args[0], args[1], args[2], args[3]
	want := fmt.Sprintf("gitlab-metrics-exporter: error: --%s (%s) is %q: %s\n", flag, variable, value, text)
	commands := map[string][]string{
		"flag":     {"gitlab-metrics-exporter", "--" + flag + "=" + value},
		"variable": {"env", variable + "=" + value, "gitlab-metrics-exporter"},
	}
	if only != "" {
		commands = map[string][]string{only: commands[only]}
	}
	for how, command := range commands {
		// Should the setting be taken after all, no fixed port must matter.
		if flag != "server.port" && flag != "web.listen-address" {
			command = append(command, "--server.port=0")
		}
		if code := exitCode(ts, command...); code != 2 {
			ts.Fatalf("%s %q as a %s: exit code %d, want 2", flag, value, how, code)
		}
		if out := ts.ReadFile("stdout"); out != "" {
			ts.Fatalf("%s %q as a %s: standard output is %q", flag, value, how, out)
		}
		if got := ts.ReadFile("stderr"); got != want {
			ts.Fatalf("%s %q as a %s: standard error is\n%swant\n%s", flag, value, how, got, want)
		}
	}
}

var (
	entryPattern = regexp.MustCompile(`^([^{ ]+)(?:\{(.*)\})? (\S+)$`)
	labelPattern = regexp.MustCompile(`([^=,]+)="([^"]*)"`)
)

func mmapfile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: mmapfile FILE [used=+N] [hole=N] [ENTRY...]")
	}
	image := clientmmap.AppendHeader(nil, 0)
	beyond, hole := 0, 0
	for _, arg := range args[1:] {
		var err error
		if n, ok := strings.CutPrefix(arg, "used=+"); ok {
			beyond, err = strconv.Atoi(n)
		} else if n, ok := strings.CutPrefix(arg, "hole="); ok {
			hole, err = strconv.Atoi(n)
		} else {
			image, err = appendEntry(image, arg)
		}
		ts.Check(err)
	}
	image = append(image, make([]byte, hole)...)
	binary.LittleEndian.PutUint32(image, uint32(len(image)+beyond))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), image, 0o600))
}

// appendEntry appends the entry that text describes.
func appendEntry(image []byte, text string) ([]byte, error) {
	if raw, ok := strings.CutPrefix(text, "!"); ok {
		at := strings.LastIndexByte(raw, ' ')
		if at < 0 {
			return nil, fmt.Errorf("%q is not !KEY VALUE", text)
		}
		value, err := strconv.ParseFloat(raw[at+1:], 64)
		return clientmmap.AppendEntry(image, []byte(raw[:at]), value), err
	}
	parts := entryPattern.FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%q is not name{label=\"value\",...} VALUE", text)
	}
	sample := parts[1]
	family := sample
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		family = strings.TrimSuffix(family, suffix)
	}
	labels := labelPattern.FindAllStringSubmatch(parts[2], -1)
	slices.SortFunc(labels, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
	var names []string
	var values []any
	for _, label := range labels {
		names, values = append(names, label[1]), append(values, label[2])
	}
	key, err := clientmmap.AppendKey(nil, family, sample, names, values)
	if err != nil {
		return nil, err
	}
	value, err := strconv.ParseFloat(parts[3], 64)
	return clientmmap.AppendEntry(image, key, value), err
}

func listen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listen VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}
