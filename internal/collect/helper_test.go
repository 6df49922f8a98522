package collect_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/exposition"
	"gitlab-metrics-exporter/internal/format/clientmmap"
	"gitlab-metrics-exporter/internal/format/frame"
)

// patience is how long a test waits for something that must come soon.
const patience = 30 * time.Second

// An entry is one entry of a metric file, as a test puts it there.
type entry struct {
	key   string
	value float64
}

// end returns where an entry ends that starts at at.
func (e entry) end(at int64) int64 {
	return frame.ValueOffset(at, uint32(len(e.key)), clientmmap.Layout.Slack()) + 8
}

// key returns the key of a series; labels are names and values in turn.
func key(family, sample string, labels ...any) string {
	var names []string
	var values []any
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i].(string)), append(values, labels[i+1])
	}
	k, err := clientmmap.AppendKey(nil, family, sample, names, values)
	if err != nil {
		panic(err)
	}
	return string(k)
}

// sample is an entry of a family whose samples have its name.
func sample(value float64, name string, labels ...any) entry {
	return entry{key(name, name, labels...), value}
}

// image returns the content of a metric file with the entries.
func image(entries ...entry) []byte {
	b := clientmmap.AppendHeader(nil, 0)
	for _, e := range entries {
		b = clientmmap.AppendEntry(b, []byte(e.key), e.value)
	}
	clientmmap.AppendHeader(b[:0], int64(len(b)))
	return b
}

// withUsed returns a copy of an image whose header says used.
func withUsed(image []byte, used uint32) []byte {
	b := bytes.Clone(image)
	clientmmap.AppendHeader(b[:0], int64(used))
	return b
}

// grown returns an image with zeros behind it, up to size.
func grown(image []byte, size int) []byte {
	return append(bytes.Clone(image), make([]byte, size-len(image))...)
}

// page returns the page with the given lines. A line "# name type" stands for
// the two that introduce a family.
func page(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		if family, ok := strings.CutPrefix(line, "# "); ok {
			name, _, _ := strings.Cut(family, " ")
			fmt.Fprintf(&b, "# HELP %s Multiprocess metric\n# TYPE %s\n", name, family)
			continue
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// tb is what the tests, and rapid's, have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rewrite writes a file in place: the inode stays.
func rewrite(t tb, path string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(path, content, 0o600))
}

// replace puts a new file in the place of path, in one step.
func replace(t tb, path string, content []byte) {
	t.Helper()
	fresh := path + ".new"
	must(t, os.WriteFile(fresh, content, 0o600))
	must(t, os.Rename(fresh, path))
}

// patch overwrites a part of a file.
func patch(t tb, path string, at int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(content, at)
	must(t, err)
}

// recreate removes path and creates it anew, with an inode number that may be
// the same. It makes sure that the clock of the file system has moved on since
// the old file was made: the engine cannot know better, and says so.
func recreate(t tb, path string, content []byte) {
	t.Helper()
	before := birth(t, path)
	for deadline := time.Now().Add(patience); ; {
		must(t, os.Remove(path))
		rewrite(t, path, content)
		if birth(t, path) != before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the file system's clock stands still")
		}
	}
}

// inDir writes files, name by name, into a new directory.
func inDir(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		rewrite(t, filepath.Join(dir, name), content)
	}
	return dir
}

// A view is all that a snapshot tells.
type view struct {
	Page      string
	Others    []string // the same in other formats
	Files     []collect.File
	Series    int
	Conflicts []string
}

// text renders a snapshot.
func text(t tb, s *collect.Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	w := exposition.NewWriter(&b)
	must(t, w.Snapshot(s, s.Layout.Families))
	must(t, w.Flush())
	return b.String()
}

// inFormat renders a snapshot as a client with this Accept wants it.
func inFormat(t tb, s *collect.Snapshot, accept string) string {
	t.Helper()
	var b bytes.Buffer
	w := exposition.NewWriter(nil)
	w.Begin(&b, exposition.Negotiate(accept, true))
	must(t, w.Page(s, s.Layout.Families, nil))
	return b.String()
}

func look(t tb, e *collect.Engine) view {
	t.Helper()
	s, err := e.Collect(context.Background())
	if err != nil {
		t.Fatalf("collecting: %v", err)
	}
	defer s.Release()
	return view{
		Page:      text(t, s),
		Others:    []string{inFormat(t, s, "application/openmetrics-text;escaping=allow-utf-8"), inFormat(t, s, string(expfmt.FmtProtoDelim)+";escaping=dots")},
		Files:     append([]collect.File(nil), s.Files...),
		Series:    s.Layout.Len(),
		Conflicts: s.Layout.Conflicts,
	}
}

// lookBoth looks at a directory with e, which has seen it before, and with an
// engine that has not. Both must see the same.
func lookBoth(t tb, e *collect.Engine) view {
	t.Helper()
	got, want := look(t, e), look(t, e.Config.Engine())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("an engine that has scraped before sees something else: -new +old engine\n%s", diff)
	}
	return got
}

func wantPage(t tb, got view, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got.Page); diff != "" {
		t.Fatalf("page: -want +got\n%s", diff)
	}
}

// file returns what the view says of the file called name.
func (v view) file(t tb, name string) collect.File {
	t.Helper()
	for _, f := range v.Files {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("the snapshot does not mention %s", name)
	return collect.File{}
}

// within fails the test if do takes too long: it hangs where it must not.
func within(t testing.TB, limit time.Duration, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s took more than %v", what, limit)
	}
}

// eventually polls until ok, or fails the test.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}

func fifo(t tb, path string) {
	t.Helper()
	must(t, syscall.Mkfifo(path, 0o600))
}

// loop makes path a symbolic link to itself.
func loop(t tb, path string) {
	t.Helper()
	must(t, os.Symlink(filepath.Base(path), path))
}
