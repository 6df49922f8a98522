package probe

import (
	"context"

	"gitlab-metrics-exporter/internal/collect"
)

// Survey looks at the directory as a scrape does, for who wants to know more of
// it than its values; see [collect.Engine.Survey].
func (s *Set) Survey(ctx context.Context) (*collect.Snapshot, error) {
	type result struct {
		snapshot *collect.Snapshot
		err      error
	}
	done := make(chan result, 1)
	go func() {
		snapshot, err := s.survey(ctx)
		done <- result{snapshot, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done(): // a file system that hangs knows nothing of that
		r.err = ctx.Err()
	}
	s.faults.report(s.engine, r.snapshot, r.err)
	return r.snapshot, r.err
}

// Snapshot returns what the page shows of the application, or a part of: nil if
// it shows nothing of it. It belongs to the page.
func (p *Page) Snapshot() *collect.Snapshot { return p.snapshot }

// Series returns how many of the application's series are on the page.
func (p *Page) Series() int {
	n := 0
	for _, family := range p.selected {
		n += len(family.Series)
	}
	return n
}

// Succeeded reports whether all probes have delivered their part.
func (p *Page) Succeeded() bool { return p.succeeded }
