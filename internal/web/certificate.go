package web

import (
	"crypto/tls"
	"log/slog"
	"sync/atomic"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// CheckCertificate reports what is wrong with a certificate and its key.
func CheckCertificate(certFile, keyFile string) error {
	_, err := certificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	return err
}

// certificate returns the TLS settings for a certificate, nil for none.
func certificate(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil
	}
	config, err := toolkit.ConfigToTLSConfig(&toolkit.TLSConfig{TLSCertPath: certFile, TLSKeyPath: keyFile})
	if err != nil {
		return nil, err
	}
	config.MinVersion = tls.VersionTLS12
	r := &renewed{get: config.GetCertificate, log: log.With("file", certFile)}
	config.GetCertificate = r.certificate
	return config, nil
}

// A renewed certificate is read again for each connection. If it is damaged
// meanwhile nobody can connect, which only the log can tell: once, and when it is over.
type renewed struct {
	get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	log *slog.Logger
	bad atomic.Bool
}

func (r *renewed) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := r.get(hello)
	if bad := err != nil; r.bad.Swap(bad) != bad {
		if bad {
			r.log.Error("Certificate cannot be read: nobody can connect", "err", err)
		} else {
			r.log.Info("Certificate can be read again")
		}
	}
	return c, err
}
