package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/discover"
	"gitlab-metrics-exporter/internal/web"
)

// vars are settings in the environment.
type vars = map[string]string

func TestAddress(t *testing.T) {
	tests := map[string]struct {
		environment vars
		args        []string
		want        []string
	}{
		"default":                {nil, nil, []string{"localhost:8083"}},
		"host":                   {vars{"GME_SERVER_HOST": "10.1.2.3"}, nil, []string{"10.1.2.3:8083"}},
		"host is a name":         {vars{"GME_SERVER_HOST": "node.example"}, nil, []string{"node.example:8083"}},
		"host is empty":          {vars{"GME_SERVER_HOST": ""}, nil, []string{":8083"}},
		"host is a star":         {vars{"GME_SERVER_HOST": "*"}, nil, []string{":8083"}},
		"host is zeros":          {vars{"GME_SERVER_HOST": "0.0.0.0"}, nil, []string{"0.0.0.0:8083"}},
		"host is IPv6":           {vars{"GME_SERVER_HOST": "::1"}, nil, []string{"[::1]:8083"}},
		"host is IPv6 in []":     {vars{"GME_SERVER_HOST": "[::1]"}, nil, []string{"[::1]:8083"}},
		"host is IPv6 of a link": {vars{"GME_SERVER_HOST": "fe80::1%eth0"}, nil, []string{"[fe80::1%eth0]:8083"}},
		"all of IPv6":            {vars{"GME_SERVER_HOST": "::"}, nil, []string{"[::]:8083"}},
		"port":                   {vars{"GME_SERVER_PORT": "3807"}, nil, []string{"localhost:3807"}},
		"port is empty":          {vars{"GME_SERVER_PORT": ""}, nil, []string{"localhost:8083"}},
		"any port":               {vars{"GME_SERVER_PORT": "0"}, nil, []string{"localhost:0"}},
		"last port":              {vars{"GME_SERVER_PORT": "65535"}, nil, []string{"localhost:65535"}},
		"host and port":          {vars{"GME_SERVER_HOST": "*", "GME_SERVER_PORT": "3807"}, nil, []string{":3807"}},
		"flags":                  {nil, []string{"--server.host=10.1.2.3", "--server.port=1"}, []string{"10.1.2.3:1"}},
		"flag is empty":          {nil, []string{"--server.host="}, []string{":8083"}},
		"flag is a star":         {nil, []string{"--server.host=*"}, []string{":8083"}},
		"flags win":              {vars{"GME_SERVER_HOST": "*", "GME_SERVER_PORT": "1"}, []string{"--server.host=::1", "--server.port=2"}, []string{"[::1]:2"}},
		"empty flag wins":        {vars{"GME_SERVER_HOST": "10.1.2.3"}, []string{"--server.host="}, []string{":8083"}},
		"listen address":         {nil, []string{"--web.listen-address=:9000"}, []string{":9000"}},
		"listen address, IPv6":   {nil, []string{"--web.listen-address=[::1]:9000"}, []string{"[::1]:9000"}},
		"listen addresses":       {nil, []string{"--web.listen-address=a:1", "--web.listen-address=b:2"}, []string{"a:1", "b:2"}},
		"listen address wins": {
			vars{"GME_SERVER_HOST": "*", "GME_SERVER_PORT": "wrong"}, []string{"--web.listen-address=a:1"}, []string{"a:1"},
		},
		"unix socket":                  {nil, []string{"--web.listen-address=unix:///run/m.sock"}, []string{"unix:///run/m.sock"}},
		"unix socket and port":         {vars{"GME_WEB_LISTEN_ADDRESS": "unix:///run/m.sock\n*:1"}, nil, []string{"unix:///run/m.sock", ":1"}},
		"listen address by variable":   {vars{"GME_WEB_LISTEN_ADDRESS": "a:1"}, nil, []string{"a:1"}},
		"listen addresses by variable": {vars{"GME_WEB_LISTEN_ADDRESS": "a:1\nb:2"}, nil, []string{"a:1", "b:2"}},
		"listen address by flag wins":  {vars{"GME_WEB_LISTEN_ADDRESS": "a:1"}, []string{"--web.listen-address=b:2"}, []string{"b:2"}},
		"systemd has its own":          {vars{"GME_SERVER_PORT": "wrong"}, []string{"--web.systemd-socket"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parse(t, tt.environment, tt.args...).config()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.listening.Addresses); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	got, err := parse(t, nil).config()
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		engine:    collect.Config{Liveness: collect.LivenessAuto},
		probes:    []string{"self", "mmap", "mmap_stats"},
		listening: web.Listening{Addresses: []string{"localhost:8083"}},
		web:       web.Config{TelemetryPath: "/metrics", MaxRequests: 40},
		log:       logConfig{level: "info", format: "logfmt"},
	}
	checkConfig(t, got, want)
}

// TestVariables: each setting by its variable alone, and by its flag against
// the variable.
func TestVariables(t *testing.T) {
	environment := vars{
		"GME_MMAP_FORMAT":        "python",
		"GME_MMAP_LIVENESS":      "on",
		"GME_PROBES":             "mmap, self,mmap",
		"GME_SERVER_HOST":        "*",
		"GME_SERVER_PORT":        "3807",
		"GME_CERT_FILE":          "cert.pem",
		"GME_CERT_KEY":           "key.pem",
		"GME_WEB_TELEMETRY_PATH": "/numbers",
		"GME_WEB_MAX_REQUESTS":   "0",
		"GME_WEB_ENABLE_PPROF":   "true",

		"GME_WEB_ENABLE_OPENMETRICS": "true", "GME_WEB_ENABLE_CREATED_TIMESTAMPS": "true",

		"GME_LOG_LEVEL":  "quiet",
		"GME_LOG_FORMAT": "json",
		"GME_LOG_FILE":   "exporter.log",
		"GME_PARENT_PID": "42",
	}
	got, err := parse(t, environment).config()
	if err != nil {
		t.Fatal(err)
	}
	checkConfig(t, got, config{
		engine:    collect.Config{Format: discover.Python, Liveness: collect.LivenessOn, Births: true},
		probes:    []string{"mmap", "self"},
		listening: web.Listening{Addresses: []string{":3807"}, CertFile: "cert.pem", KeyFile: "key.pem"},
		web:       web.Config{TelemetryPath: "/numbers", MaxRequests: 0, Pprof: true, OpenMetrics: true},
		log:       logConfig{level: "quiet", format: "json", file: "exporter.log"},
		parentPID: 42,
	})

	got, err = parse(t, environment,
		"--mmap.format=auto", "--mmap.liveness=off", "--probes=mmap_stats", "--server.host=::1", "--server.port=1", "--server.cert-file=c", "--server.cert-key=k",
		"--web.telemetry-path=/m", "--web.max-requests=7", "--no-web.enable-pprof", "--no-web.enable-openmetrics",
		"--no-web.enable-created-timestamps",
		"--log.level=debug", "--log.format=logfmt", "--log.file=l", "--parent.pid=1").config()
	if err != nil {
		t.Fatal(err)
	}
	checkConfig(t, got, config{
		probes:    []string{"mmap_stats"},
		listening: web.Listening{Addresses: []string{"[::1]:1"}, CertFile: "c", KeyFile: "k"},
		web:       web.Config{TelemetryPath: "/m", MaxRequests: 7},
		log:       logConfig{level: "debug", format: "logfmt", file: "l"},
		parentPID: 1,
	})
}

func checkConfig(t *testing.T, got, want config) {
	t.Helper()
	// Scrape is wired later; functions cannot be compared.
	equal := cmp.AllowUnexported(config{}, logConfig{})
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Scrape" }, cmp.Ignore())
	if diff := cmp.Diff(want, got, equal, ignore); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTelemetryPath: a path that is taken is served under just that path; one
// that the router would not take must be refused, not end in a panic.
func TestTelemetryPath(t *testing.T) {
	tests := map[string]bool{
		"/metrics": true, "/a/b": true, "/-/metrics": true, "/metrics.txt": true, "/métriques": true, "/debug/metrics": true,
		"": false, "/": false, "metrics": false, "metrics/": false, "/metrics/": false, "//metrics": false, "/a//b": false,
		"/{x}": false, "/{x...}": false, "/{$}": false, "/a b": false, "/a?b": false, "/a#b": false,
		"/-/ready": false, "/-/healthy": false, "/debug/pprof/": false, "/debug/pprof/heap": false,
		"/./metrics": false, "/a/../metrics": false, "/metrics/.": false, "/..": false, "/a/..": false,
	}
	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			s := parse(t, nil, "--web.telemetry-path="+path)
			c, err := s.config()
			if got := err == nil; got != want {
				t.Errorf("taken: %v, want %v (%v)", got, want, err)
			}
			if err != nil {
				return
			}
			defer func() {
				if cause := recover(); cause != nil {
					t.Errorf("panic: %v", cause)
				}
			}()
			c.web.Pprof = true // whatever is served must not clash with it
			web.NewHandler(c.web)
		})
	}
}

// TestWrong: a wrong setting is the user's error, and is named.
func TestWrong(t *testing.T) {
	tests := map[string]struct {
		environment vars
		args        []string
		want        []string
	}{
		"probes":    {vars{"GME_PROBES": "nope"}, nil, []string{"--probes", "GME_PROBES", `"nope"`, "mmap, mmap_stats, self"}},
		"port":      {nil, []string{"--server.port=x"}, []string{"--server.port", "GME_SERVER_PORT", `"x"`, "0 to 65535"}},
		"address":   {nil, []string{"--web.listen-address=x"}, []string{"--web.listen-address", "GME_WEB_LISTEN_ADDRESS", `"x"`, "HOST:PORT"}},
		"cert":      {nil, []string{"--server.cert-file=c"}, []string{"--server.cert-file", `"c"`, "--server.cert-key", "GME_CERT_KEY"}},
		"key":       {nil, []string{"--server.cert-key=k"}, []string{"--server.cert-key", `"k"`, "--server.cert-file", "GME_CERT_FILE"}},
		"both":      {nil, []string{"--server.cert-file=c", "--server.cert-key=k", "--web.config.file=w"}, []string{"--web.config.file", `"w"`, "--server.cert-file"}},
		"requests":  {nil, []string{"--web.max-requests=-1"}, []string{"--web.max-requests", "GME_WEB_MAX_REQUESTS", `"-1"`, "0 or more"}},
		"parent":    {nil, []string{"--parent.pid=x"}, []string{"--parent.pid", "GME_PARENT_PID", `"x"`, "process id"}},
		"level":     {nil, []string{"--log.level=x"}, []string{"--log.level", "GME_LOG_LEVEL", `"x"`, "debug, info, warn, error, quiet"}},
		"format":    {nil, []string{"--log.format=x"}, []string{"--log.format", "GME_LOG_FORMAT", `"x"`, "logfmt, json"}},
		"no number": {nil, []string{"--web.max-requests=99999999999999999999"}, []string{"--web.max-requests"}},
		// The kernel would take the lower half of it, and that is a process.
		"large parent": {nil, []string{"--parent.pid=4294967297"}, []string{"--parent.pid", `"4294967297"`, "process id"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, tt.environment, tt.args...).config()
			if !errors.As(err, new(usageError)) {
				t.Fatalf("the error is %v, want one of usage", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

func TestDirectories(t *testing.T) {
	one, two := collect.Directory{Path: "/a"}, collect.Directory{Path: "/b", Labels: []collect.Label{{Name: "app", Value: "x,\"}"}, {Name: "b", Value: "2"}}}
	tests := []struct {
		name               string
		named              []string
		ours, ruby, python string
		want               []collect.Directory
	}{
		{name: "none"},
		{name: "Python's variable", python: "/a", want: []collect.Directory{one}},
		{name: "Ruby's variable", ruby: "/a", python: "/c", want: []collect.Directory{one}},
		{name: "ours", ours: "/a", ruby: "/c", want: []collect.Directory{one}},
		{name: "several", ours: "/a\n\n/b{app=\"x,\\\"}\", b = \"2\" ,}\n", want: []collect.Directory{one, two}},
		{name: "named", named: []string{"/b{app=\"x,\\\"}\",b=\"2\"}", "/a"}, ours: "/c", want: []collect.Directory{two, one}},
		{name: "no labels", named: []string{"/a{}"}, want: []collect.Directory{one}},
		{name: "not labels", named: []string{"/a{b"}, want: []collect.Directory{{Path: "/a{b"}}},
		{name: "a variable of a library", ruby: `/a{b="c"}`, want: []collect.Directory{{Path: `/a{b="c"}`}}},
	}
	clearEnvironment(t)
	for _, tt := range tests {
		t.Setenv(dirVariable, tt.ours)
		t.Setenv(rubyVariable, tt.ruby)
		t.Setenv(pythonVariable, tt.python)
		got, err := directories(tt.named, "--mmap.dir")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestWrongDirectories(t *testing.T) {
	clearEnvironment(t)
	for _, named := range [][]string{
		{"/a", "/a"}, {"/a", `/a/{b="c"}`}, {`{a="b"}`}, {"/a{b}"}, {"/a{b=c}"}, {"/a{b='c'}"}, {`/a{b="c" d="e"}`}, {`/a{b="c"d}`},
		{`/a{b="c",b="d"}`}, {`/a{le="1"}`}, {`/a{pid="1"}`}, {`/a{quantile="1"}`}, {`/a{__name__="x"}`}, {`/a{a.b="c"}`}, {`/a{="c"}`},
		{`/a{b=""}`}, {`/a{b="\xff"}`}, {`/a{b="c}`},
	} {
		if got, err := directories(named, "--mmap.dir"); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v, %v", named, got, err)
		}
	}
}

// TestBlamesTheRightSetting: what is wrong is said of the setting that it is wrong in.
func TestBlamesTheRightSetting(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("nonsense: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	for setting, args := range map[string][]string{
		"--server.cert-file (": {"--server.cert-file=" + bad, "--server.cert-key=" + bad},
		"--web.config.file (":  {"--web.config.file=" + bad},
	} {
		var errs bytes.Buffer
		code := Main(append(args, "--server.port=0"), &errs, &errs)
		if code != misused || !strings.Contains(errs.String(), setting) || strings.Contains(errs.String(), "--server.host") {
			t.Errorf("%q: %d %s", args, code, &errs)
		}
	}
	t.Setenv("GME_SERVER_PORT", "8080")
	t.Setenv("GME_WEB_ENABLE_PPROF", "maybe")
	var errs bytes.Buffer
	if code := Main(nil, &errs, &errs); code != misused || !strings.Contains(errs.String(), `(GME_WEB_ENABLE_PPROF) is "maybe"`) {
		t.Errorf("%d %s", code, &errs)
	}
}
