package status

import (
	"context"
	"net/http"
	"sync"
	"time"

	"gitlab-metrics-exporter/internal/probe"
)

// A Scrape is what is remembered of one.
type Scrape struct {
	Time    time.Time `json:"time"` // when it began
	Seconds float64   `json:"duration_seconds"`
	Bytes   int64     `json:"bytes"`  // sent; compressed, if they were
	Series  int       `json:"series"` // of the application
	OK      bool      `json:"ok"`     // all probes delivered, and all was sent
	Partial bool      `json:"partial"`
}

// kept is how many scrapes are remembered: half an hour, mostly.
const kept = 120

// scrapes are the last scrapes.
type scrapes struct {
	mu    sync.Mutex
	total int
	ring  [kept]Scrape // the next one goes to total % kept
}

func (s *scrapes) add(scrape Scrape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring[s.total%kept] = scrape
	s.total++
}

// list returns the scrapes that are remembered, the oldest first, and how many
// there were in all.
func (s *scrapes) list() (last []Scrape, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = make([]Scrape, 0, kept)
	for i := max(0, s.total-kept); i < s.total; i++ {
		last = append(last, s.ring[i%kept])
	}
	return last, s.total
}

// A ScrapeFunc makes a page.
type ScrapeFunc = func(context.Context, probe.Selection) (*probe.Page, error)

type scrapeKey struct{}

// An observation is a scrape that is under way.
type observation struct {
	http.ResponseWriter
	scrape Scrape
	made   bool // there is a page
}

func (o *observation) Write(p []byte) (int, error) {
	n, err := o.ResponseWriter.Write(p)
	o.scrape.Bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (o *observation) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// Handler remembers the scrapes that next answers. What next makes pages with
// must come from [Status.Scrape].
func (s *Status) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := &observation{ResponseWriter: w, scrape: Scrape{Time: s.now().UTC()}}
		sent := false
		defer func() { // the handler may panic, to cut the connection
			if !o.made {
				return // the client was told what is wrong with its request
			}
			o.scrape.Seconds = s.now().Sub(o.scrape.Time).Seconds()
			o.scrape.OK = o.scrape.OK && sent
			s.scrapes.add(o.scrape)
		}()
		next.ServeHTTP(o, r.WithContext(context.WithValue(r.Context(), scrapeKey{}, o)))
		sent = true
	})
}

// Scrape makes pages with scrape, and notes what is on them.
func (s *Status) Scrape(scrape ScrapeFunc) ScrapeFunc {
	return func(ctx context.Context, selection probe.Selection) (*probe.Page, error) {
		page, err := scrape(ctx, selection)
		if err != nil {
			return nil, err
		}
		if snapshot := page.Snapshot(); snapshot != nil {
			s.growth.note(snapshot.Layout)
		}
		if o, ok := ctx.Value(scrapeKey{}).(*observation); ok {
			o.made = true
			o.scrape.OK, o.scrape.Series = page.Succeeded(), page.Series()
			o.scrape.Partial = len(selection.Names)+len(selection.Probes) > 0
		}
		return page, nil
	}
}
