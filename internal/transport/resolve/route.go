package resolve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Route sends what is for one domain to an address, instead of asking DNS.
type Route struct {
	Domain    string // A-labels in lower case
	Transport string // "udp", "tcp", "tls", "ws" or "wss"; "" = udp, or tcp for what is too large for it
	Addr      string // host:port; a host name is looked up for its addresses
}

// ports are the transports with their default ports (RFC 3261 19.1.2, RFC 7118 5.5).
var ports = map[string]uint16{"": 5060, "udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}

// secure tells whether a transport is one for sips URIs.
func secure(transport string) bool { return transport == "tls" || transport == "wss" }

// String is what ParseRoute reads.
func (r Route) String() string {
	if r.Transport == "" {
		return r.Domain + "=" + r.Addr
	}
	return r.Domain + "=" + r.Transport + ":" + r.Addr
}

// ParseRoute reads "example.com=tcp:192.0.2.1:5060". The transport may be left out, and so may the port. The error
// says what is missing.
func ParseRoute(s string) (Route, error) {
	domain, to, ok := strings.Cut(s, "=")
	if !ok || domain == "" || to == "" {
		return Route{}, fmt.Errorf("route %q: write DOMAIN=TRANSPORT:ADDR, such as example.com=udp:192.0.2.1:5060", s)
	}
	var r Route
	var err error
	if r.Domain, err = Domain(domain); err != nil {
		return Route{}, fmt.Errorf("route %q: %w", s, err)
	}
	first, rest, ok := strings.Cut(to, ":")
	if t := strings.ToLower(first); ok && t != "" {
		if _, known := ports[t]; known {
			r.Transport, to = t, rest
		} else if looksLikeTransport(first, rest) {
			return Route{}, fmt.Errorf("route %q: transport %q is not supported; use udp, tcp, tls, ws or wss", s, first)
		}
	}
	if r.Addr, err = routeAddr(to, ports[r.Transport]); err != nil {
		return Route{}, fmt.Errorf("route %q: %w", s, err)
	}
	return r, nil
}

// looksLikeTransport tells "sctp:host:port" from "host:port" and from an IPv6 address.
func looksLikeTransport(first, rest string) bool {
	if strings.ContainsAny(first, "[.") || strings.Trim(first, "0123456789abcdefABCDEF") == "" {
		return false
	}
	_, err := strconv.Atoi(rest)
	return err != nil
}

var errAddr = errors.New("the address is not host:port; an IPv6 address stands in brackets")

// routeAddr takes host, host:port, [v6], [v6]:port and a bare IPv6 address.
func routeAddr(s string, port uint16) (string, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port).String(), nil
	}
	host, text := s, strconv.Itoa(int(port))
	if strings.Contains(s, ":") {
		var err error
		if host, text, err = net.SplitHostPort(s); err != nil {
			return "", errAddr
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", text)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a.Unmap(), uint16(n)).String(), nil
	}
	if strings.ContainsAny(host, ":[]") {
		return "", errAddr
	}
	host = strings.TrimSuffix(host, ".")
	if strings.Trim(host, "0123456789") == "" || ports[strings.ToLower(host)] != 0 {
		return "", fmt.Errorf("address %q has no host; write host:port", s)
	}
	if host, err = Domain(host); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}
