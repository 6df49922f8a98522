package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"gitlab-metrics-exporter/internal/collect"
	"gitlab-metrics-exporter/internal/probe"
	"gitlab-metrics-exporter/internal/web"
)

// hostVariable is read outside of flags: empty, it has a meaning.
const hostVariable = "GME_SERVER_HOST"

// settings are the flags of a server, as given; config is what they mean.
type settings struct {
	reading
	probes                       string
	host, port                   string
	hostSet                      bool
	certFile, certKey            string
	addresses                    []string
	systemd                      bool
	configFile, telemetryPath    string
	openHealth                   bool
	maxRequests                  string
	pprof, openMetrics, created  bool
	logLevel, logFormat, logFile string
	parentPID                    string
}

// A config is what a server needs to know.
type config struct {
	engine    collect.Config
	probes    []string
	listening web.Listening
	web       web.Config
	log       logConfig
	parentPID int // 0 means none
}

// flags adds the flags of a server to a command.
func (s *settings) flags(c *kingpin.CmdClause) {
	s.reading.flags(c)
	c.Flag("probes", "What the page shows, comma-separated: "+strings.Join(probe.Known, ", ")+".").
		Envar("GME_PROBES").Default("self,mmap,mmap_stats").StringVar(&s.probes)

	c.Flag("server.host", "Address to listen on; * or nothing means all. Default: localhost. ($"+hostVariable+")").
		PlaceHolder("HOST").IsSetByUser(&s.hostSet).StringVar(&s.host)
	c.Flag("server.port", "Port to listen on; 0 means a free one.").
		Envar("GME_SERVER_PORT").Default("8083").StringVar(&s.port)
	c.Flag("server.cert-file", "PEM file of the certificate, its chain behind it; switches TLS on. Read again for each connection.").
		Envar("GME_CERT_FILE").PlaceHolder("FILE").StringVar(&s.certFile)
	c.Flag("server.cert-key", "PEM file of the certificate's private key.").
		Envar("GME_CERT_KEY").PlaceHolder("FILE").StringVar(&s.certKey)

	c.Flag("web.listen-address", "Address to listen on, HOST:PORT or unix:///PATH, in place of --server.host and --server.port. Repeatable.").
		Envar("GME_WEB_LISTEN_ADDRESS").PlaceHolder("ADDRESS").StringsVar(&s.addresses)
	c.Flag("web.systemd-socket", "Listen on the sockets that systemd passes, in place of addresses.").
		Envar("GME_WEB_SYSTEMD_SOCKET").BoolVar(&s.systemd)
	c.Flag("web.config.file", "File with TLS and authentication settings, in the format of Prometheus' exporter-toolkit.").
		Envar("GME_WEB_CONFIG_FILE").PlaceHolder("FILE").StringVar(&s.configFile)
	c.Flag("web.health-without-auth", "Answer /-/healthy and /-/ready without the basic auth of --web.config.file; TLS stays as it is.").
		Envar("GME_WEB_HEALTH_WITHOUT_AUTH").BoolVar(&s.openHealth)
	c.Flag("web.telemetry-path", "Path of the metrics.").
		Envar("GME_WEB_TELEMETRY_PATH").Default("/metrics").StringVar(&s.telemetryPath)
	c.Flag("web.max-requests", "Scrapes at once; more are answered with 503. 0 means no limit.").
		Envar("GME_WEB_MAX_REQUESTS").Default("40").StringVar(&s.maxRequests)
	c.Flag("web.enable-pprof", "Serve profiles of this program under /debug/pprof/.").
		Envar("GME_WEB_ENABLE_PPROF").BoolVar(&s.pprof)
	c.Flag("web.enable-openmetrics", "Offer the format OpenMetrics. Prometheus 2 then knows some series by another label le.").
		Envar("GME_WEB_ENABLE_OPENMETRICS").BoolVar(&s.openMetrics)
	c.Flag("web.enable-created-timestamps", "Say since when counters, histograms and summaries count, in OpenMetrics and protobuf.").
		Envar("GME_WEB_ENABLE_CREATED_TIMESTAMPS").BoolVar(&s.created)

	c.Flag("log.level", "What to log: "+strings.Join(logLevels, ", ")+".").
		Envar("GME_LOG_LEVEL").Default("info").StringVar(&s.logLevel)
	c.Flag("log.format", "How to log: "+strings.Join(logFormats, ", ")+".").
		Envar("GME_LOG_FORMAT").Default("logfmt").StringVar(&s.logFormat)
	c.Flag("log.file", "Where to log; opened again on SIGHUP. Default: standard error.").
		Envar("GME_LOG_FILE").PlaceHolder("FILE").StringVar(&s.logFile)

	c.Flag("parent.pid", "End when this process ends.").
		Envar("GME_PARENT_PID").PlaceHolder("PID").StringVar(&s.parentPID)
}

// config checks the settings.
func (s *settings) config() (config, error) {
	c := config{
		log: logConfig{level: s.logLevel, format: s.logFormat, file: s.logFile},
		listening: web.Listening{
			Addresses: slices.Clone(s.addresses), Systemd: s.systemd, ConfigFile: s.configFile,
			CertFile: s.certFile, KeyFile: s.certKey, OpenHealth: s.openHealth,
		},
		web: web.Config{TelemetryPath: s.telemetryPath, Pprof: s.pprof, OpenMetrics: s.openMetrics},
	}
	var err error
	if c.engine, err = s.reading.config(); err != nil {
		return config{}, err
	}
	c.engine.Births = s.created
	if c.probes, err = probe.Parse(s.probes); err != nil {
		return config{}, wrong("probes", "GME_PROBES", s.probes, "%v; known are %s", err, strings.Join(probe.Known, ", "))
	}
	for _, check := range []func(*config) error{
		s.checkAddress, s.checkTLS, s.checkPath, s.checkNumbers, s.checkLog,
	} {
		if err := check(&c); err != nil {
			return config{}, err
		}
	}
	return c, nil
}

func (s *settings) checkAddress(c *config) error {
	if s.systemd {
		return nil
	}
	for i, text := range s.addresses {
		address, err := parseAddress(text)
		if err == nil && !strings.HasSuffix(address, ":0") && slices.Contains(c.listening.Addresses[:i], address) {
			err = errors.New("is named twice")
		}
		if err != nil {
			return wrong("web.listen-address", "GME_WEB_LISTEN_ADDRESS", text, "%v", err)
		}
		c.listening.Addresses[i] = address
	}
	if len(s.addresses) > 0 {
		return nil
	}
	host, set := s.host, s.hostSet
	if !set {
		host, set = os.LookupEnv(hostVariable) // where empty has a meaning
	}
	if !set {
		host = "localhost"
	}
	if host == "*" {
		host = ""
	}
	if !isPort(s.port) {
		return wrong("server.port", "GME_SERVER_PORT", s.port, "must be a number from 0 to 65535")
	}
	c.listening.Addresses = []string{net.JoinHostPort(strings.Trim(host, "[]"), s.port)}
	return nil
}

// parseAddress checks HOST:PORT, whose host may be *, or unix:///PATH.
func parseAddress(text string) (string, error) {
	if path, isSocket := web.SocketPath(text); isSocket {
		if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || len(path) > web.MaxSocketPath {
			return "", fmt.Errorf("must be unix:// and the absolute path of a file, of at most %d bytes", web.MaxSocketPath)
		}
		return text, nil
	}
	if port, all := strings.CutPrefix(text, "*:"); all {
		text = ":" + port
	}
	if _, port, err := net.SplitHostPort(text); err != nil || !isPort(port) {
		return "", errors.New("must be HOST:PORT with a port from 0 to 65535, or unix:///PATH")
	}
	return text, nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func (s *settings) checkTLS(*config) error {
	switch {
	case s.certFile != "" && s.certKey == "":
		return wrong("server.cert-file", "GME_CERT_FILE", s.certFile, "needs --server.cert-key (GME_CERT_KEY) too")
	case s.certKey != "" && s.certFile == "":
		return wrong("server.cert-key", "GME_CERT_KEY", s.certKey, "needs --server.cert-file (GME_CERT_FILE) too")
	case s.certFile != "" && s.configFile != "":
		return wrong("web.config.file", "GME_WEB_CONFIG_FILE", s.configFile,
			"cannot be used with --server.cert-file (GME_CERT_FILE): name the certificate in one place")
	}
	return nil
}

func (s *settings) checkPath(*config) error {
	p := s.telemetryPath
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "{} ?#%") ||
		slices.ContainsFunc(web.Reserved, func(reserved string) bool { return reserves(reserved, p) }) {
		return wrong("web.telemetry-path", "GME_WEB_TELEMETRY_PATH", p,
			"must be a plain path such as /metrics, and none of %s", strings.Join(web.Reserved, ", "))
	}
	return nil
}

// reserves reports whether a path cannot be had because of a reserved one, or
// of what is below that.
func reserves(reserved, p string) bool {
	return p == reserved || p+"/" == reserved || reserved != "/" && strings.HasSuffix(reserved, "/") && strings.HasPrefix(p, reserved)
}

func (s *settings) checkNumbers(c *config) (err error) {
	if c.web.MaxRequests, err = strconv.Atoi(s.maxRequests); err != nil || c.web.MaxRequests < 0 {
		return wrong("web.max-requests", "GME_WEB_MAX_REQUESTS", s.maxRequests, "must be a number, 0 or more")
	}
	if s.parentPID == "" {
		return nil
	}
	pid, err := strconv.ParseInt(s.parentPID, 10, 32)
	if err != nil || pid < 1 {
		return wrong("parent.pid", "GME_PARENT_PID", s.parentPID, "must be a process id")
	}
	c.parentPID = int(pid)
	return nil
}

func (s *settings) checkLog(*config) error {
	if !slices.Contains(logLevels, s.logLevel) {
		return wrong("log.level", "GME_LOG_LEVEL", s.logLevel, "must be one of %s", strings.Join(logLevels, ", "))
	}
	if !slices.Contains(logFormats, s.logFormat) {
		return wrong("log.format", "GME_LOG_FORMAT", s.logFormat, "must be one of %s", strings.Join(logFormats, ", "))
	}
	return nil
}

// checkFiles checks the content of the files that settings name.
func (c *config) checkFiles() error {
	l := c.listening
	if err := web.CheckCertificate(l.CertFile, l.KeyFile); err != nil {
		return wrong("server.cert-file", "GME_CERT_FILE", l.CertFile, "with --server.cert-key (GME_CERT_KEY) %q: %v", l.KeyFile, err)
	}
	if err := web.CheckConfigFile(l.ConfigFile); err != nil {
		return wrong("web.config.file", "GME_WEB_CONFIG_FILE", l.ConfigFile, "%v", err)
	}
	return nil
}

// wrongSwitch returns the error for a variable of a command that must be true or
// false and is not, if there is one.
func wrongSwitch(c *kingpin.CmdClause) error {
	for _, flag := range c.Model().Flags {
		value := os.Getenv(flag.Envar) // "" if it has no variable
		if _, err := strconv.ParseBool(value); flag.IsBoolFlag() && value != "" && err != nil {
			return wrong(flag.Name, flag.Envar, value, "must be true or false")
		}
	}
	return nil
}

// wrong is the error for a setting with a value that is not allowed.
func wrong(flag, variable, value, allowed string, args ...any) error {
	return misuse("--%s (%s) is %q: %s", flag, variable, value, fmt.Sprintf(allowed, args...))
}
