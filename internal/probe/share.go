package probe

import (
	"context"
	"sync"
	"sync/atomic"

	"gitlab-metrics-exporter/internal/collect"
)

// A share lets scrapes that would have to wait for each other share a
// collection. Who comes while one runs gets the next, with all who come until
// that begins; never one that began before it asked. It is safe for concurrent
// use. Use newShare.
type share struct {
	collect func(context.Context) (*collect.Snapshot, error)
	turn    chan struct{} // holds one token while a collection runs

	mu   sync.Mutex
	next *batch // that has not begun, or nil
}

// A batch is a collection and those who wait for it.
type batch struct {
	ctx    context.Context // ends when nobody waits any more
	cancel context.CancelFunc
	done   chan struct{} // closed when there is a result

	waiting  int // of the share's lock
	users    atomic.Int32
	snapshot *collect.Snapshot
	err      error
}

func newShare(collect func(context.Context) (*collect.Snapshot, error)) *share {
	return &share{collect: collect, turn: make(chan struct{}, 1)}
}

// Collect returns a snapshot of a collection that begins from now on. The error
// is that of ctx, or the collection's. The caller calls release, once, instead
// of releasing the snapshot.
func (s *share) Collect(ctx context.Context) (snapshot *collect.Snapshot, release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	b := s.join()
	select {
	case <-b.done:
	case <-ctx.Done():
		if s.leave(b) {
			return nil, nil, ctx.Err()
		}
	}
	return b.snapshot, b.release, b.err
}

func (s *share) join() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &batch{done: make(chan struct{})}
		s.next.ctx, s.next.cancel = context.WithCancel(context.Background())
		go s.run(s.next)
	}
	s.next.waiting++
	return s.next
}

// leave is for a scrape that waits no longer. It is false if there is a result.
func (s *share) leave(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-b.done:
		return false
	default:
	}
	if b.waiting--; b.waiting == 0 {
		b.cancel()
		s.begin(b)
	}
	return true
}

// begin lets nobody join a batch any more. The caller holds the lock.
func (s *share) begin(b *batch) {
	if s.next == b {
		s.next = nil
	}
}

// run collects for a batch, when its turn has come.
func (s *share) run(b *batch) {
	defer b.cancel()
	snapshot, err := s.take(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	b.snapshot, b.err = snapshot, err
	b.users.Store(int32(b.waiting))
	if b.waiting == 0 && snapshot != nil {
		snapshot.Release()
	}
	close(b.done)
}

func (s *share) take(b *batch) (*collect.Snapshot, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-b.ctx.Done():
		return nil, b.ctx.Err()
	}
	s.mu.Lock()
	s.begin(b)
	s.mu.Unlock()
	return s.collect(b.ctx)
}

// release gives the snapshot back when nobody uses it any more.
func (b *batch) release() {
	if b.users.Add(-1) == 0 && b.snapshot != nil {
		b.snapshot.Release()
	}
}
