package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// Pair names the PEM files of a certificate (with its chain) and its key.
type Pair struct{ Cert, Key string }

// Server holds the certificates of a server and, for mutual TLS, the
// authorities of its clients. Its methods may be called concurrently, also with
// Reload.
type Server struct {
	pairs    []Pair
	clientCA string
	now      atomic.Pointer[tls.Config]
}

// Load reads certificates and keys; the first one serves clients that name no
// server or an unknown one. With clientCA, a PEM file, clients must have a
// certificate that one of its authorities signed.
func Load(pairs []Pair, clientCA string) (*Server, error) {
	if len(pairs) == 0 {
		return nil, errors.New("loading certificates: none given")
	}
	s := &Server{pairs: pairs, clientCA: clientCA}
	return s, s.Reload()
}

// Reload reads all files again and takes them in one step, for connections to
// come; after an error the old ones stay.
func (s *Server) Reload() error {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, p := range s.pairs {
		if err := s.again(p.Cert, p.Key); err != nil {
			return err
		}
		c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			return fmt.Errorf("loading certificate %s with key %s: %w", p.Cert, p.Key, err)
		}
		cfg.Certificates = append(cfg.Certificates, c)
	}
	if s.clientCA != "" {
		if err := s.again(s.clientCA); err != nil {
			return err
		}
		pool, err := Pool(s.clientCA)
		if err != nil {
			return err
		}
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	s.now.Store(cfg)
	return nil
}

// again refuses to read what is no file a second time: a pipe would never end.
func (s *Server) again(files ...string) error {
	if s.now.Load() == nil {
		return nil
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("loading %s: it is no regular file and can be read once only", f)
		}
	}
	return nil
}

// TLS gives the config for a listener, with these protocols for ALPN. It serves
// the certificates of the last Reload.
func (s *Server) TLS(protocols ...string) *tls.Config {
	cfg := s.now.Load().Clone()
	cfg.NextProtos = protocols
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := s.now.Load()
		if len(protocols) == 0 {
			return now, nil
		}
		now = now.Clone()
		now.NextProtos = protocols
		return now, nil
	}
	return cfg
}

// Pool reads the authorities in a PEM file.
func Pool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("loading authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("loading authorities: %s has no PEM certificate", file)
	}
	return pool, nil
}

// Client gives the config for a connection to a SIP domain (RFC 5922 section
// 7.3) or an IP address: domain is what was looked up and not what DNS gave.
// Roots may be nil for those of the system; certificate is shown to servers
// that ask, unless nil.
func Client(domain string, roots *x509.CertPool, certificate *tls.Certificate) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: domain, RootCAs: roots}
	if certificate != nil {
		cfg.Certificates = []tls.Certificate{*certificate}
	}
	// The check of crypto/tls knows no sip: URIs and takes wildcards, so
	// VerifyConnection, which runs on resumed connections too, does it all.
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		return Verify(state.PeerCertificates, roots, domain)
	}
	return cfg
}

// Web turns a config of Client into one for a web server, WebSockets included:
// the certificate is checked by the rules of HTTPS, which know wildcards and no
// sip: URIs (RFC 7118 section 9.1, RFC 9110 section 4.3.4). A config that checks
// nothing stays so.
func Web(cfg *tls.Config, host string) *tls.Config {
	cfg = cfg.Clone()
	cfg.ServerName = host
	if cfg.VerifyConnection != nil {
		cfg.VerifyConnection, cfg.InsecureSkipVerify = nil, false
	}
	return cfg
}
