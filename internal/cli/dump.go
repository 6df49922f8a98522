package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
)

func addDump(app *kingpin.Application, t terminal) (string, func() error) {
	command := app.Command("dump", "Print the raw entries of one metric file.").
		HelpLong(`Prints the entries of one metric file as they stand in it, in order: where the value is, in bytes from the start
of the file, the key, the value, and the timestamp behind it if the format has one.

With --format=json each entry is a JSON object on a line of its own, its value a number, or one of the strings
"NaN", "+Inf" and "-Inf".

Exit status: 0 if the entries can be read, 1 if the file is damaged; what comes before the damage is printed. What
keys say is not judged; check does that.`)
	format := command.Flag("format", "How to print: "+strings.Join(listFormats, ", ")+".").Default("text").String()
	r := &reading{}
	r.formatFlag(command)
	file := command.Arg("file", "Metric file.").Required().String()
	return command.FullCommand(), func() error {
		if err := choice("format", *format, listFormats); err != nil {
			return err
		}
		f, err := r.parseFormat()
		if err != nil {
			return err
		}
		print := printText
		if *format == "json" {
			print = printJSON
		}
		return dump(*file, f, t, print)
	}
}

func dump(path string, format discover.Format, t terminal, print func(io.Writer, collect.Entry) error) error {
	out := bufio.NewWriter(t.out)
	err := collect.Walk(path, format, func(e collect.Entry) error { return print(out, e) })
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", printable(path), err)
	}
	return nil
}

func printText(w io.Writer, e collect.Entry) error {
	key := string(e.Key)
	if !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
		key = strconv.Quote(key) // nothing that a terminal would obey
	}
	stamp := ""
	if e.Stamped {
		stamp = "\t" + strconv.FormatFloat(e.Stamp, 'f', -1, 64)
	}
	_, err := fmt.Fprintf(w, "%d\t%s\t%s%s\n", e.Offset, key, formatValue(e.Value), stamp)
	return err
}

// printJSON prints an entry as one line. Bytes of a key that are not UTF-8 are
// shown as U+FFFD, as JSON has no others.
func printJSON(w io.Writer, e collect.Entry) error {
	value := jsonValue(e.Value)
	var stamp any
	if e.Stamped {
		stamp = jsonValue(e.Stamp)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Offset int64  `json:"offset"`
		Key    string `json:"key"`
		Value  any    `json:"value"`
		Stamp  any    `json:"timestamp,omitempty"`
	}{e.Offset, string(e.Key), value, stamp})
}

// jsonValue returns a number, or the text of one that JSON does not have.
func jsonValue(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return formatValue(v)
	}
	return v
}

func formatValue(v float64) string {
	return strconv.FormatFloat(v, 'g', -1, 64)
}
