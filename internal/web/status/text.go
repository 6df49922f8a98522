package status

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// functions are what the page's template calls.
var functions = template.FuncMap{
	"visible":   visible,
	"breakable": breakable,
	"count":     count,
	"signed":    signed,
	"size":      size,
	"seconds":   seconds,
	"uptime":    uptime,
	"share":     share,
	"plural":    plural,
	"clock":     func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
	"date":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}

// visible returns text with escapes for all that cannot be seen, or changes
// what can: control characters, and those that turn the direction of text.
func visible(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// breakable returns a name, made visible, that may be broken after an
// underscore.
func breakable(name string) template.HTML {
	escaped := html.EscapeString(visible(name)) // which adds no underscores
	return template.HTML(strings.ReplaceAll(escaped, "_", "_<wbr>"))
}

// count writes a number with a narrow space between thousands.
func count(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "\u202f" + digits[at:]
	}
	return sign + digits
}

// signed writes by how much a number has changed.
func signed(n *int) string {
	if *n > 0 {
		return "+" + count(*n)
	}
	return count(*n)
}

// size writes a number of bytes.
func size(bytes any) string {
	n, _ := strconv.ParseFloat(fmt.Sprint(bytes), 64)
	if n < 1000 {
		return fmt.Sprintf("%v\u00a0B", n)
	}
	unit := ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if n /= 1000; n < 999.5 {
			break
		}
	}
	return short(n) + "\u00a0" + unit
}

// seconds writes a duration.
func seconds(s float64) string {
	switch {
	case s < 0.9995e-3:
		return short(s*1e6) + "\u00a0µs"
	case s < 0.9995:
		return short(s*1e3) + "\u00a0ms"
	}
	return short(s) + "\u00a0s"
}

// short writes a number with three digits that count, or what is before the
// point.
func short(n float64) string {
	decimals := 0
	for limit := 99.95; n < limit && decimals < 2; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(n, 'f', decimals, 64)
}

// uptime writes how long something took, in its two largest units.
func uptime(s float64) string {
	n := int(math.Max(s, 0))
	units := []struct {
		name    string
		seconds int
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}
	var parts []string
	for _, unit := range units {
		if n >= unit.seconds || len(parts) > 0 || unit.seconds == 1 {
			parts = append(parts, fmt.Sprintf("%d\u00a0%s", n/unit.seconds, unit.name))
			n %= unit.seconds
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// share returns how many percent of most n is, for the width of a bar.
func share(n, most int) string {
	if most == 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(n)/float64(most), 'f', 1, 64)
}

func plural(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}
