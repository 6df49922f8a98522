package main

import (
	"context"
	"time"

	"gitlab-metrics-exporter/bench/internal/program"
)

// A server is the program under test.
type server struct{ *program.Program }

// watch returns the most memory that the server had resident until ctx ended,
// in MB.
func (s server) watch(ctx context.Context) (most float64, err error) {
	for ctx.Err() == nil {
		status, err := s.Status()
		if err != nil {
			return 0, err
		}
		most = max(most, status["VmRSS"]/1e3)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return most, nil
}
