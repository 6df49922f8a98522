package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"gitlab-metrics-exporter/internal/format/clientmmap"
)

// beat is how often each process has something to do.
const beat = 200 * time.Millisecond

// Run writes the files of so many processes into dir, which must exist, and
// goes on changing them until ctx ends. All files are there when ready is
// called.
func Run(ctx context.Context, dir string, processes int, ready func()) error {
	var workers []*worker
	defer func() {
		for _, w := range workers {
			w.close()
		}
	}()
	for i := range processes {
		w, err := newWorker(dir, i)
		if err != nil {
			return err
		}
		workers = append(workers, w)
	}
	ready()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		for _, w := range workers {
			if err := w.work(); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// A worker plays one process: a web server that takes requests.
type worker struct {
	dir    string
	name   string
	random *rand.Rand
	start  time.Time
	files  map[string]*os.File
	writer map[string]*clientmmap.Writer // by prefix of the file
	values map[string]*value             // by prefix and key
}

// A value is one entry of a worker's files.
type value struct {
	at      int64
	current float64
}

func newWorker(dir string, number int) (*worker, error) {
	w := &worker{
		dir:    dir,
		name:   fmt.Sprintf("puma_%d", number),
		random: rand.New(rand.NewPCG(2, uint64(number))),
		start:  time.Now(),
		files:  map[string]*os.File{},
		writer: map[string]*clientmmap.Writer{},
		values: map[string]*value{},
	}
	return w, errors.Join(w.request(), w.work()) // so that every file is there
}

func (w *worker) close() {
	for _, file := range w.files {
		file.Close()
	}
}

// work does what a beat brings: a few requests, and the gauges.
func (w *worker) work() error {
	var errs []error
	do := func(err error) { errs = append(errs, err) }
	for range w.random.IntN(5) {
		do(w.request())
	}
	wave := math.Sin(time.Since(w.start).Seconds() / 10)
	memory := 250e6 + 20e6*wave + 1e6*w.random.Float64()
	busy := math.Round(2.5 + 2.5*wave)
	do(w.set("gauge_all", "demo_resident_memory_bytes", nil, memory))
	do(w.set("gauge_liveall", "demo_threads_busy", nil, busy))
	do(w.set("gauge_livesum", "demo_database_connections", []string{"state"}, busy, "active"))
	do(w.set("gauge_livesum", "demo_database_connections", []string{"state"}, 5-busy, "idle"))
	do(w.set("gauge_max", "demo_queue_latency_peak_seconds", nil, 0.05*(1+wave)))
	do(w.set("gauge_min", "demo_process_start_time_seconds", nil, float64(w.start.Unix())))
	return errors.Join(errs...)
}

var (
	routes   = []string{"/", "/projects", "/projects/:id", "/search", "/api/v4/jobs/request"}
	demoLess = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5"}
)

// request counts one request, in a counter, a histogram and a summary.
func (w *worker) request() error {
	route := routes[w.random.IntN(len(routes))]
	code := "200"
	if w.random.IntN(50) == 0 {
		code = "500"
	}
	seconds := 0.004 * math.Exp(3*w.random.Float64()*w.random.Float64()*2)
	bytes := math.Round(500 + 20_000*w.random.Float64())
	err := errors.Join(
		w.add("counter", "demo_http_requests_total", "", []string{"code", "route"}, 1, code, route),
		w.add("summary", "demo_http_response_bytes", "_sum", []string{"route"}, bytes, route),
		w.add("summary", "demo_http_response_bytes", "_count", []string{"route"}, 1, route),
		w.add("histogram", "demo_http_request_duration_seconds", "_sum", []string{"route"}, seconds, route),
		w.add("histogram", "demo_http_request_duration_seconds", "_count", []string{"route"}, 1, route),
		w.add("histogram", "demo_http_request_duration_seconds", "_bucket", []string{"le", "route"}, 1, "+Inf", route),
	)
	for _, le := range demoLess {
		var bound, hit float64
		fmt.Sscan(le, &bound)
		if seconds <= bound {
			hit = 1
		}
		err = errors.Join(err, w.add("histogram", "demo_http_request_duration_seconds", "_bucket", []string{"le", "route"}, hit, le, route))
	}
	return err
}

func (w *worker) add(prefix, family, suffix string, names []string, by float64, labels ...any) error {
	v, err := w.value(prefix, family, family+suffix, names, labels)
	if err != nil {
		return err
	}
	v.current += by
	return w.writer[prefix].Set(v.at, v.current)
}

func (w *worker) set(prefix, family string, names []string, to float64, labels ...any) error {
	v, err := w.value(prefix, family, family, names, labels)
	if err != nil {
		return err
	}
	return w.writer[prefix].Set(v.at, to)
}

// value returns the entry of a series, adding it, and its file, if need be.
func (w *worker) value(prefix, family, sample string, names []string, labels []any) (*value, error) {
	key, err := clientmmap.AppendKey(nil, family, sample, names, labels)
	if err != nil {
		return nil, err
	}
	id := prefix + string(key)
	if v := w.values[id]; v != nil {
		return v, nil
	}
	if w.writer[prefix] == nil {
		file, err := os.Create(filepath.Join(w.dir, fmt.Sprintf("%s_%s-0.db", prefix, w.name)))
		if err != nil {
			return nil, err
		}
		w.files[prefix], w.writer[prefix] = file, clientmmap.NewWriter(file)
	}
	at, err := w.writer[prefix].Add(key, 0)
	w.values[id] = &value{at: at}
	return w.values[id], err
}
