package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "gitlab-metrics-exporter/internal/"

// effects are what packages may not import that turn bytes into other bytes and do
// nothing else: it would let them read, wait or log. Nobody waits for sync/atomic,
// which is allowed.
var effects = []string{"os", "net", "time", "log", "log/slog", "context", "sync"}

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

// TestImports: the program is as the table in docs/ARCHITECTURE.md says, on every
// system that it is for.
func TestImports(t *testing.T) {
	rows := table(t)
	for _, system := range []string{"linux", "darwin"} {
		t.Run(system, func(t *testing.T) {
			seen := map[string]bool{}
			for _, p := range list(t, system) {
				name := strings.TrimPrefix(p.ImportPath, module)
				row, ok := rows[name]
				if !ok && len(p.Imports) == 0 {
					continue // a package of tests
				}
				if !ok {
					t.Errorf("%s is not in the table", name)
				}
				seen[name] = true
				stage, _, _ := strings.Cut(name, "/")
				for _, imported := range p.Imports {
					if other, ours := strings.CutPrefix(imported, module); ours && rows[other].at >= row.at {
						t.Errorf("%s imports %s, which is not above it", name, other)
					}
					checkReserved(t, name, stage, imported)
					if row.pure && imported != "sync/atomic" && isBelow(imported, effects...) {
						t.Errorf("%s imports %s, but is to be pure", name, imported)
					}
				}
			}
			for name := range rows {
				if !seen[name] {
					t.Errorf("%s is in the table, but nowhere else", name)
				}
			}
		})
	}
}

// A place is where a package stands in the table, and what is said of it.
type place struct {
	at   int
	pure bool
}

// table returns the rows of all packages. Several can stand in one, the others by
// their last name.
func table(t *testing.T) map[string]place {
	t.Helper()
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]place{}
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `internal/") {
			continue
		}
		parent := ""
		for name := range strings.SplitSeq(cells[1], ",") {
			name = strings.TrimPrefix(strings.Trim(name, " `"), "internal/")
			if parent == "" {
				parent = path.Dir(name)
			} else {
				name = path.Join(parent, name)
			}
			rows[name] = place{i, strings.TrimSpace(cells[4]) == "yes"}
		}
	}
	return rows
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
