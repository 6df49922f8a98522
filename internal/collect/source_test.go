package collect_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gitlab-metrics-exporter/internal/collect"
)

// Two directories are read as one: the same series is merged by its rule, and
// labels keep series apart.
func TestDirectories(t *testing.T) {
	web := inDir(t, map[string][]byte{
		"counter_1-0.db": image(sample(1, "c"), sample(2, "own", "app", "x")), "gauge_max_1-0.db": image(sample(5, "g")),
		"gauge_all_1-0.db": image(sample(1, "p")),
	})
	jobs := inDir(t, map[string][]byte{
		"counter_1-0.db": image(sample(10, "c"), sample(20, "own", "app", "x")), "gauge_max_2-0.db": image(sample(3, "g")),
		"gauge_all_1-0.db": image(sample(2, "p")),
	})
	label := func(value string) []collect.Label { return []collect.Label{{Name: "app", Value: value}} }
	tests := []struct {
		name      string
		web, jobs []collect.Label
		want      string
	}{
		{"merged", nil, nil, page("# c counter", "c 11", "# g gauge", "g 5", "# own counter", `own{app="x"} 22`, "# p gauge", `p{pid="1"} 2`)},
		{"apart", label("web"), label("jo\"bs"), page(
			"# c counter", `c{app="jo\"bs"} 10`, `c{app="web"} 1`,
			"# g gauge", `g{app="jo\"bs"} 3`, `g{app="web"} 5`,
			"# own counter", `own{app="jo\"bs",exported_app="x"} 20`, `own{app="web",exported_app="x"} 2`,
			"# p gauge", `p{app="jo\"bs",pid="1"} 2`, `p{app="web",pid="1"} 1`)},
		{"one labeled", nil, label("x"), page(
			"# c counter", "c 1", `c{app="x"} 10`,
			"# g gauge", "g 5", `g{app="x"} 3`,
			"# own counter", `own{app="x"} 2`, `own{app="x",exported_app="x"} 20`,
			"# p gauge", `p{pid="1"} 1`, `p{app="x",pid="1"} 2`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := collect.Config{Dirs: []collect.Directory{{Path: web, Labels: tt.web}, {Path: jobs, Labels: tt.jobs}}}.Engine()
			wantPage(t, lookBoth(t, e), tt.want)
			wantPage(t, lookBoth(t, e), tt.want)
		})
	}
}

// A directory that cannot be read, or comes and goes, costs nothing but itself.
func TestDirectoryGoes(t *testing.T) {
	stays := inDir(t, map[string][]byte{one: image(sample(1, "c"))})
	goes := inDir(t, map[string][]byte{one: image(sample(2, "c"), sample(3, "d"))})
	e := collect.Config{Dirs: []collect.Directory{{Path: stays}, {Path: goes}}}.Engine()
	both, alone := page("# c counter", "c 3", "# d counter", "d 3"), page("# c counter", "c 1")
	wantPage(t, lookBoth(t, e), both)
	must(t, os.Rename(goes, goes+".away"))
	wantPage(t, lookBoth(t, e), alone)
	s, err := e.Collect(t.Context())
	must(t, err)
	if s.Dirs[0].Err != nil || !errors.Is(s.Dirs[1].Err, fs.ErrNotExist) || s.Dirs[1].Path != goes {
		t.Errorf("directories: %+v", s.Dirs)
	}
	if got := s.Path(s.Files[0]); got != filepath.Join(stays, one) {
		t.Errorf("path: %s", got)
	}
	s.Release()
	must(t, os.Rename(goes+".away", goes))
	wantPage(t, lookBoth(t, e), both)

	must(t, os.Rename(goes, goes+".away"))
	must(t, os.Rename(stays, stays+".away"))
	unreadable := (*collect.UnreadableError)(nil)
	if _, err := e.Collect(t.Context()); !errors.As(err, &unreadable) || len(unreadable.Errs) != 2 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing can be read: %v", err)
	}
}

// All files of a collection are of the directory that was listed, even if its path leads
// to another one meanwhile; and which directory that was is known, so that none counts twice.
func TestDirectorySwapped(t *testing.T) {
	const files = 50
	top := t.TempDir()
	link := filepath.Join(top, "link")
	move := func(to string) {
		fresh := link + ".new"
		if err := errors.Join(os.Symlink(to, fresh), os.Rename(fresh, link)); err != nil {
			t.Error(err)
		}
	}
	wants := map[string]bool{}
	for dir, value := range map[string]float64{"a": 1, "b": 1000} {
		must(t, os.Mkdir(filepath.Join(top, dir), 0o700))
		for i := range files {
			rewrite(t, filepath.Join(top, dir, fmt.Sprintf("counter_%d-0.db", i)), image(sample(value, "c")))
		}
	}
	for _, want := range []int{files, 1000*files + files} { // the link leads to a, or to b
		wants[page("# c counter", fmt.Sprint("c ", want))] = true
	}
	move("a")
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		for range 1000 {
			move("b")
			move("a")
		}
	}()
	defer func() { <-moved }()
	e := collect.Config{Dirs: []collect.Directory{{Path: link}, {Path: filepath.Join(top, "a")}}}.Engine()
	for moving := true; moving; {
		select {
		case <-moved:
			moving = false
		default:
		}
		if got := look(t, e).Page; !wants[got] {
			t.Fatalf("files of a, with those of b or without, are another page:\n%s", got)
		}
	}
}

// A directory that is there twice, by another name, counts once.
func TestDirectoryTwice(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: image(sample(1, "c"))})
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	e := collect.Config{Dirs: []collect.Directory{{Path: dir}, {Path: link}}}.Engine()
	wantPage(t, lookBoth(t, e), page("# c counter", "c 1"))
}

// A directory may be moved to where another one is read.
func TestDirectoryMoved(t *testing.T) {
	first := inDir(t, map[string][]byte{one: image(sample(1, "c"))})
	second := filepath.Join(t.TempDir(), "second")
	e := collect.Config{Dirs: []collect.Directory{{Path: first}, {Path: second}}}.Engine()
	wantPage(t, lookBoth(t, e), page("# c counter", "c 1"))
	must(t, os.Rename(first, second))
	wantPage(t, lookBoth(t, e), page("# c counter", "c 1"))
}

// A label of a directory may have any value.
func TestNewlineInLabel(t *testing.T) {
	dir := inDir(t, map[string][]byte{one: image(sample(1, "c"))})
	e := collect.Config{Dirs: []collect.Directory{{Path: dir, Labels: []collect.Label{{Name: "app", Value: "a\nb"}}}}}.Engine()
	wantPage(t, lookBoth(t, e), page("# c counter", `c{app="a\nb"} 1`))
}
