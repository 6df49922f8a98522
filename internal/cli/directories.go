package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"gitlab-metrics-exporter/internal/collect"
)

// Variables that name directories. Those of the client libraries name one, as it
// is; ours may name several, one a line, with labels.
const (
	dirVariable    = "GME_MMAP_METRICS_DIR"
	rubyVariable   = "prometheus_multiproc_dir"
	pythonVariable = "PROMETHEUS_MULTIPROC_DIR"
)

// directories are those that are named by a setting, else those of the variables.
func directories(named []string, setting string) ([]collect.Directory, error) {
	if len(named) == 0 {
		named, setting = strings.Split(os.Getenv(dirVariable), "\n"), dirVariable
	}
	var dirs []collect.Directory
	for _, text := range named {
		if strings.TrimSpace(text) == "" {
			continue
		}
		dir, err := parseDirectory(text)
		if err != nil {
			return nil, misuse("%s is %q: %w", setting, text, err)
		}
		for _, other := range dirs {
			if filepath.Clean(other.Path) == filepath.Clean(dir.Path) {
				return nil, misuse("%s is %q: is named twice", setting, text)
			}
		}
		dirs = append(dirs, dir)
	}
	for _, name := range []string{rubyVariable, pythonVariable} {
		if path := os.Getenv(name); path != "" && len(dirs) == 0 {
			dirs = []collect.Directory{{Path: path}}
		}
	}
	return dirs, nil
}

// parseDirectory parses a path with or without labels behind it:
//
//	/run/app/web{app="web",tier="front"}
func parseDirectory(text string) (collect.Directory, error) {
	path, rest, labeled := strings.Cut(text, "{")
	if !labeled || !strings.HasSuffix(rest, "}") {
		return collect.Directory{Path: text}, nil
	}
	labels, err := parseLabels(strings.TrimSuffix(rest, "}"))
	if err == nil && path == "" {
		err = errors.New("there is no path before the labels")
	}
	return collect.Directory{Path: path, Labels: labels}, err
}

// parseLabels parses a="x",b="y"; a comma may stand at the end.
func parseLabels(text string) (labels []collect.Label, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		quoted, err := strconv.QuotedPrefix(strings.TrimSpace(rest))
		if !ok || err != nil || quoted[0] != '"' {
			return nil, fmt.Errorf(`labels must be written NAME="VALUE", with commas between them`)
		}
		value, _ := strconv.Unquote(quoted)
		label := collect.Label{Name: strings.TrimSpace(name), Value: value}
		if err := checkLabel(label, labels); err != nil {
			return nil, err
		}
		labels = append(labels, label)
		text = strings.TrimSpace(strings.TrimSpace(rest)[len(quoted):])
		if text != "" && text[0] != ',' {
			return nil, fmt.Errorf("there is no comma between labels")
		}
		text = strings.TrimPrefix(text, ",")
	}
	return labels, nil
}

func checkLabel(l collect.Label, before []collect.Label) error {
	switch {
	case !model.LegacyValidation.IsValidLabelName(l.Name) || strings.HasPrefix(l.Name, "__"):
		return fmt.Errorf("%q is no name for a label", l.Name)
	case slices.Contains([]string{"le", "quantile", "pid"}, l.Name):
		return fmt.Errorf("a label %s has a meaning of its own", l.Name)
	case l.Value == "" || !utf8.ValidString(l.Value):
		return fmt.Errorf("label %s has no value, or one that is not UTF-8", l.Name)
	case slices.ContainsFunc(before, func(other collect.Label) bool { return other.Name == l.Name }):
		return fmt.Errorf("label %s is there twice", l.Name)
	}
	return nil
}
