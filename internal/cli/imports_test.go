package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "gitlab-metrics-exporter/internal/"

// stages are the packages in the direction of the data. Each may import those
// before it, and none behind it; see docs/ARCHITECTURE.md.
var stages = []string{"discover", "format", "series", "collect", "cardinality", "exposition", "probe", "web", "cli"}

// pure are the stages that turn bytes into other bytes and do nothing else:
// what they may not import would let them read, wait or log. Nobody waits for
// sync/atomic, which is allowed.
var (
	pure    = []string{"format", "series", "cardinality"}
	effects = []string{"os", "net", "time", "log", "log/slog", "context", "sync"}
)

// reserved says who alone may import a package, or anything below it.
var reserved = map[string][]string{
	"unsafe":                                 {},
	"net/http":                               {"web"},
	"github.com/prometheus/exporter-toolkit": {"web"},
	"github.com/coreos/go-systemd":           {"web"},
	"golang.org/x/sys":                       {"collect", "cli"},
	"github.com/alecthomas/kingpin":          {"cli"},
	"os/signal":                              {"cli"},
	"github.com/prometheus/client_golang":    {"probe"},
	"github.com/prometheus/client_model":     {"probe", "exposition"},
	"gitlab-metrics-exporter/internal/fleet": {"cli"},
	"gitlab-metrics-exporter/internal/cli":   {},
	"gitlab-metrics-exporter/internal/e2e":   {},
	"gitlab-metrics-exporter/internal/web":   {"web", "cli"},
	"gitlab-metrics-exporter/internal/probe": {"web", "cli"},
}

// TestImports: the program is as it is drawn, on every system that it is for.
func TestImports(t *testing.T) {
	for _, system := range []string{"linux", "darwin"} {
		t.Run(system, func(t *testing.T) {
			seen := map[string]bool{}
			for _, p := range list(t, system) {
				name := strings.TrimPrefix(p.ImportPath, module)
				stage, _, _ := strings.Cut(name, "/")
				seen[stage] = true
				for _, imported := range p.Imports {
					checkDirection(t, name, stage, imported)
					checkReserved(t, name, stage, imported)
					if slices.Contains(pure, stage) && imported != "sync/atomic" && isBelow(imported, effects...) {
						t.Errorf("%s imports %s, but is to be pure", name, imported)
					}
				}
			}
			for _, stage := range stages {
				if !seen[stage] {
					t.Errorf("there is no package %s: this test is out of date", stage)
				}
			}
		})
	}
}

func checkDirection(t *testing.T, name, stage, imported string) {
	t.Helper()
	rest, ours := strings.CutPrefix(imported, module)
	if !ours {
		return
	}
	other, _, _ := strings.Cut(rest, "/")
	from, to := slices.Index(stages, stage), slices.Index(stages, other)
	// What is no stage, such as fleet, stands beside them; see reserved.
	if from >= 0 && to > from {
		t.Errorf("%s imports %s, which comes after it", name, rest)
	}
	if from < 0 && to > slices.Index(stages, "format") {
		t.Errorf("%s imports %s, but is no part of the program's stages", name, rest)
	}
}

func checkReserved(t *testing.T, name, stage, imported string) {
	t.Helper()
	for path, allowed := range reserved {
		if isBelow(imported, path) && !slices.Contains(allowed, stage) {
			t.Errorf("%s imports %s, which is for %q alone", name, imported, allowed)
		}
	}
}

// isBelow reports whether a package is one of paths, or below it.
func isBelow(imported string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		return imported == path || strings.HasPrefix(imported, path+"/")
	})
}

// A goPackage is what go list says of a package; tests are not part of it.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T, system string) (packages []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	// As on a machine that builds for others.
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = new(strings.Builder)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, cmd.Stderr)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
