package probe

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"gitlab-metrics-exporter/internal/collect"
)

// A stage is a collection that a test steps through.
type stage struct {
	begun chan struct{} // gets one for each that begins
	end   chan error    // lets one end
}

func newStage() *stage { return &stage{make(chan struct{}), make(chan error)} }

func (s *stage) collect(ctx context.Context) (*collect.Snapshot, error) {
	s.begun <- struct{}{}
	select {
	case err := <-s.end:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// waiting waits until n scrapes are in the batch that is next.
func waiting(t *testing.T, s *share, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		s.mu.Lock()
		now := 0
		if s.next != nil {
			now = s.next.waiting
		}
		s.mu.Unlock()
		if now == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are waiting, want %d", now, n)
		}
	}
}

// TestShare: those who come while a collection runs share the next one.
func TestShare(t *testing.T) {
	t.Parallel()
	stage := newStage()
	s := newShare(stage.collect)
	first, second := errors.New("first"), errors.New("second")
	results := make(chan error, 10)
	ask := func(ctx context.Context) {
		go func() {
			_, _, err := s.Collect(ctx)
			results <- err
		}()
	}
	want := func(n int, want error) {
		t.Helper()
		for range n {
			if err := <-results; !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
	}
	for range 3 {
		ask(t.Context())
		<-stage.begun
		for range 5 {
			ask(t.Context())
		}
		waiting(t, s, 5)
		ctx, leave := context.WithCancel(t.Context())
		ask(ctx)
		waiting(t, s, 6)
		leave()
		want(1, context.Canceled)
		stage.end <- first
		want(1, first)
		<-stage.begun
		stage.end <- second
		want(5, second)
	}
}

// TestShareAbandoned: a collection that nobody waits for is given up, and who
// comes then gets one of its own.
func TestShareAbandoned(t *testing.T) {
	t.Parallel()
	stage := newStage()
	s := newShare(stage.collect)
	ask := func() (leave context.CancelFunc, result chan error) {
		ctx, leave := context.WithCancel(t.Context())
		result = make(chan error, 1)
		go func() {
			_, _, err := s.Collect(ctx)
			result <- err
		}()
		return leave, result
	}
	leave, running := ask()
	<-stage.begun
	for range 3 { // none of these begins
		leave, never := ask()
		waiting(t, s, 1)
		leave()
		if err := <-never; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	leave()
	if err := <-running; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, last := ask()
	<-stage.begun
	stage.end <- nil
	if err := <-last; err != nil {
		t.Error(err)
	}
}

// TestShareOfSnapshots: a snapshot is whole until the last who uses it has
// released it; then it is used again.
func TestShareOfSnapshots(t *testing.T) {
	t.Parallel()
	engine := collect.New(t.TempDir())
	s := newShare(engine.Collect)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			for round := range 50 {
				ctx, cancel := t.Context(), func() {}
				if (i+round)%7 == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(round)*10*time.Microsecond)
				}
				snapshot, release, err := s.Collect(ctx)
				if err == nil {
					runtime.Gosched()
					if snapshot.Layout == nil {
						t.Error("the snapshot was released by another")
					}
					release()
				}
				cancel()
			}
		})
	}
	wait.Wait()
}
