//go:build linux

package faults

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	names "github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/format"
)

// timeout is how long the server may take for an answer, and what it is told.
var timeout = 10 * time.Second

func init() {
	if racing() {
		timeout *= 4
	}
}

// turns are what scrapers ask for, one after the other.
var turns = []struct{ accept, coding string }{
	{"text/plain", "identity"},
	{"application/openmetrics-text;version=1.0.0", "gzip"},
	{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "zstd"},
	{"text/plain", "gzip"},
	{"application/openmetrics-text;version=1.0.0", "identity"},
	{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "gzip"},
}

// A scraper scrapes, one scrape after the other, on a connection that it keeps if it can.
type scraper struct {
	run    *run
	client *http.Client
	turn   int
	last   map[string]remembered // counters by series
}

// A remembered is the value of a counter that must not go down, as long as what it
// stands in is the same.
type remembered struct {
	value float64
	stamp int // of its part
}

func (r *run) scraper() *scraper {
	return &scraper{
		run:    r,
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{DisableCompression: true, DialContext: (&net.Dialer{}).DialContext}},
		last:   map[string]remembered{},
	}
}

// A verdict says about what a page said something that could be checked.
type verdict struct {
	parts map[*part]bool
	homes map[*home]bool // that were the same all the time
	whole bool           // of the server, too, all was known
	own   map[string]float64
	date  time.Time // of the page
}

// scrape fetches a page and checks all laws.
func (s *scraper) scrape(ctx context.Context) (verdict, error) {
	crowded := s.run.crowding()
	before := s.run.model.look()
	p, err := s.fetch(ctx)
	after := s.run.model.look()
	if lost := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, errLost); lost && crowded() {
		// A crowd costs the connection that has been without a request for longest. That
		// may be one whose request the server has not come to read yet.
		s.run.mark("scrapes that lost their connection to a crowd")
		return verdict{}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	c := check{page: p, before: before, after: after}
	c.all(s.last)
	return c.verdict, errors.Join(c.errs...)
}

// errLost says that a connection was lost on which a request had been sent. Go's client then
// tries again.
var errLost = errors.New("a request was not answered, and its connection closed")

// fetch is the laws that each answer is in time, and a valid page.
func (s *scraper) fetch(ctx context.Context) (*page, error) {
	turn := turns[s.turn%len(turns)]
	s.turn++
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.run.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", turn.accept)
	request.Header.Set("Accept-Encoding", turn.coding)
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(timeout.Seconds()))
	start := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	s.run.count(time.Since(start))
	if connections > 1 {
		return nil, errLost
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200s", response.Status, body)
	}
	if got := response.Header.Get("Content-Encoding"); got != turn.coding && !(got == "" && turn.coding == "identity") {
		return nil, fmt.Errorf("Content-Encoding %q, want %q", got, turn.coding)
	}
	if body, err = unpack(body, turn.coding); err != nil {
		return nil, fmt.Errorf("%s: %w", turn.coding, err)
	}
	kind, _, _ := strings.Cut(turn.accept, ";")
	if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) {
		return nil, fmt.Errorf("Content-Type %q, want %q", got, kind)
	}
	families, err := parse(body, kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%.3000s", kind, err, body)
	}
	p, err := flatten(families)
	if err == nil {
		p.date, err = http.ParseTime(response.Header.Get("Date"))
	}
	return p, err
}

func unpack(body []byte, coding string) ([]byte, error) {
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return io.ReadAll(z)
	}
	return body, nil
}

// parse reads a page as Prometheus' own library does. It has no reader for OpenMetrics,
// but of what we write the one for text understands all but a word; see lines for what it
// lets pass.
func parse(body []byte, kind string) (families []*dto.MetricFamily, err error) {
	if kind == "application/vnd.google.protobuf" {
		decoder := expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(expfmt.TypeProtoDelim))
		for {
			f := &dto.MetricFamily{}
			if err := decoder.Decode(f); errors.Is(err, io.EOF) {
				return families, nil
			} else if err != nil {
				return nil, err
			}
			families = append(families, f)
		}
	}
	text, open := string(body), kind == "application/openmetrics-text"
	if err := lines(text, open); err != nil {
		return nil, err
	}
	if open {
		const end = "# EOF\n"
		if strings.Index(text, end) != len(text)-len(end) {
			return nil, errors.New("the page does not end with # EOF")
		}
		var lines strings.Builder
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "# TYPE ") {
				line = strings.Replace(line, " unknown\n", " untyped\n", 1)
			}
			lines.WriteString(line)
		}
		text = lines.String()
	}
	parser := expfmt.NewTextParser(names.LegacyValidation)
	byName, err := parser.TextToMetricFamilies(strings.NewReader(text))
	for _, f := range byName {
		families = append(families, f)
	}
	return families, err
}

// openTypes are those that OpenMetrics has.
var openTypes = []string{"unknown", "gauge", "counter", "stateset", "info", "histogram", "gaugehistogram", "summary"}

// lines checks what the reader lets pass. It keeps the last sum of a histogram that has two,
// and does not mind lines between samples that OpenMetrics does not have, nor samples
// outside their family.
func lines(text string, open bool) error {
	seen := map[string]bool{}
	family, typ := "", ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "# TYPE ") && len(words) == 4:
			if family, typ = words[2], words[3]; open && !slices.Contains(openTypes, typ) {
				return fmt.Errorf("no type of OpenMetrics: %s", line)
			}
			// In OpenMetrics a histogram is none of which a file's end, with a part of it, is lost.
			partial := open && strings.Contains(family, "_seconds_")
			if (typ == "untyped" || typ == "unknown") && !partial && !strings.HasPrefix(family, "gme_") {
				return fmt.Errorf("its files say what it is: %s", line)
			}
			continue
		case strings.HasPrefix(line, "# HELP "), open && (strings.HasPrefix(line, "# UNIT ") || line == "# EOF\n"):
			continue
		}
		series := line[:max(0, strings.LastIndexByte(line, ' '))]
		sample, _, _ := strings.Cut(series, "{")
		suffix, inside := strings.CutPrefix(sample, family)
		switch {
		case series == "" || !inside:
			return fmt.Errorf("no sample of %s: %q", family, line)
		case open && typ == "counter" && suffix != "_total":
			return fmt.Errorf("no sample of the counter %s: %s", family, line)
		case seen[series]:
			return fmt.Errorf("two of %s", series)
		}
		seen[series] = true
	}
	return nil
}

// A page is the series of a page.
type page struct {
	date    time.Time                    // by the server's clock
	own     map[string]float64           // about the server
	writers map[string]map[string]sample // by the label writer, and series
}

type sample struct {
	value float64
	label string // of the directory
	grows bool   // it is a counter
}

// flatten is the law that no series is there twice.
func flatten(families []*dto.MetricFamily) (*page, error) {
	p := &page{own: map[string]float64{}, writers: map[string]map[string]sample{}}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			// In OpenMetrics a counter's samples do not have its family's name.
			grows := f.GetType() == dto.MetricType_COUNTER || f.GetType() == dto.MetricType_UNTYPED && strings.HasSuffix(f.GetName(), "_total")
			var err error
			switch {
			case f.GetType() == dto.MetricType_HISTOGRAM:
				// A part that a file lost is not on the page, and not to be made up here.
				h := m.GetHistogram()
				if h.SampleCount != nil {
					err = p.add(f.GetName()+"_count", labels, float64(h.GetSampleCount()), true)
				}
				if h.SampleSum != nil {
					err = errors.Join(err, p.add(f.GetName()+"_sum", labels, h.GetSampleSum(), true))
				}
				for _, b := range h.GetBucket() {
					labels["le"] = fmt.Sprint(b.GetUpperBound())
					err = errors.Join(err, p.add(f.GetName()+"_bucket", labels, float64(b.GetCumulativeCount()), true))
				}
			case f.GetType() == dto.MetricType_SUMMARY:
				// Only Go's own have these.
			default:
				err = p.add(f.GetName(), labels, m.GetCounter().GetValue()+m.GetGauge().GetValue()+m.GetUntyped().GetValue(), grows)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (p *page) add(name string, labels map[string]string, value float64, grows bool) error {
	if strings.HasPrefix(name, "gme_") {
		id := identify(name, labels)
		if _, twice := p.own[id]; twice {
			return fmt.Errorf("two of %s", id)
		}
		p.own[id] = value
		return nil
	}
	label := labels["at"]
	delete(labels, "at")
	defer func() { labels["at"] = label }()
	writer := labels["writer"]
	if p.writers[writer] == nil {
		p.writers[writer] = map[string]sample{}
	}
	id := identify(name, labels)
	// Writers are in one directory each.
	if _, twice := p.writers[writer][id]; twice {
		return fmt.Errorf("two of %s", id)
	}
	p.writers[writer][id] = sample{value, label, grows}
	return nil
}

// A check compares a page with what the model was before and after.
type check struct {
	page          *page
	before, after view
	verdict       verdict
	errs          []error
}

func (c *check) fail(text string, args ...any) {
	if len(c.errs) < 10 {
		c.errs = append(c.errs, fmt.Errorf(text, args...))
	}
}

func (c *check) all(last map[string]remembered) {
	c.verdict = verdict{parts: map[*part]bool{}, homes: map[*home]bool{}, own: c.page.own, date: c.page.date}
	c.possible(last)
	series := 0
	for _, of := range c.page.writers {
		series += len(of)
	}
	if !c.before.starved && !c.after.starved && c.page.own["gme_probe_success probe=mmap"] == 1 {
		c.is("gme_mmap_series", float64(series))
		// Nothing is in two files. Of Python's histogram the count, and of a part of it the
		// last bucket, are in none.
		if entries, all := c.sum("gme_mmap_entries"), float64(series); !within(entries, all-2, all) {
			c.fail("gme_mmap_entries are %v, want %v, or two less at most", entries, all)
		}
	}
	if c.before.stamp != c.after.stamp || c.before.wild {
		return // nothing else is known
	}
	c.verdict.whole = true
	c.sources()
	known := map[string]bool{}
	for i := range c.before.parts {
		before, after := c.before.parts[i], c.after.parts[i]
		known[before.name] = true
		served, sure := c.served(before.at)
		if !sure || before.wild || before.stamp != after.stamp {
			continue
		}
		c.verdict.parts[before.from] = served
		c.exact(before, after, served)
		if served {
			c.monotone(before, last)
		}
	}
	for writer := range c.page.writers {
		if !known[writer] {
			c.fail("writer %q is not known", writer)
		}
	}
	c.damage()
}

// possible is the law that what the server says of itself can be, at any time: nothing is
// less than none, what is counted does not go down, and nothing takes longer than it may.
func (c *check) possible(last map[string]remembered) {
	for id, value := range c.page.own {
		name, _, _ := strings.Cut(id, " ")
		least, most := 0.0, math.Inf(1)
		switch {
		case strings.HasSuffix(name, "_total"):
			least = last[id].value
			last[id] = remembered{value: value}
		case name == "gme_probe_duration_seconds":
			most = timeout.Seconds()
		}
		if !within(value, least, most) {
			c.fail("%s is %v, want %v to %v", id, value, least, most)
		}
	}
}

// served reports whether a home is on the page, and whether that is sure.
func (c *check) served(at int) (served, sure bool) {
	before, after := c.before.homes[at], c.after.homes[at]
	return before.up && !c.before.starved, c.before.starved || before.stamp == after.stamp && !before.wild
}

// sources is the law that what cannot be read is said to be so.
func (c *check) sources() {
	for i, h := range c.before.homes {
		served, sure := c.served(i)
		if !sure {
			continue
		}
		c.verdict.homes[h.from] = true
		want := 0.0
		if served {
			want = 1
		}
		c.is("gme_source_up dir="+h.link, want)
	}
	success := 1.0
	if c.before.starved {
		success = 0
	}
	for _, probe := range []string{"mmap", "mmap_stats"} {
		c.is("gme_probe_success probe="+probe, success)
	}
}

// sum returns the sum of the series of a metric about the server.
func (c *check) sum(name string) (sum float64) {
	for id, value := range c.page.own {
		if strings.HasPrefix(id, name+" ") {
			sum += value
		}
	}
	return sum
}

func (c *check) is(id string, want float64) { c.between(id, want, want) }

func (c *check) between(id string, low, high float64) {
	if got, ok := c.page.own[id]; !ok || !within(got, low, high) {
		c.fail("%s is %v (there: %v), want %v to %v", id, got, ok, low, high)
	}
}

// within reports whether a value is between two others. NaN is not.
func within(value, low, high float64) bool { return low <= value && value <= high }

// exact is the law that a part has the series that it must have, with their values.
func (c *check) exact(before, after partView, served bool) {
	series := c.page.writers[before.name]
	if !served {
		if len(series) > 0 {
			c.fail("%d series of %s, which cannot be read", len(series), before.name)
		}
		return
	}
	want, label := bounds(before, after), filepath.Base(c.before.homes[before.at].link)
	for id, w := range want {
		got, ok := series[id]
		switch {
		case !ok && w.there:
			c.fail("%s is missing, want %v to %v", id, w.low, w.high)
		case ok && !within(got.value, w.low, w.high):
			c.fail("%s is %v, want %v to %v", id, got.value, w.low, w.high)
		case ok && got.label != label:
			c.fail("%s is in %q, want %q", id, got.label, label)
		}
	}
	for id, got := range series {
		if _, ok := want[id]; !ok {
			c.fail("%s should not be there, and is %v", id, got.value)
		}
	}
}

// monotone is the law that counters do not go down, or away, while their files live.
func (c *check) monotone(before partView, last map[string]remembered) {
	for id, now := range c.page.writers[before.name] {
		if !now.grows {
			continue
		}
		if then, seen := last[id]; seen && then.stamp == before.stamp && !(now.value >= then.value) {
			c.fail("%s is %v, was %v", id, now.value, then.value)
		}
		last[id] = remembered{now.value, before.stamp}
	}
}

// damage is the law that all damage is counted, and nothing else; and so are files.
func (c *check) damage() {
	if c.before.starved {
		return
	}
	low, high := map[format.Reason]float64{}, map[format.Reason]float64{}
	var keys, files [2]float64 // at least, and at most
	for i := range c.before.parts {
		before, after := c.before.parts[i], c.after.parts[i]
		served, sure := c.served(before.at)
		switch {
		case !sure || before.wild || before.stamp != after.stamp:
			keys[1] = math.Inf(1)
			files[1] += float64(before.files)
			for _, reason := range format.Reasons {
				high[reason] += float64(before.files)
			}
		case served:
			if before.reason != "" {
				low[before.reason]++
				high[before.reason]++
			}
			for i := range 2 {
				keys[i] += float64(before.badKeys)
				files[i] += float64(before.listed)
			}
		}
	}
	for _, reason := range format.Reasons {
		c.between("gme_mmap_damaged_files reason="+string(reason), low[reason], high[reason])
	}
	c.between("gme_mmap_skipped_entries", keys[0], keys[1])
	if all := c.sum("gme_mmap_files"); !within(all, files[0], files[1]) {
		c.fail("gme_mmap_files are %v, want %v to %v", all, files[0], files[1])
	}
	for _, id := range []string{"gme_mmap_conflicting_families", "gme_mmap_dead_files", "gme_mmap_families_without_metadata", "gme_mmap_unreadable_metadata"} {
		c.is(id, 0)
	}
}
