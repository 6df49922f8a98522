// Package cli turns arguments and environment into a running command. It is
// the only reader of both, and the only writer to the terminal.
//
// There is one file for each command. What went wrong is told in one line that
// names the setting, its value and what is allowed.
package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"gitlab-metrics-exporter/internal/collect"
)

// Name is the program's name.
const Name = "gitlab-metrics-exporter"

// The exit codes.
const (
	ok      = 0
	failed  = 1 // it could not be done, or check found damage
	misused = 2 // wrong arguments or settings
)

// errDamaged ends a command that has already said what is damaged.
var errDamaged = errors.New("damaged")

// A usageError is the user's: wrong arguments or settings.
type usageError struct{ error }

func misuse(text string, args ...any) error { return usageError{fmt.Errorf(text, args...)} }

// A terminal is where a command writes.
type terminal struct{ out, err io.Writer }

const about = `Serves the metrics of a multi-process application: reads the metric files that its processes write, adds them up,
and serves them to Prometheus as one page. The files are those of the Ruby gems prometheus-client-mmap and
prometheus-client (DirectFileStore), and of Python's prometheus_client in multiprocess mode.

Try it:    gitlab-metrics-exporter demo
Use it:    gitlab-metrics-exporter --mmap.dir=/path/to/prometheus_multiproc_dir

Each flag can also be set by the environment variable named behind it; flags win.`

// Main runs the command that args say, and returns the exit code.
func Main(args []string, out, errs io.Writer) int {
	app := kingpin.New(Name, about)
	app.UsageWriter(out)
	app.ErrorWriter(errs)
	app.HelpFlag.Short('h').Help("Show this help.")
	app.Version(fmt.Sprintf("%s, version %s (branch: %s, revision: %s)\n  go version:  %s\n  platform:    %s/%s", Name,
		version.Version, version.Branch, version.GetRevision(), version.GoVersion, version.GoOS, version.GoArch))
	app.VersionFlag.Short('V').Help("Show the version.")
	app.UsageTemplate(usageTemplate)
	exited := -1
	app.Terminate(func(code int) { exited = code })

	t := terminal{out, errs}
	commands := map[string]func() error{}
	for _, add := range []func(*kingpin.Application, terminal) (string, func() error){
		addServe, addRender, addCheck, addTop, addDump, addDemo,
	} {
		name, run := add(app, t)
		commands[name] = run
	}
	name, unwritten, err := read(app, args)
	switch {
	case unwritten != nil:
		err = unwritten
	case exited >= 0: // --help or --version
		return exited
	case err != nil:
		err = explainUsage(app, args, err)
	default:
		err = commands[name]()
	}
	return t.exitCode(err)
}

// read is app.Parse, which panics if it cannot write the help that was asked for.
func read(app *kingpin.Application, args []string) (command string, unwritten, err error) {
	defer func() {
		cause := recover()
		if failure, ok := cause.(*fs.PathError); ok {
			unwritten = failure
		} else if cause != nil {
			panic(cause)
		}
	}()
	command, err = app.Parse(args)
	return command, nil, err
}

// explainUsage says what is wrong with the arguments that err was found in, or with
// the environment.
func explainUsage(app *kingpin.Application, args []string, err error) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && app.GetCommand(args[0]) == nil {
		return misuse("there is no command %q; to serve a directory use --mmap.dir=DIR; see %s --help", args[0], Name)
	}
	if parsed, inArgs := app.ParseContext(args); inArgs != nil {
		err = inArgs
	} else if wrong := wrongSwitch(parsed.SelectedCommand); wrong != nil {
		return wrong
	}
	return misuse("%w; see %s --help", err, Name)
}

// listFormats are the formats of commands that print lists.
var listFormats = []string{"text", "json"}

// choice is the error for a flag without a variable whose value is none of those
// allowed, nil if it is one.
func choice(flag, value string, allowed []string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return misuse("--%s is %q: must be one of %s", flag, value, strings.Join(allowed, ", "))
}

// exitCode tells the error, if there is one, and returns its code.
func (t terminal) exitCode(err error) int {
	if err == nil {
		return ok
	}
	if !errors.Is(err, errDamaged) {
		text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
		fmt.Fprintf(t.err, "%s: error: %s\n", Name, text)
	}
	if bug := (*collect.PanicError)(nil); errors.As(err, &bug) {
		_, _ = t.err.Write(bug.Stack)
	}
	if errors.As(err, new(usageError)) {
		return misused
	}
	return failed
}
