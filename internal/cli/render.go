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
		HelpLong(`Prints what one scrape of a directory shows of the application to standard output. Damaged files are left out and
named on standard error.

  gitlab-metrics-exporter render /path/to/dir | promtool check metrics`)
	format := command.Flag("format", "How to print: text, openmetrics, protobuf.").Default("text").Enum("text", "openmetrics", "protobuf")
	dir := dirArg(command)
	return command.FullCommand(), func() error { return render(directory(*dir), pageFormats[*format], t) }
}

// pageFormats are the formats of a page by their names on the command line.
var pageFormats = map[string]exposition.Format{
	"text": exposition.Text, "openmetrics": exposition.OpenMetrics, "protobuf": exposition.Protobuf,
}

func render(dir string, format exposition.Format, t terminal) error {
	snapshot, err := look(dir)
	if err != nil {
		return err
	}
	warnOfDamage(t, snapshot)
	w := exposition.NewWriter(nil)
	w.Begin(t.out, format)
	return w.Page(snapshot, snapshot.Layout.Families, nil)
}

// warnOfDamage names the files that are damaged.
func warnOfDamage(t terminal, snapshot *collect.Snapshot) {
	for _, f := range snapshot.Files {
		if f.Damage != nil {
			fmt.Fprintf(t.err, "%s: warning: %s: %v\n", Name, printable(f.Name), f.Damage)
		}
	}
}

// look surveys a directory once.
func look(dir string) (*collect.Snapshot, error) {
	snapshot, err := collect.New(dir).Survey(context.Background())
	if errors.Is(err, collect.ErrNoDirectory) {
		return nil, misuse("no directory is named: give it as an argument, or set %s", dirVariable)
	}
	return snapshot, err
}
