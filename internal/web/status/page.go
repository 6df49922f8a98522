package status

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"sync"
	"time"

	"gitlab-metrics-exporter/internal/cardinality"
	"gitlab-metrics-exporter/internal/collect"
)

//go:embed page.html style.css
var sources embed.FS

// page is parsed when somebody wants to see it: few do, and every command would wait.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page.html").Funcs(functions).ParseFS(sources, "*"))
})

// A view is what the page shows.
type view struct {
	Build       Build
	Runtime     Runtime
	Directories []string
	Links       []Link
	Endpoints   []Link
	Now         time.Time
	Chart       chart

	Sort                        string
	Orders                      []string
	Limit, MoreLimit, MostLimit int

	// The rest is of the directory; if that cannot be read it is nil, and
	// Problem says why.
	Problem     string
	Files       *Files
	Damage      *Damage
	Cardinality *cardinality.Report

	MostSeries, MostValues int // of one family, and of one label
}

// Page returns the handler of the page.
func (s *Status) Page() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		if r.Method == http.MethodHead {
			return
		}
		q, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// In memory first: whoever reads slowly holds no snapshot.
		var text bytes.Buffer
		if err := page().Execute(&text, s.view(r, q)); err != nil {
			s.Log.Error("Status page cannot be made", "err", err)
			http.Error(w, "The page cannot be made; the log says why.", http.StatusInternalServerError)
			return
		}
		_, _ = text.WriteTo(w) // an error is the client's
	})
}

func (s *Status) view(r *http.Request, q query) *view {
	last, total := s.scrapes.list()
	v := &view{
		Build: s.Build, Directories: s.Directories, Links: s.Links, Now: s.now(),
		Chart:  newChart(last, total),
		Sort:   string(q.sort),
		Orders: cardinality.Orders,
		Limit:  q.limit, MoreLimit: min(5*q.limit, mostLimit), MostLimit: mostLimit,
	}
	for _, name := range endpoints {
		v.Endpoints = append(v.Endpoints, Link{Path + name, name})
	}
	err := s.survey(r.Context(), func(snapshot *collect.Snapshot) {
		v.Files = new(filesOf(snapshot, q.limit))
		v.Damage = new(damageOf(snapshot, q.limit))
		v.Cardinality = s.cardinality(snapshot, q)
	})
	if err != nil {
		v.Problem = valid(err.Error())
	} else {
		for _, f := range v.Cardinality.Families {
			v.MostSeries = max(v.MostSeries, f.Series)
		}
		for _, l := range v.Cardinality.Labels {
			v.MostValues = max(v.MostValues, l.Values)
		}
	}
	v.Runtime = s.runtime() // with what the survey took
	return v
}
