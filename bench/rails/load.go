package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// An outcome is that of one request to the application.
type outcome struct {
	latency time.Duration // since it was due
	err     error
}

// requests asks for the urls in turn, at a constant rate for some time: none
// waits for another. Returns when all are answered.
func requests(ctx context.Context, urls []string, rate float64, d time.Duration) []outcome {
	outcomes := make([]outcome, int(rate*d.Seconds()))
	var pending sync.WaitGroup
	start := time.Now()
	for i := range outcomes {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if !sleepUntil(ctx, due) {
			outcomes = outcomes[:i]
			break
		}
		pending.Add(1)
		go func() {
			defer pending.Done()
			err := get(ctx, urls[i%len(urls)])
			outcomes[i] = outcome{time.Since(due), err}
		}()
	}
	pending.Wait()
	return outcomes
}

// sleepUntil reports whether that moment came before the context ended.
func sleepUntil(ctx context.Context, moment time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(moment)):
		return true
	}
}

// read asks for a page and reads it to its end.
func read(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
