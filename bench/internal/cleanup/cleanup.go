// Package cleanup undoes what benchmarks do to the machine, also if they are
// interrupted: some of their directories are gigabytes large.
package cleanup

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// An undo is one thing to do at the end.
type undo struct{ run func() }

var (
	lock  sync.Mutex
	undos []*undo // not done yet
	start = sync.OnceFunc(func() {
		signal.Ignore(syscall.SIGPIPE) // of who reads what is printed; it would end the program at once
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		go func() {
			<-signals
			lock.Lock() // for good: what fails now because of this waits for the end
			for _, u := range slices.Backward(undos) {
				u.run()
			}
			os.Exit(1)
		}()
	})
)

// Later returns a function that runs undo, once. If the program gets a signal to end
// before, undo runs then, after those of later calls, and the program ends with 1.
func Later(run func()) (now func()) {
	start()
	lock.Lock()
	defer lock.Unlock()
	u := &undo{run}
	undos = append(undos, u)
	return func() {
		lock.Lock()
		defer lock.Unlock()
		if i := slices.Index(undos, u); i >= 0 {
			undos = slices.Delete(undos, i, i+1)
			run()
		}
	}
}

// Dir makes a directory in parent, or where temporary files are if that is "", and returns
// a function that removes it, see [Later].
func Dir(parent string) (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp(parent, "gme-bench-*"); err != nil {
		return "", nil, err
	}
	return dir, Later(func() {
		gone := dir + "-gone"
		if os.Rename(dir, gone) == nil { // so that nobody fills it while it is removed
			os.RemoveAll(gone)
		}
	}), nil
}
