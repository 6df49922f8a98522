package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
)

// endpoints are what is below [Path], in the order of the page.
var endpoints = []string{"build", "runtime", "scrapes", "files", "damage", "cardinality"}

// Scrapes says how the last scrapes were.
type Scrapes struct {
	Total   int      `json:"total"`   // since the start
	Scrapes []Scrape `json:"scrapes"` // the last ones, the oldest first
}

// API returns the handler of what is below [Path]. What reads the directory
// goes through limited: it costs as much as a scrape.
func (s *Status) API(limited func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(Path, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != Path {
			Fail(w, http.StatusNotFound, "there is "+strings.Join(paths(), ", "))
			return
		}
		send(w, map[string][]string{"endpoints": paths()})
	})
	for name, get := range map[string]func() any{
		"build":   func() any { return s.Build },
		"runtime": func() any { return s.runtime() },
		"scrapes": func() any {
			last, total := s.scrapes.list()
			return Scrapes{total, last}
		},
	} {
		mux.HandleFunc(Path+name, func(w http.ResponseWriter, _ *http.Request) { send(w, get()) })
	}
	for name, get := range map[string]func(*collect.Snapshot, query) any{
		"files":       func(c *collect.Snapshot, q query) any { return filesOf(c, q.limit) },
		"damage":      func(c *collect.Snapshot, q query) any { return damageOf(c, q.limit) },
		"cardinality": func(c *collect.Snapshot, q query) any { return s.cardinality(c, q) },
	} {
		mux.Handle(Path+name, limited(s.surveyed(get)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			Fail(w, http.StatusMethodNotAllowed, "methods are GET and HEAD")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func paths() (paths []string) {
	for _, name := range endpoints {
		paths = append(paths, Path+name)
	}
	return paths
}

// surveyed answers with what get finds in the directory.
func (s *Status) surveyed(get func(*collect.Snapshot, query) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			Fail(w, http.StatusBadRequest, err.Error())
			return
		}
		if r.Method == http.MethodHead {
			announce(w, http.StatusOK)
			return
		}
		var answer any
		if err := s.survey(r.Context(), func(c *collect.Snapshot) { answer = get(c, q) }); err != nil {
			Fail(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		send(w, answer)
	})
}

// A query says how much of lists is wanted.
type query struct {
	sort  cardinality.Order
	limit int
}

const (
	usualLimit = 20
	mostLimit  = 1000
)

func parseQuery(text string) (query, error) {
	q := query{cardinality.BySeries, usualLimit}
	values, err := url.ParseQuery(text)
	if err != nil {
		return q, err
	}
	if sort := values.Get("sort"); sort != "" {
		if !slices.Contains(cardinality.Orders, sort) {
			return q, fmt.Errorf("sort is %q: must be one of %s", cardinality.Clip(sort), strings.Join(cardinality.Orders, ", "))
		}
		q.sort = cardinality.Order(sort)
	}
	if limit := values.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > mostLimit {
			return q, fmt.Errorf("limit is %q: must be a number from 1 to %d", cardinality.Clip(limit), mostLimit)
		}
		q.limit = n
	}
	return q, nil
}

// send answers with a value.
func send(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		Fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	announce(w, http.StatusOK)
	_, _ = w.Write(append(text, '\n')) // an error is the client's
}

// Fail answers with what is wrong.
func Fail(w http.ResponseWriter, code int, text string) {
	announce(w, code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

func announce(w http.ResponseWriter, code int) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
}
