//go:build linux

package faults

import (
	"net"
	"testing"
	"time"
)

// TestFewDescriptors: more clients that ask nothing than there are descriptors keep
// neither another one out, nor the server from its files.
func TestFewDescriptors(t *testing.T) {
	r := &run{t: t, model: &model{}, limited: true, counts: map[string]int{}, cancel: func() {}}
	base := r.directory()
	r.model.homes = []*home{{path: base, link: base, up: true}}
	r.server = r.serve()
	r.url = "http://" + r.server.address + "/metrics"
	for range fewDescriptors + 20 {
		c, err := net.DialTimeout("tcp", r.server.address, timeout)
		r.must(err)
		defer c.Close()
	}
	s := r.scraper()
	s.client.Timeout = 10 * time.Second
	p, err := s.fetch(t.Context())
	r.must(err)
	if got := p.own["gme_source_up dir="+base]; got != 1 {
		t.Errorf("gme_source_up is %v, want 1", got)
	}
}
