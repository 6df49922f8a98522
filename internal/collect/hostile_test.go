package collect_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/format/directfilestore"
	"gitlab-metrics-exporter/internal/format/frame"
)

// secret is the content of a file that is none of the application's business.
const secret = "root:hunter2:correct horse battery staple\nuser:swordfish\n"

// TestLinkOutOfTheDirectory: whoever may put links into the directory can make the
// server open any file that it may read, but of what is no metric file learns no more
// than its first four bytes and four others, as numbers.
func TestLinkOutOfTheDirectory(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "shadow")
	rewrite(t, elsewhere, []byte(strings.Repeat(secret, 100)))
	for _, target := range []string{elsewhere, "/proc/self/environ", "/proc/self/status", "/proc/self/maps", "/proc/self/cmdline", "/proc/self/mem", "/sys/kernel/mm/transparent_hugepage/enabled"} {
		for _, name := range []string{"counter_x-0.db", "gauge_all_x.db", "metric_x___1.bin"} {
			dir := inDir(t, map[string][]byte{one: healthy})
			must(t, os.Symlink(target, filepath.Join(dir, name)))
			got := lookBoth(t, collect.New(dir))
			wantPage(t, got, page("# healthy counter", "healthy 42"))
			said := fmt.Sprint(got.file(t, name).Damage)
			for word := range strings.FieldsFuncSeq(secret, func(r rune) bool { return strings.ContainsRune(" :\n", r) }) {
				if strings.Contains(said, word) {
					t.Errorf("%s as %s: %s", target, name, said)
				}
			}
		}
	}
}

// TestLinkOfMetadata: the same of what is said about the metadata's file.
func TestLinkOfMetadata(t *testing.T) {
	for what, put := range map[string]func(t *testing.T, path string){
		"text": func(t *testing.T, path string) {
			rewrite(t, path+".x", []byte(secret))
			must(t, os.Symlink(path+".x", path))
		},
		"endless":   func(t *testing.T, path string) { must(t, os.Symlink("/dev/zero", path)) },
		"directory": func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
		"too large": func(t *testing.T, path string) {
			rewrite(t, path, nil)
			must(t, os.Truncate(path, 1<<40))
		},
		"pipe":   func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o600)) },
		"loop":   func(t *testing.T, path string) { must(t, os.Symlink(path, path)) },
		"nested": func(t *testing.T, path string) { rewrite(t, path, []byte(strings.Repeat("[", 1<<20))) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := inDir(t, map[string][]byte{one: healthy, "metric_x___1.bin": nil})
			put(t, filepath.Join(dir, directfilestore.MetadataName))
			within(t, patience, "reading the directory", func() {
				e := collect.New(dir)
				var s *collect.Snapshot
				if got := allocated(func() { s = collected(t, e) }); got > 160<<20 {
					t.Errorf("%d MiB allocated", got>>20)
				}
				defer s.Release()
				err := s.Dirs[0].MetadataErr
				if err == nil || strings.Contains(err.Error(), "root") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("said of the metadata: %v", err)
				}
			})
		})
	}
}

func collected(t *testing.T, e *collect.Engine) *collect.Snapshot {
	t.Helper()
	s, err := e.Collect(context.Background())
	must(t, err)
	return s
}

// TestHugeHoles: keys of 16 MiB each that are nothing but holes cost no memory that
// stays. They are a disk block each to whoever makes them.
func TestHugeHoles(t *testing.T) {
	const keys, length = 3, 16<<20 - 8
	path := filepath.Join(t.TempDir(), one)
	f, err := os.Create(path)
	must(t, err)
	at := int64(frame.HeaderSize)
	for i := range uint32(keys) {
		_, err = f.WriteAt(append(binary.LittleEndian.AppendUint32(nil, length-8*i), `["m","m",["l"],["`...), at)
		must(t, err)
		at = frame.ValueOffset(at, length-8*i, 8) + 8
	}
	must(t, f.Truncate(at))
	_, err = f.WriteAt(binary.LittleEndian.AppendUint32(nil, uint32(at)), 0)
	must(t, err)
	must(t, f.Close())
	e := collect.New(filepath.Dir(path))
	if file := look(t, e).file(t, one); file.BadKeys != keys {
		t.Errorf("%d bad keys, want %d; damage: %v", file.BadKeys, keys, file.Damage)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 32<<20 {
		t.Errorf("%d MiB are kept", m.HeapAlloc>>20)
	}
	runtime.KeepAlive(e)
}

// TestDirectoryIsAPipe: nobody waits for a writer.
func TestDirectoryIsAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(path, 0o600))
	within(t, patience, "listing", func() {
		if _, err := collect.New(path).Collect(t.Context()); err == nil {
			t.Error("a pipe is a directory")
		}
	})
}
