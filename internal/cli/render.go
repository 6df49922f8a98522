package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/exposition"
)

func addRender(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("render", "Print the metrics of a directory, without a server.").
		HelpLong(`Prints what one scrape of a directory shows of the application to standard output. Damaged files are left out and
named on standard error.

  gitlab-metrics-exporter render /path/to/dir | promtool check metrics`)
	names := slices.Sorted(maps.Keys(pageFormats))
	format := command.Flag("format", "How to print: "+strings.Join(names, ", ")+".").Default("text").String()
	r := readingOf(command)
	return command.FullCommand(), func() error {
		if err := choice("format", *format, names); err != nil {
			return err
		}
		return render(r, pageFormats[*format], t)
	}
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
