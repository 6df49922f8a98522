// Package fleet plays an application of many processes: it writes metric
// files as they would. [Generate] writes a directory in one go, for
// benchmarks; [Run] writes one that lives, for demonstrations.
package fleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// A Plan says what Generate writes. The same plan gives the same bytes.
type Plan struct {
	Processes int
	Entries   int // for each process, about
}

// ParsePlan parses a plan as it is written on command lines: 64x20000.
func ParsePlan(text string) (Plan, error) {
	processes, entries, _ := strings.Cut(text, "x")
	p, err := strconv.Atoi(processes)
	e, entriesErr := strconv.Atoi(entries)
	if err != nil || entriesErr != nil || p < 1 || e < 1 {
		return Plan{}, errors.New("not a number of processes and of entries of each, such as 64x20000")
	}
	return Plan{Processes: p, Entries: e}, nil
}

// The mixture of a large Rails application, in entries of a thousand: most
// are histogram buckets. A histogram is bucketCount buckets, a sum and a count.
const (
	histogramShare = 815 // so 69 % of all are buckets
	counterShare   = 133
	sharedGauges   = 50 // livesum, min and max together
	processGauges  = 2
	bucketCount    = 11
)

var bounds = [bucketCount]string{"0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf"}

// commonShare is how many of a process's label sets, in percent, every
// process has. The others come from a pool as large as one process's all.
const commonShare = 80

// Generate writes the files of plan into dir, which must exist.
func Generate(dir string, plan Plan) error {
	for process := range plan.Processes {
		g := &generator{random: rand.New(rand.NewPCG(1, uint64(process)))}
		if err := g.process(dir, process, plan); err != nil {
			return err
		}
	}
	return nil
}

// A generator writes the files of one process.
type generator struct {
	random *rand.Rand
	image  []byte
	key    []byte
}

func (g *generator) process(dir string, process int, plan Plan) error {
	share := func(thousandth int) int { return plan.Entries * thousandth / 1000 }
	kinds := []struct {
		prefix string
		add    func(set int)
		sets   int
	}{
		{"counter", g.counter, share(counterShare)},
		{"histogram", g.histogram, share(histogramShare) / (bucketCount + 2)},
		{"gauge_livesum", g.gauge("pool_size"), share(sharedGauges) / 3},
		{"gauge_max", g.gauge("queue_peak"), share(sharedGauges) / 3},
		{"gauge_min", g.gauge("idle_low"), share(sharedGauges) / 3},
		{"gauge_all", g.gauge("threads_busy"), share(processGauges)},
	}
	for _, kind := range kinds {
		g.image = clientmmap.AppendHeader(g.image[:0], 0)
		common := kind.sets * commonShare / 100
		for set := range kind.sets {
			if set >= common {
				set = common + g.random.IntN(kind.sets)
			}
			kind.add(set)
		}
		clientmmap.AppendHeader(g.image[:0], int64(len(g.image)))
		if err := g.write(path(dir, kind.prefix, process)); err != nil {
			return err
		}
	}
	return nil
}

func path(dir, prefix string, process int) string {
	return filepath.Join(dir, fmt.Sprintf("%s_puma_%d-0.db", prefix, process))
}

// Grow adds about so many entries to a file of each process of a directory
// that Generate wrote: series that were not there before, the same in all
// processes. Each round adds others.
func Grow(dir string, plan Plan, entries, round int) error {
	for process := range plan.Processes {
		g := &generator{random: rand.New(rand.NewPCG(3, uint64(process)))}
		g.image = clientmmap.AppendHeader(nil, 0)
		sets := (entries + bucketCount + 1) / (bucketCount + 2)
		for i := range sets {
			g.histogram(1_000_000*round + i)
		}
		if err := g.append(path(dir, "histogram", process)); err != nil {
			return err
		}
	}
	return nil
}

// append adds the image's entries to a file: all of them, then the header.
func (g *generator) append(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	header := make([]byte, frame.HeaderSize)
	if _, err := file.ReadAt(header, 0); err != nil {
		return err
	}
	used := frame.Used(header)
	entries := g.image[frame.HeaderSize:]
	if _, err := file.WriteAt(entries, used); err != nil {
		return err
	}
	_, err = file.WriteAt(clientmmap.AppendHeader(nil, used+int64(len(entries))), 0)
	return err
}

// write writes the image to a file of the size that the gem would give it.
func (g *generator) write(path string) error {
	size := 4096
	for size < len(g.image) {
		size *= 2
	}
	if err := os.WriteFile(path, g.image, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, int64(size))
}

func (g *generator) counter(set int) {
	family := fmt.Sprintf("gitlab_transaction_event_%d_total", set%40)
	g.entry(family, family, labels(set), float64(g.random.IntN(100_000)))
}

func (g *generator) gauge(family string) func(set int) {
	return func(set int) {
		g.entry(family, family, labels(set), g.random.Float64()*100)
	}
}

func (g *generator) histogram(set int) {
	family := fmt.Sprintf("gitlab_rails_operation_%d_duration_seconds", set%25)
	own := labels(set)
	count := 0.0
	g.entry(family, family+"_sum", own, g.random.Float64()*1000)
	g.entry(family, family+"_count", own, 1000)
	for _, le := range bounds {
		count += float64(g.random.IntN(100))
		g.entry(family, family+"_bucket", append(own, [2]string{"le", le}), count)
	}
}

// labels returns what a request metric is labelled with, sorted by name but
// for le, which the caller adds: it sorts behind all of them.
func labels(set int) [][2]string {
	endpoint := fmt.Sprintf("Projects::MergeRequests::Resource%04dController", set)
	return [][2]string{
		{"action", fmt.Sprintf("action_%d", set%7)},
		{"controller", endpoint},
		{"endpoint_id", endpoint + "#action"},
		{"feature_category", fmt.Sprintf("code_review_workflow_%d", set%30)},
	}
}

func (g *generator) entry(family, sample string, labels [][2]string, value float64) {
	names, values := make([]string, len(labels)), make([]any, len(labels))
	for i, label := range labels {
		names[i], values[i] = label[0], label[1]
	}
	g.key, _ = clientmmap.AppendKey(g.key[:0], family, sample, names, values) // strings cannot fail
	g.image = clientmmap.AppendEntry(g.image, g.key, value)
}
