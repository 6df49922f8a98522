package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/probe"
)

const (
	// scrapeTimeout is how long a scrape may take whose client does not say.
	// It is also the most that a client can ask for.
	scrapeTimeout = time.Minute

	// timeoutMargin is how much earlier than the client we give up, so that
	// it gets what there is instead of nothing.
	timeoutMargin = 500 * time.Millisecond

	// sendTime is how long a client may take to read a page, beyond the
	// time that it gave for collecting it.
	sendTime = 10 * time.Second
)

// metrics serves the page that Prometheus scrapes.
type metrics struct {
	scrape  func(context.Context, probe.Selection) (*probe.Page, error)
	log     *slog.Logger
	writers sync.Pool // of *exposition.Writer
	press   *press

	openMetrics bool // is offered
}

func newMetrics(c Config) *metrics {
	return &metrics{
		scrape:  c.Scrape,
		log:     c.Log,
		writers: sync.Pool{New: func() any { return exposition.NewWriter(io.Discard) }},
		press:   newPress(),

		openMetrics: c.OpenMetrics,
	}
}

func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Vary", "Accept, Accept-Encoding")
	header.Set("Cache-Control", "no-store")
	coding, ok := negotiate(r.Header.Values("Accept-Encoding"))
	if !ok {
		answer(w, http.StatusNotAcceptable, "The page is to be had with Content-Encoding gzip, zstd or none.")
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	format := exposition.Negotiate(strings.Join(r.Header.Values("Accept"), ","), m.openMetrics)
	if r.Method == http.MethodHead {
		announce(header, format, coding)
		return
	}
	timeout := timeoutOf(r.Header)
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	start := time.Now()
	page, err := m.scrape(ctx, selection(query))
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	defer page.Release()
	setWriteDeadline(w, start.Add(timeout+sendTime))
	announce(header, format, coding)
	err = m.send(w, page, format, coding)
	if err != nil && !gone(r, err) {
		m.log.Warn("Page was not sent", "err", err, "remote", r.RemoteAddr)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // or half a page would look like a whole one
	}
}

// selection returns what of the page a query asks for.
func selection(query url.Values) probe.Selection {
	return probe.Selection{Names: query["name[]"], Probes: append(query["probe[]"], query["collect[]"]...)}
}

// announce sets the headers that say what the body will be.
func announce(header http.Header, format exposition.Format, c *coding) {
	header.Set("Content-Type", format.ContentType())
	if c != nil {
		header.Set("Content-Encoding", c.name)
	}
}

// gone reports whether an error says no more than that the client left.
func gone(r *http.Request, err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false // it is there, but does not read
	}
	return r.Context().Err() != nil || errors.Is(err, net.ErrClosed)
}

func (m *metrics) send(to io.Writer, page *probe.Page, format exposition.Format, c *coding) error {
	w := m.writers.Get().(*exposition.Writer)
	defer m.writers.Put(w)
	packer := m.press.writer(to, c)
	w.Begin(packer, format)
	err := page.Write(w)
	if closing := packer.Close(); err == nil {
		err = closing
	}
	return err
}

// timeoutOf returns how long a scrape may take. Prometheus says how long it
// will wait; other clients have to live with ours.
func timeoutOf(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > scrapeTimeout.Seconds() {
		return scrapeTimeout
	}
	timeout := time.Duration(seconds * float64(time.Second))
	if timeout > 2*timeoutMargin {
		return timeout - timeoutMargin
	}
	return timeout / 2
}
