package cli

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestPollEnd: where the system does not tell, the end of a process is still seen.
func TestPollEnd(t *testing.T) {
	process := exec.Command("sleep", "60")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	await, err := pollEnd(process.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if await(soon) {
		t.Error("a process that is there has ended")
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	if !await(t.Context()) {
		t.Error("the end of the test came before that of the process")
	}
	if _, err := pollEnd(process.Process.Pid); err == nil {
		t.Error("a process that is gone is waited for")
	}
	if await, err = pollEnd(os.Getppid()); err != nil {
		t.Fatal(err)
	}
	soon, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if await(soon) {
		t.Error("our parent has ended, it is said")
	}
}
