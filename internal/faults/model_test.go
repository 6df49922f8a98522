//go:build linux

package faults

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gitlab-metrics-exporter/internal/format"
)

// A model says what must be on a page. Who breaks something says so before, and says
// when it is done what it means; in between, what is concerned may be anything.
type model struct {
	mu    sync.Mutex
	homes []*home
	parts []*part

	starved bool // the server gets no descriptors, and so reads nothing
	wild    bool // nobody knows what it reads
	stamp   int  // changes with the two above
}

// A home is a directory that really is one; the server has a link to it.
type home struct {
	path  string
	link  string // what the server calls it; that changes when links are swapped
	up    bool   // it can be read by its link
	wild  bool   // that is changing
	stamp int
}

// A part is what one process's files, or one file that nobody writes, add to a page:
// all series with a label writer of this name.
type part struct {
	name   string
	home   *home
	files  int  // of it, at most
	listed int  // of these there are, under a name of a metric file's; unless it is wild
	wild   bool // what is in its files is changing, or nobody knows it
	stamp  int

	// Of a file that nobody writes:
	still   map[string]float64 // values by series
	reason  format.Reason      // of its damage
	badKeys int

	// Of a process:
	prefix   string
	progress *progress
	slack    uint64 // rounds of which a part was counted twice, because the process was killed

	series []string // of a process, as they are on a page: all, then the parts that grow
}

// newProcess returns the part of a process, whose series have names with a prefix.
func newProcess(name string, h *home, prefix string, p *progress) *part {
	w := &part{name: name, home: h, files: 4, listed: 4, prefix: prefix, progress: p, wild: true}
	for _, c := range append(all(prefix), growing(prefix)...) {
		labels := map[string]string{"writer": name}
		for i, name := range c.names {
			labels[name] = fmt.Sprint(c.values[i])
		}
		if c.file == "gauge_all" {
			labels["pid"] = name
		}
		w.series = append(w.series, identify(c.sample, labels))
	}
	return w
}

func growing(prefix string) (list []counted) {
	for i := range uint64(maxParts) {
		list = append(list, grown(prefix, i))
	}
	return list
}

// identify returns what a series is called here, whatever the format of the page. The
// directory's label does not count.
func identify(sample string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(sample)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		if bound, err := strconv.ParseFloat(value, 64); name == "le" && err == nil {
			value = strconv.FormatFloat(bound, 'g', -1, 64)
		}
		b.WriteString(" " + name + "=" + value)
	}
	return b.String()
}

// change lets f change the model.
func (m *model) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// breaks says that what is in a part's files is about to change.
func (m *model) breaks(p *part) {
	m.change(func() { p.wild, p.stamp = true, p.stamp+1 })
}

// shows says what is served of a file from now on, and why the rest is not; and how many
// files it is, none or one.
func (m *model) shows(p *part, listed int, reason format.Reason, values map[string]float64) {
	m.change(func() {
		p.wild, p.stamp = false, p.stamp+1
		p.listed, p.still, p.reason, p.badKeys = listed, values, reason, 0
		if reason == format.BadKey {
			p.badKeys = 1
		}
	})
}

// A view is the model at a moment.
type view struct {
	starved, wild bool
	stamp         int
	homes         []homeView
	parts         []partView
}

type homeView struct {
	home
	from *home
}

type partView struct {
	part
	at    int // index of its home
	from  *part
	begun uint64
	done  uint64
}

func (m *model) look() view {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := view{starved: m.starved, wild: m.wild, stamp: m.stamp}
	for _, h := range m.homes {
		v.homes = append(v.homes, homeView{*h, h})
	}
	for _, p := range m.parts {
		pv := partView{part: *p, from: p, at: slices.Index(m.homes, p.home)}
		if p.progress != nil {
			pv.begun, pv.done = p.progress.begun.Load(), p.progress.done.Load()
		}
		v.parts = append(v.parts, pv)
	}
	return v
}

// A bound is between which values a series is.
type bound struct {
	low, high float64
	there     bool // it must be on the page
}

// bounds returns what a part adds to a page that was made between two views.
func bounds(before, after partView) map[string]bound {
	series := map[string]bound{}
	if before.progress == nil {
		for id, value := range before.still {
			series[id] = bound{value, value, true}
		}
		return series
	}
	low, high, slack := before.done, max(after.begun, after.done), float64(2*after.slack)
	base := all(before.prefix)
	for i, c := range base {
		if high > 0 {
			series[before.series[i]] = bound{c.value(low), c.value(high) + slack, low > 0}
		}
	}
	for i := range uint64(maxParts) {
		if c := grown(before.prefix, i); c.value(high) > 0 {
			series[before.series[len(base)+int(i)]] = bound{c.value(low), c.value(high) + slack, c.value(low) > 0}
		}
	}
	return series
}
