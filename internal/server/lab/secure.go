package lab

import (
	"crypto/tls"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/sip/stack"
)

// validity is how long the certificates of a lab are good for.
const validity = 90 * 24 * time.Hour

// Everywhere are endpoints of all transports on loopback: udp and tcp share a port.
func Everywhere() []stack.Endpoint {
	all := []stack.Endpoint{{Transport: "udp"}, {Transport: "tcp"}, {Transport: "tls"}, {Transport: "ws"}, {Transport: "wss"}}
	for i := range all {
		all[i].Addr = "127.0.0.1:0"
	}
	return all
}

// secure makes an authority and a certificate of it for all names of the lab where
// a listener needs one. The authority's key is forgotten.
func (l *Lab) secure(cfg *Config) error {
	var addrs []string
	for _, e := range slices.Concat(cfg.Listen, cfg.Relay) {
		if secured(e) {
			addrs = append(addrs, e.Addr)
		}
	}
	for _, e := range cfg.XCAP {
		if e.Scheme == "https" {
			addrs = append(addrs, e.Addr)
		}
	}
	if cfg.Stack.ServerTLS != nil || len(addrs) == 0 {
		return nil
	}
	now := time.Now()
	authority, err := certs.NewAuthority("imp lab", now, validity)
	if err != nil {
		return err
	}
	pair, err := authority.Write(l.Dir, "server", names(addrs), now)
	if err != nil {
		return err
	}
	l.CAFile = filepath.Join(l.Dir, "ca.pem")
	if err := authority.WriteCA(l.CAFile); err != nil {
		return err
	}
	server, err := certs.Load([]certs.Pair{pair}, "")
	if err != nil {
		return err
	}
	listener := server.TLS()
	cfg.Stack.ServerTLS = func() *tls.Config { return listener }
	if cfg.Stack.ClientTLS == nil {
		cfg.Stack.ClientTLS = func(domain string) *tls.Config {
			return certs.Client(domain, authority.Pool(), &listener.Certificates[0])
		}
	}
	return nil
}

// secured tells whether a listener needs a certificate.
func secured(e stack.Endpoint) bool { return e.Transport == "tls" || e.Transport == "wss" }

// names are what the lab may be called: its domain, and the addresses that it
// listens at.
func names(addrs []string) certs.Names {
	n := certs.Names{Domains: []string{Domain, "localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	for _, addr := range addrs {
		at, err := netip.ParseAddrPort(addr)
		if ip := net.IP(at.Addr().AsSlice()); err == nil && !ip.IsUnspecified() && !slices.ContainsFunc(n.IPs, ip.Equal) {
			n.IPs = append(n.IPs, ip)
		}
	}
	return n
}
