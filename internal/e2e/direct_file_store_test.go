package e2e

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
)

// TestDirectFileStore compares what the client of a DirectFileStore would make of a
// directory with what we make of it. The client is not to be had as a package, so
// somebody else's program, which knows the format from its description alone,
// writes the files and adds them up.
func TestDirectFileStore(t *testing.T) {
	for _, layout := range []string{"new", "old"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := storeFamilies(t, "--layout", layout, dir)
			got := families(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-client +we:\n%s", excerpt(diff))
			}
			if len(want) < 20 {
				t.Errorf("there are only %d families", len(want))
			}
		})
	}
}

// TestDirectFileStoreWithoutMetadata: what the keys say is as it should be, and
// nothing is added up that may not be.
func TestDirectFileStoreWithoutMetadata(t *testing.T) {
	dir := t.TempDir()
	want := storeFamilies(t, "--no-metadata", dir)
	// Names and labels that are made to mislead.
	for _, name := range []string{"highest_total", "requests:rate___5m", "by_process_total"} {
		delete(want, name)
	}
	s, err := collect.New(dir).Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.WithoutMetadata(); n < len(want) {
		t.Errorf("%d families are said to be without metadata, of %d", n, len(want))
	}
	got := families(t, collect.Config{Dirs: []collect.Directory{{Path: dir}}})
	inferred := 0
	for _, family := range s.Layout.Families {
		w, ok := want[family.Name]
		if !ok || family.Type == discover.Untyped {
			continue
		}
		inferred++
		if family.Type.String() != w.Type {
			t.Errorf("%s is a %v, want %s", family.Name, family.Type, w.Type)
		}
		// Buckets that were declared, but that nothing fell into, only metadata know.
		for sample, value := range got[family.Name].Samples {
			if w.Samples[sample] != value {
				t.Errorf("%s is %s, want %s", sample, value, w.Samples[sample])
			}
		}
	}
	if inferred < 8 {
		t.Errorf("only %d families have a type", inferred)
	}
	for _, family := range s.Layout.Families {
		for _, id := range family.Series {
			labels := map[string]string{}
			for name, value := range s.Layout.Labels(id) {
				labels[string(name)] = string(value)
			}
			if family.Type == discover.Untyped && labels["pid"] == "" {
				t.Errorf("%s %v is not kept apart by process", family.Name, labels)
			}
		}
	}
}

func storeFamilies(t *testing.T, args ...string) map[string]pythonFamily {
	t.Helper()
	var said struct {
		Families []struct {
			Family, Type, Help string
			Samples            [][3]json.RawMessage
		}
	}
	text := runPython(t, "direct_file_store/write.py", args...)
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		t.Fatalf("%v:\n%s", err, excerpt(text))
	}
	all := map[string]pythonFamily{}
	for _, f := range said.Families {
		maps.Copy(all, familiesSaid(t, []saidFamily{{f.Family, f.Type, f.Help, f.Samples}}))
	}
	return all
}
