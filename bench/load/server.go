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
		memory, err := s.Memory()
		if err != nil {
			return 0, err
		}
		most = max(most, memory.Resident)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return most, nil
}
