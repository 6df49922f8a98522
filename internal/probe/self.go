package probe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versions "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"

	"gitlab-metrics-exporter/internal/series"
)

// newSelf returns the probe for facts about this process. Its names start with
// our prefix, because the application may have a process_* of its own.
func newSelf() func(*scrape) (part, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versions.NewCollector("gme"))
	prefixed := prometheus.WrapRegistererWithPrefix(series.Prefix, registry)
	prefixed.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return func(*scrape) (part, error) {
		families, err := registry.Gather()
		return part{families: families}, err
	}
}

// A sample is one value of a family of our own, with its label names and
// values in turn.
type sample struct {
	value  float64
	labels []string
}

// gauge makes a family of our own.
func gauge(name, help string, samples ...sample) *dto.MetricFamily {
	family := &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}
	for _, s := range samples {
		metric := &dto.Metric{Gauge: &dto.Gauge{Value: &s.value}}
		for i := 0; i < len(s.labels); i += 2 {
			metric.Label = append(metric.Label, &dto.LabelPair{Name: &s.labels[i], Value: &s.labels[i+1]})
		}
		family.Metric = append(family.Metric, metric)
	}
	return family
}
