package exposition_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
)

// TestCreated: an engine that keeps births says since when everything that
// counts has been counted, in the formats that have a place for it, and changes
// nothing else.
func TestCreated(t *testing.T) {
	requireBirths(t)
	rapid.Check(t, func(t *rapid.T) {
		dir := directory(t, drawFiles(t))
		without, with := collected(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}}), collected(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}, Births: true})
		if diff := cmp.Diff(pageIn(t, without, exposition.Text), pageIn(t, with, exposition.Text)); diff != "" {
			t.Fatalf("text: -without +with:\n%s", diff)
		}
		page := pageIn(t, with, exposition.Protobuf)
		families, err := decode(page)
		if err != nil {
			t.Fatal(err)
		}
		if err := reencodes(families, page); err != nil {
			t.Fatal(err)
		}
		if diff := openMetricsDiffers(families, string(pageIn(t, with, exposition.OpenMetrics))); diff != "" {
			t.Fatalf("OpenMetrics is not what expfmt makes of it: -expfmt +page:\n%s", diff)
		}
		for _, family := range families {
			for _, m := range family.Metric {
				created := takeCreated(m)
				counts := m.Counter != nil || m.Histogram != nil || m.Summary != nil
				if created != nil && !counts || created == nil && counts && len(without.Layout.Conflicts) == 0 {
					t.Fatalf("%s %v was created at %v", family.GetName(), m, created)
				}
				if created != nil && time.Since(created.AsTime()).Abs() > time.Hour {
					t.Fatalf("%s %v was created at %v", family.GetName(), m, created.AsTime())
				}
			}
		}
		if err := reencodes(families, pageIn(t, without, exposition.Protobuf)); err != nil {
			t.Fatalf("protobuf, but for the times: %v", err)
		}
	})
}

// TestCreatedIsOldest: a counter began when the oldest of its files did.
func TestCreatedIsOldest(t *testing.T) {
	s := aged(t, map[string][]entry{"counter_1-0.db": {{`["both_total","both_total",[],[]]`, 1}, {`["old_total","old_total",[],[]]`, 1}}},
		map[string][]entry{"counter_2-0.db": {{`["both_total","both_total",[],[]]`, 2}, {`["young_total","young_total",[],[]]`, 2}}})
	families, err := decode(pageIn(t, s, exposition.Protobuf))
	if err != nil {
		t.Fatal(err)
	}
	created := takeFirst(families)
	if !created["both_total"].Equal(created["old_total"]) || !created["young_total"].After(created["old_total"]) {
		t.Errorf("created: %v", created)
	}
}

// TestCreatedOfTypes: times of creation are what expfmt writes, of each type, with labels;
// that of a histogram is when the oldest file with a part of it began.
func TestCreatedOfTypes(t *testing.T) {
	s := aged(t, map[string][]entry{
		"counter_1-0.db":   {{`["m_total","m_total",["a"],["x"]]`, 1}, {`["m_total","m_total",["a"],["y"]]`, 1}, {`["old_total","old_total",[],[]]`, 1}},
		"histogram_1-0.db": {{`["h","h_bucket",["a","le"],["x","+Inf"]]`, 1}, {`["h","h_sum",["a"],["x"]]`, 1}, {`["h","h_count",["a"],["x"]]`, 1}},
		"summary_1-0.db":   {{`["s","s_sum",["a"],["x"]]`, 1}, {`["s","s_count",["a"],["x"]]`, 1}},
	}, map[string][]entry{
		"counter_2-0.db":   {{`["young_total","young_total",[],[]]`, 1}},
		"histogram_2-0.db": {{`["h","h_bucket",["a","le"],["x","0.5"]]`, 1}},
	})
	families, err := decode(pageIn(t, s, exposition.Protobuf))
	if err != nil {
		t.Fatal(err)
	}
	page := string(pageIn(t, s, exposition.OpenMetrics))
	if diff := openMetricsDiffers(families, page); diff != "" {
		t.Errorf("-expfmt +page:\n%s", diff)
	}
	if n := strings.Count(page, "_created{"); n != 4 {
		t.Errorf("%d times with labels, want 4:\n%s", n, page)
	}
	created := takeFirst(families)
	if !created["young_total"].After(created["h"]) || created["h"].Sub(created["old_total"]).Abs() >= created["young_total"].Sub(created["h"]) {
		t.Errorf("created: %v", created)
	}
}

// aged collects files of which some are younger than the others, with births.
func aged(t *testing.T, old, young map[string][]entry) *collect.Snapshot {
	t.Helper()
	requireBirths(t)
	dir := directory(t, old)
	time.Sleep(20 * time.Millisecond) // births have the resolution of the kernel's clock
	from := directory(t, young)
	for name := range young {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return collected(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}, Births: true})
}

// takeFirst is takeCreated of the first metric of each family, by name.
func takeFirst(families []*dto.MetricFamily) map[string]time.Time {
	created := map[string]time.Time{}
	for _, family := range families {
		created[family.GetName()] = takeCreated(family.Metric[0]).AsTime()
	}
	return created
}

// requireBirths skips the test where the file system keeps no births.
func requireBirths(t *testing.T) {
	t.Helper()
	s := collected(t, collect.Config{
		Dirs: []collect.Directory{{Path: directory(t, map[string][]entry{"counter_1-0.db": {{`["a_total","a_total",[],[]]`, 1}}})}}, Births: true,
	})
	if _, told := s.Born(s.Layout.Families[0].Series...); !told {
		t.Skip("the file system does not tell when files were born")
	}
}

func collected(t tb, c collect.Config) *collect.Snapshot {
	t.Helper()
	s, err := c.Engine().Collect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// takeCreated removes a metric's time of creation, and returns it.
func takeCreated(m *dto.Metric) (at *timestamppb.Timestamp) {
	switch {
	case m.Counter != nil:
		at, m.Counter.CreatedTimestamp = m.Counter.CreatedTimestamp, nil
	case m.Histogram != nil:
		at, m.Histogram.CreatedTimestamp = m.Histogram.CreatedTimestamp, nil
	case m.Summary != nil:
		at, m.Summary.CreatedTimestamp = m.Summary.CreatedTimestamp, nil
	}
	return at
}
