package main

import (
	"errors"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, test := range []struct {
		values  []float64
		p, want float64
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 0, 1},
		{[]float64{7}, 99, 7},
		{[]float64{3, 1, 2}, 50, 2},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile %v of %v: %v, want %v", test.p, test.values, got, test.want)
		}
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

// TestOrders: each is another order of the three turns.
func TestOrders(t *testing.T) {
	t.Parallel()
	for i, order := range orders {
		turns := []byte(order)
		slices.Sort(turns)
		if string(turns) != "gnr" || slices.Contains(orders[:i], order) {
			t.Errorf("%q", order)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	stat := "4711 (web) exporter ) S 1 4711 4711 0 -1 4194560 900 0 0 0 150 50 7 7 20 0 9 0 100 1 2"
	if got, err := parseStat(stat); err != nil || got != 2 {
		t.Errorf("%v, %v, want 2 s", got, err)
	}
	if got, err := parseStat("gone"); err == nil {
		t.Errorf("%v of a text that is none", got)
	}
}

func TestCPUSeconds(t *testing.T) {
	t.Parallel()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, err := cpuSeconds(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if got > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no time at all")
		}
	}
}

func TestListener(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F93 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 20 4 30 10 -1
   1: 0100007F:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
`
	if got, found := listener(table, 8083); got != "222" || !found {
		t.Errorf("%q, %v, want 222", got, found)
	}
	if got, found := listener(table, 8084); found {
		t.Errorf("%q for a port that is free", got)
	}
}

func TestListeningOn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	if got, err := listeningOn(port); err != nil || got != os.Getpid() {
		t.Errorf("%v, %v, want %d", got, err, os.Getpid())
	}
	free, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := listeningOn(free); err == nil {
		t.Errorf("process %d listens on a free port", got)
	}
}

// TestRequests: a slow application does not slow down the requests, and time
// in which one waits for its turn counts.
func TestRequests(t *testing.T) {
	t.Parallel()
	const n, takes = 5, 100 * time.Millisecond
	var one sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		time.Sleep(takes)
	}))
	defer server.Close()
	outcomes := requests(t.Context(), []string{server.URL}, 100, n*time.Second/100)
	if len(outcomes) != n {
		t.Fatalf("%d requests, want %d", len(outcomes), n)
	}
	var longest time.Duration
	for _, o := range outcomes {
		if o.err != nil {
			t.Error(o.err)
		}
		longest = max(longest, o.latency)
	}
	if least := n*takes - n*time.Second/100; longest < least {
		t.Errorf("the last one took %v, want at least %v: it had to wait for the others", longest, least)
	}
}

func TestRequestsFail(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, o := range requests(t.Context(), []string{server.URL}, 1000, 3*time.Millisecond) {
		if o.err == nil {
			t.Error("no error for a page that is not there")
		}
	}
}

// TestScrapeFails: for a page that is empty, or not compressed.
func TestScrapeFails(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"", "a 1\n"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(page))
		}))
		if s := scrape(t.Context(), server.URL); s.err == nil {
			t.Errorf("no error for %q", page)
		}
		server.Close()
	}
}

func TestSeriesOf(t *testing.T) {
	t.Parallel()
	const page = "# HELP a A\n# TYPE a counter\na{b=\"c d\"} 1\na{b=\"e\"} 2\nf 3\n"
	got := seriesOf(page)
	if want := map[string]int{"a": 2, "f": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := sameSeries(map[string]int{"a": 2}, got); err != nil {
		t.Error(err)
	}
	if err := sameSeries(map[string]int{"a": 2, "g": 1}, got); err == nil {
		t.Error("no error though g is missing")
	}
}

// TestMove: what is there stays.
func TestMove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stage, to := filepath.Join(dir, "stage"), filepath.Join(dir, "to")
	for path, content := range map[string]string{
		filepath.Join(stage, "gauge_all_puma_0-0.db"): "new",
		filepath.Join(to, "gauge_all_puma_0-0.db"):    "old",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := move(stage, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"gauge_all_puma_0-0.db": "old", "gauge_all_puma_1000-0.db": "new"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if name, err := renumber("counter_sidekiq_0-0.db"); err == nil {
		t.Errorf("a name of no Puma became %s", name)
	}
}
