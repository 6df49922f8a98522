package cleanup

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if parent := os.Getenv("CLEANUP_PARENT"); parent != "" {
		fill(parent)
	}
	os.Exit(m.Run())
}

// fill fills a directory in parent, says where it is, and goes on until something fails.
func fill(parent string) {
	dir, remove, err := Dir(parent)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600)
		if i == 100 {
			fmt.Println(dir)
		}
	}
	remove()
	os.Exit(2) // nobody should come here before the signal's cleaning has ended
}

func TestInterrupted(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "CLEANUP_PARENT="+t.TempDir())
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		if code := child.ProcessState.ExitCode(); code != 1 {
			t.Errorf("%v: ended with %d", signal, code)
		}
		if _, err := os.Stat(strings.TrimSpace(line)); !os.IsNotExist(err) {
			t.Errorf("%v: the directory is there: %v", signal, err)
		}
	}
}

func TestDir(t *testing.T) {
	dir, remove, err := Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	remove()
	if err := os.Mkdir(dir, 0o700); err != nil { // so it was gone; now it is another's
		t.Fatal(err)
	}
	remove()
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}
