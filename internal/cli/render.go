package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
)

func addRender(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("render", "Print the metrics of a directory, without a server.").
		HelpLong(`Prints what one scrape of a directory shows of the application, in the text format, to standard output. Damaged
files are left out and named on standard error.

  gitlab-metrics-exporter render /path/to/dir | promtool check metrics`)
	dir := dirArg(command)
	return command.FullCommand(), func() error { return render(directory(*dir), t) }
}

func render(dir string, t terminal) error {
	snapshot, err := look(dir)
	if err != nil {
		return err
	}
	for _, f := range snapshot.Files {
		if f.Damage != nil {
			fmt.Fprintf(t.err, "%s: warning: %s: %v\n", Name, printable(f.Name), f.Damage)
		}
	}
	w := exposition.NewWriter(t.out)
	if err := w.Snapshot(snapshot, snapshot.Layout.Families); err != nil {
		return err
	}
	return w.Flush()
}

// look collects a directory once.
func look(dir string) (*collect.Snapshot, error) {
	snapshot, err := collect.New(dir).Collect(context.Background())
	if errors.Is(err, collect.ErrNoDirectory) {
		return nil, misuse("no directory is named: give it as an argument, or set %s", dirVariable)
	}
	return snapshot, err
}
