package cli

import (
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/format"
)

func addCheck(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("check", "List the files of a directory, and what is wrong with them.").
		HelpLong(`Lists the metric files of a directory: format, type and gauge mode, the label pid where processes are kept apart, size
and used bytes, the number of entries that a page shows of them, and their state. What is damaged follows below, with
the place, and then which metrics files disagree about: those are no damage, but cannot be shown as they were declared.
A file is dead if it has live gauges that do not count, because their process is dead.

Exit status: 0 if all is well, 1 if anything is damaged, also what the application says of a DirectFileStore in
metrics.metadata.json, or a directory cannot be read or is there under another path already.`)
	r := readingOf(command)
	return command.FullCommand(), func() error { return check(r, t) }
}

func check(r *reading, t terminal) error {
	snapshot, err := look(r)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tFORMAT\tTYPE\tMODE\tPID\tSIZE\tUSED\tENTRIES\tSTATE")
	entries := 0
	var damaged []collect.File
	for _, f := range snapshot.Files {
		entries += f.Entries
		if f.Damage != nil {
			damaged = append(damaged, f)
		}
		fmt.Fprintln(table, row(snapshot.Path(f), f))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, f := range damaged {
		fmt.Fprintf(t.out, "\n%s: %v\n", printable(snapshot.Path(f)), f.Damage)
		if f.BadKeys > 0 {
			fmt.Fprintf(t.out, "%s: %d entries are absent because of their key\n", printable(snapshot.Path(f)), f.BadKeys)
		}
	}
	if len(snapshot.Layout.Conflicts) > 0 {
		fmt.Fprintln(t.out)
	}
	for _, family := range snapshot.Layout.Conflicts {
		fmt.Fprintf(t.out, "%s: files disagree about this metric\n", printable(family))
	}
	troubles := troublesOf(snapshot.Dirs)
	for _, trouble := range troubles {
		fmt.Fprintf(t.out, "\n%s\n", trouble)
	}
	fmt.Fprintf(t.out, "\n%d files, %d damaged, %d entries, %d series", len(snapshot.Files), len(damaged), entries, snapshot.Layout.Len())
	if n := len(snapshot.Layout.Conflicts); n > 0 {
		fmt.Fprintf(t.out, ", %d families that files disagree about", n)
	}
	fmt.Fprintln(t.out)
	if len(damaged) > 0 || len(troubles) > 0 {
		return errDamaged
	}
	return nil
}

// row is a file's line in the table.
func row(path string, f collect.File) string {
	typ, mode, pid := f.Type.String(), "-", "-"
	if f.PerProcess {
		pid = printable(f.PID)
	}
	if f.Type == discover.Gauge {
		mode = printable(f.Mode)
	}
	if f.Damage != nil && f.Damage.Reason == format.BadName {
		typ = "-"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s", printable(path), f.Format, typ, mode, pid, f.Size, f.Used, f.Entries, state(f))
}

func state(f collect.File) string {
	switch {
	case f.Damage != nil:
		return "damaged: " + string(f.Damage.Reason)
	case f.Dead:
		return "dead"
	case f.Entries == 0:
		return "empty"
	}
	return "ok"
}

// printable returns text that shows foreign text in a terminal: as it is if
// that is safe, else quoted.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}
