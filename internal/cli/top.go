package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
)

func addTop(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("top", "Show which metrics and labels of a directory have the most series.").
		HelpLong(`Shows what makes a directory, a page and Prometheus' memory large: the families with the most series, and the
labels with the most values. Every combination of label values is a series; a histogram has one for each bucket, too.

  SERIES    what Prometheus stores
  SAMPLES   entries in the files: a series has one in the file of each process that ever touched it
  VALUES    distinct values of a label, in that many series. A label that grows with users or requests, such as
            a path with numbers in it, should be none

  gitlab-metrics-exporter top --sort=samples --limit=5 /path/to/dir
  gitlab-metrics-exporter top --limit=0 --format=json /path/to/dir | jq '.families[] | select(.series > 1000)'

--format=json prints one object, the same as the server's /api/v1/status/cardinality.

Damaged files are left out and named on standard error. Exit status: 0, also with damage; 1 if the directory
cannot be read.`)
	order := command.Flag("sort", "What to sort families by: "+strings.Join(cardinality.Orders, ", ")+".").
		Default(string(cardinality.BySeries)).String()
	limit := command.Flag("limit", "How many families and labels to show; 0 means all.").Default("20").String()
	format := command.Flag("format", "How to print: "+strings.Join(listFormats, ", ")+".").Default("text").String()
	r := readingOf(command)
	return command.FullCommand(), func() error {
		if err := choice("sort", *order, cardinality.Orders); err != nil {
			return err
		}
		if err := choice("format", *format, listFormats); err != nil {
			return err
		}
		n, err := strconv.Atoi(*limit)
		if err != nil || n < 0 {
			return misuse("--limit is %q: must be a number, 0 or more", *limit)
		}
		return top(r, t, cardinality.Order(*order), n, *format == "json")
	}
}

func top(r *reading, t terminal, by cardinality.Order, limit int, asJSON bool) error {
	snapshot, err := look(r)
	if err != nil {
		return err
	}
	warnOfDamage(t, snapshot)
	report := cardinality.Of(snapshot)
	report.Cut(by, limit)
	out := bufio.NewWriter(t.out)
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		printTop(out, report, snapshot)
	}
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// printTop prints a report as two tables. Numbers come first, so that names of
// any length do not move them. The writer keeps its errors for later.
func printTop(out io.Writer, r *cardinality.Report, s *collect.Snapshot) {
	fmt.Fprintf(out, "%9s  %10s  %-9s  %s\n", "SERIES", "SAMPLES", "TYPE", "FAMILY")
	for _, f := range r.Families {
		fmt.Fprintf(out, "%9d  %10d  %-9s  %s\n", f.Series, f.Samples, f.Type, printable(f.Name)+labelNames(f))
	}
	more(out, r.FamiliesMore, "families")
	fmt.Fprintf(out, "\n%9s  %10s  %s\n", "VALUES", "SERIES", "LABEL")
	for _, l := range r.Labels {
		fmt.Fprintf(out, "%9d  %10d  %s\n", l.Values, l.Series, printable(l.Name)+topValues(l))
	}
	more(out, r.LabelsMore, "labels")
	fmt.Fprintf(out, "\n%d series in %d families, %d samples in %d files\n",
		r.Series, len(r.Families)+r.FamiliesMore, r.Samples, len(s.Files))
	if r.AtLeast {
		fmt.Fprintln(out, "There are more values or labels than are counted: their numbers are too low.")
	}
}

func more(out io.Writer, n int, what string) {
	if n > 0 {
		fmt.Fprintf(out, "%9s  and %d more %s\n", "...", n, what)
	}
}

// labelNames lists the labels of a family: {code,method}.
func labelNames(f cardinality.Family) string {
	if len(f.Labels) == 0 {
		return ""
	}
	var names []string
	for _, name := range f.Labels {
		names = append(names, printable(name))
	}
	if f.LabelsMore > 0 {
		names = append(names, fmt.Sprintf("%d more", f.LabelsMore))
	}
	return "{" + strings.Join(names, ",") + "}"
}

// wide is how long a list of values gets before it is cut.
const wide = 60

// topValues lists the values of a label that most series have, and in how many
// series they are: ="GET" (12), "POST" (3), ...
func topValues(l cardinality.Label) string {
	text := ""
	for i, v := range l.Top {
		if len(text) > wide {
			return text + ", ..."
		}
		separator := ", "
		if i == 0 {
			separator = "="
		}
		text += fmt.Sprintf("%s%q (%d)", separator, v.Value, v.Series)
	}
	if l.Values > len(l.Top) {
		text += ", ..."
	}
	return text
}
