// Package resolve implements RFC 3263 (locating SIP servers) with the order of RFC 2782, the services of RFC 7118 for
// WebSocket and the rules for sips of RFC 5630, and RFC 3861 with the labels of RFC 5509 for pres and im URIs.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Target is a place to which a request can be sent.
type Target struct {
	Transport string // "udp", "tcp", "tls", "ws" or "wss"; "" = udp, or tcp for what is too large for it (RFC 3261 18.1.1)
	Addr      string // IP address and port
	Domain    string // name that a peer on TLS must prove: the host of the URI, whatever DNS said (RFC 5922 7)
}

// ErrNotFound is wrapped by errors that say that names or services do not exist, as opposed to DNS not answering.
var ErrNotFound = errors.New("not found")

// ErrAnswer is wrapped by errors of a DNS that was answered, but not with what was asked for: some servers do not
// know all types of records.
var ErrAnswer = errors.New("the name server reports a failure")

// Config holds what a Resolver is given from outside. The zero value works.
type Config struct {
	DNS    DNS     // nil = NewSystem with its defaults
	Routes []Route // instead of DNS, for their domains; several of one domain are tried in order

	// Transports are those that can be sent over, best first: "udp", "tcp", "tls", "ws", "wss". The order counts where
	// a domain offers several without saying which it prefers. nil = tls, tcp, udp, wss, ws.
	Transports []string

	Rand       func(n int) int         // a number from 0 to n-1, for the weights of RFC 2782; nil = a random one
	Reachable  func(a netip.Addr) bool // addresses it denies are tried last; nil = the kernel has a way to them
	MaxTargets int                     // at most so many are given; 0 = 16
}

// Resolver finds the places to which requests for a URI can be sent. It is safe for concurrent use.
type Resolver struct {
	cfg    Config
	routes map[string][]Route
}

// New returns a resolver.
func New(cfg Config) *Resolver {
	if cfg.DNS == nil {
		cfg.DNS = NewSystem(SystemConfig{})
	}
	if cfg.Transports == nil {
		cfg.Transports = []string{"tls", "tcp", "udp", "wss", "ws"}
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.IntN
	}
	if cfg.Reachable == nil {
		cfg.Reachable = routed
	}
	if cfg.MaxTargets <= 0 {
		cfg.MaxTargets = 16
	}
	r := &Resolver{cfg: cfg, routes: make(map[string][]Route)}
	for _, route := range cfg.Routes {
		r.routes[route.Domain] = append(r.routes[route.Domain], route)
	}
	return r
}

// Targets finds where a request goes whose next hop is uri: a sip, sips, pres or im URI. The targets are to be tried
// in order until one does not fail (RFC 3263 4.3); there is at least one when err is nil.
func (r *Resolver) Targets(ctx context.Context, uri string) ([]Target, error) {
	p, err := parseURI(uri)
	if err == nil {
		var found []Target
		if found, err = r.locate(ctx, p); err == nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("locating %s: %w", uri, err)
}

func (r *Resolver) locate(ctx context.Context, p place) (found []Target, err error) {
	switch routes := r.routes[p.target]; {
	case routes != nil:
		found, err = r.routed(ctx, p, routes)
	case p.abstract():
		found, err = r.abstract(ctx, p)
	default:
		found, err = r.sip(ctx, p)
	}
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s has no address: %w", p.target, ErrNotFound)
	}
	return found[:min(len(found), r.cfg.MaxTargets)], err
}

// routed takes the static routes that fit the URI.
func (r *Resolver) routed(ctx context.Context, p place, routes []Route) (found []Target, err error) {
	fits := false
	for _, route := range routes {
		transport := route.Transport
		switch {
		case p.scheme == "sips" && !secure(transport):
			continue
		case p.transport == "" || p.transport == transport:
		case transport == "" && (p.transport == "udp" || p.transport == "tcp"):
			transport = p.transport
		default:
			continue
		}
		fits = true
		host, port, _ := net.SplitHostPort(route.Addr)
		n, _ := strconv.ParseUint(port, 10, 16)
		var more []Target
		if more, err = r.at(ctx, transport, host, uint16(n), p.host); err == nil {
			found = append(found, more...)
		}
	}
	if !fits {
		return nil, fmt.Errorf("no route for %s has a transport that the URI allows", p.target)
	}
	if found != nil {
		err = nil
	}
	return found, err
}

// sip implements RFC 3263 section 4.
func (r *Resolver) sip(ctx context.Context, p place) ([]Target, error) {
	_, err := netip.ParseAddr(p.target)
	numeric := err == nil
	transport, err := r.transport(p)
	if err != nil {
		return nil, err
	}
	switch {
	case numeric || p.port != 0:
		port := p.port
		if port == 0 {
			port = ports[transport]
		}
		return r.at(ctx, transport, p.target, port, p.host)
	case p.transport != "":
		found, ok, err := r.service(ctx, srvName(transport, p.target), transport, p.host)
		if ok || err != nil {
			return found, err
		}
	default:
		found, ok, err := r.discover(ctx, p, &transport)
		if ok || err != nil {
			return found, err
		}
	}
	return r.at(ctx, transport, p.target, ports[transport], p.host)
}

// transport is the one the URI names, or the one to be used when nothing else says so (RFC 3263 4.1): UDP, which turns
// to TCP for large requests, for sip, and TLS over TCP for sips.
func (r *Resolver) transport(p place) (string, error) {
	if p.transport != "" {
		if !r.supports(p.transport) {
			return "", fmt.Errorf("transport %s is not available here", p.transport)
		}
		return p.transport, nil
	}
	standard := []string{"udp", "tcp", "tls", "ws", "wss"}
	if p.scheme == "sips" {
		standard = []string{"tls", "wss"}
	}
	for _, t := range standard {
		if r.supports(t) {
			return r.adaptable(t), nil
		}
	}
	return "", fmt.Errorf("no transport for %s URIs is available here", p.scheme)
}

func (r *Resolver) supports(transport string) bool {
	return slices.Contains(r.cfg.Transports, transport)
}

// adaptable is a transport that the URI did not name: UDP may turn to TCP for large requests.
func (r *Resolver) adaptable(transport string) string {
	if transport == "udp" && r.supports("tcp") {
		return ""
	}
	return transport
}

// discover asks the domain what it offers: by NAPTR, and where there are no such records by SRV for each transport.
// ok = there were SRV records, and nothing else counts. When NAPTR has chosen a transport that has no SRV records,
// that is the transport for the addresses of the domain.
func (r *Resolver) discover(ctx context.Context, p place, transport *string) (found []Target, ok bool, err error) {
	offers, err := r.naptr(ctx, p)
	if err != nil && !errors.Is(err, ErrAnswer) {
		return nil, false, err // other questions would wait in vain too
	}
	if len(offers) > 0 {
		*transport = r.adaptable(offers[0].transport)
	} else {
		for _, t := range r.cfg.Transports {
			if p.scheme != "sips" || secure(t) {
				offers = append(offers, offer{t, srvName(t, p.target)})
			}
		}
	}
	type answer struct {
		found []Target
		ok    bool
		err   error
	}
	answers := inParallel(offers, func(o offer) (a answer) {
		a.found, a.ok, a.err = r.service(ctx, o.name, r.adaptable(o.transport), p.host)
		return a
	})
	var failed error
	for _, a := range answers {
		found, ok = append(found, a.found...), ok || a.ok
		if a.err != nil && failed == nil {
			failed = a.err
		}
	}
	if len(found) > 0 {
		failed = nil
	}
	return found, ok, failed
}

// srvName is where the SRV records of a transport are (RFC 3263 4.1, 4.2).
func srvName(transport, domain string) string {
	switch transport {
	case "tls":
		return "_sips._tcp." + domain
	case "wss":
		return "_sips._ws." + domain
	case "":
		transport = "udp"
	}
	return "_sip._" + transport + "." + domain
}

// service gives the targets of SRV records. ok = there are such records.
func (r *Resolver) service(ctx context.Context, name, transport, domain string) (found []Target, ok bool, err error) {
	records, _, err := r.srv(ctx, name)
	if err != nil || len(records) == 0 {
		return nil, false, err
	}
	found, err = r.atAll(ctx, records, transport, domain)
	return found, true, err
}

// atAll gives the targets at the hosts of SRV records, in their order.
func (r *Resolver) atAll(ctx context.Context, records []service, transport, domain string) (found []Target, err error) {
	type answer struct {
		found []Target
		err   error
	}
	answers := inParallel(records, func(s service) (a answer) {
		a.found, a.err = r.at(ctx, transport, s.host, s.port, domain)
		return a
	})
	for _, a := range answers {
		if found = append(found, a.found...); a.err != nil && err == nil {
			err = a.err
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if err == nil {
		err = fmt.Errorf("no host that serves %s has an address: %w", domain, ErrNotFound)
	}
	return nil, err
}

// at gives the targets at the addresses of one host.
func (r *Resolver) at(ctx context.Context, transport, host string, port uint16, domain string) ([]Target, error) {
	addrs, _, err := r.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	found := make([]Target, len(addrs))
	for i, a := range addrs {
		found[i] = Target{transport, netip.AddrPortFrom(a, port).String(), domain}
	}
	return found, nil
}

// abstract implements RFC 3861 for the SIP label.
func (r *Resolver) abstract(ctx context.Context, p place) ([]Target, error) {
	i, err := r.instant(ctx, p)
	if err != nil {
		return nil, err
	}
	if len(i.records) == 0 {
		// An implicit record leads to the domain itself, where SIP is found as for any SIP URI (RFC 5509 3).
		return r.sip(ctx, place{scheme: "sip", host: p.host, target: i.domain})
	}
	transport, err := r.transport(place{scheme: "sip"})
	if err != nil {
		return nil, err
	}
	return r.atAll(ctx, i.records, transport, p.host)
}

// SIPURI turns a pres or im URI into the SIP URI that a request for it may carry instead (RFC 3428 5, RFC 5509 3); a
// sip or sips URI stays as it is. The error says why there is none.
func (r *Resolver) SIPURI(ctx context.Context, uri string) (string, error) {
	p, err := parseURI(uri)
	if err != nil || !p.abstract() {
		return uri, err
	}
	i := instant{domain: p.host, exists: true}
	if r.routes[p.host] == nil {
		i, err = r.instant(ctx, p)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("resolving %s: %w", uri, err)
	case len(i.records) == 0 && !i.exists:
		return "", fmt.Errorf("resolving %s: %s has neither service nor address: %w", uri, i.domain, ErrNotFound)
	case len(i.records) == 0:
		return "sip:" + p.user + "@" + bracketed(i.domain), nil
	}
	resolved := "sip:" + p.user + "@" + i.records[0].host
	if port := i.records[0].port; port != 5060 {
		resolved += ":" + strconv.Itoa(int(port))
	}
	return resolved, nil
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// instant is what DNS says about presence or instant messages over SIP for a domain.
type instant struct {
	records []service
	domain  string // without records: whose addresses count
	exists  bool   // and that it has some
}

func (r *Resolver) instant(ctx context.Context, p place) (instant, error) {
	label := "_" + p.scheme + "._sip."
	domain := p.target
	if _, err := netip.ParseAddr(domain); err == nil {
		return instant{domain: domain, exists: true}, nil
	}
	for range maxAliases {
		records, canonical, err := r.srv(ctx, label+domain)
		if err != nil || len(records) > 0 {
			return instant{records: records}, err
		}
		if !strings.HasPrefix(canonical, label) {
			domain = canonical // an alias instead of SRV: as if it had been the domain from the beginning
			continue
		}
		addrs, canonical, err := r.addresses(ctx, domain)
		if err != nil {
			return instant{}, err
		}
		if canonical == domain {
			return instant{domain: domain, exists: len(addrs) > 0}, nil
		}
		domain = canonical
	}
	return instant{}, errAliases
}
