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
	r := readingOf(command)
	return command.FullCommand(), func() error { return render(r, pageFormats[*format], t) }
}

// pageFormats are the formats of a page by their names on the command line.
var pageFormats = map[string]exposition.Format{
	"text": exposition.Text, "openmetrics": exposition.OpenMetrics, "protobuf": exposition.Protobuf,
}

func render(r *reading, format exposition.Format, t terminal) error {
	snapshot, err := look(r)
	if err != nil {
		return err
	}
	warnOfDamage(t, snapshot)
	w := exposition.NewWriter(nil)
	w.Begin(t.out, format)
	return w.Page(snapshot, snapshot.Layout.Families, nil)
}

// warnOfDamage names the directories that cannot be read, and the files that are
// damaged.
func warnOfDamage(t terminal, snapshot *collect.Snapshot) {
	for _, dir := range snapshot.Dirs {
		if dir.Err != nil {
			fmt.Fprintf(t.err, "%s: warning: %v\n", Name, dir.Err)
		}
	}
	for _, f := range snapshot.Files {
		if f.Damage != nil {
			fmt.Fprintf(t.err, "%s: warning: %s: %v\n", Name, printable(snapshot.Path(f)), f.Damage)
		}
	}
}

// readingOf adds the settings of what is read to a command that does so once.
func readingOf(c *kingpin.CmdClause) *reading {
	r := &reading{}
	r.flags(c)
	r.args(c)
	return r
}

// look surveys directories once.
func look(r *reading) (*collect.Snapshot, error) {
	c, err := r.config()
	if err != nil {
		return nil, err
	}
	snapshot, err := c.Engine().Survey(context.Background())
	if errors.Is(err, collect.ErrNoDirectory) {
		return nil, misuse("no directory is named: give it as an argument, or set %s", dirVariable)
	}
	return snapshot, err
}
