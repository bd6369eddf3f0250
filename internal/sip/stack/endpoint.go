package stack

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Endpoint is a place to listen at.
type Endpoint struct {
	Transport string // "udp", "tcp", "tls", "ws" or "wss"
	Addr      string // host:port; IPv6 in brackets; an empty host is every address of both families
}

// String is "transport:host:port", which ParseEndpoint reads.
func (e Endpoint) String() string { return e.Transport + ":" + e.Addr }

// ParseEndpoint reads "udp:127.0.0.1:5060", "sip+tls:[::1]:0" or "127.0.0.1:5060". Without a transport the result is
// a udp and a tcp endpoint, in this order, which share their port (also when it is 0). Without a port it is that of the
// transport: 5060, for tls 5061, for ws 80, for wss 443.
func ParseEndpoint(s string) ([]Endpoint, error) {
	known := kinds()
	addr := strings.TrimPrefix(s, "sip+")
	transport, rest, ok := strings.Cut(addr, ":")
	if k := known[transport]; ok && k != nil {
		addr, err := endpointAddr(rest, k.port)
		if err != nil {
			return nil, fmt.Errorf("endpoint %q: %w", s, err)
		}
		return []Endpoint{{transport, addr}}, nil
	}
	if strings.HasPrefix(s, "sip+") || ok && looksLikeTransport(transport, rest) {
		return nil, fmt.Errorf("endpoint %q: transport %q is not supported; use udp, tcp, tls, ws or wss", s, transport)
	}
	addr, err := endpointAddr(s, 5060)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", s, err)
	}
	return []Endpoint{{"udp", addr}, {"tcp", addr}}, nil
}

// looksLikeTransport tells "tls:host:port" from "host:port".
func looksLikeTransport(first, rest string) bool {
	_, err := strconv.Atoi(rest)
	return err != nil && !strings.HasPrefix(first, "[") && strings.Contains(rest, ":") && !strings.Contains(first, ".")
}

func endpointAddr(s string, port uint16) (string, error) {
	host, port, err := splitHostPort(s, port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// splitHostPort takes "host:port", "host", "[v6]:port", "[v6]" and a bare IPv6 address.
func splitHostPort(s string, standard uint16) (host string, port uint16, err error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), standard, nil
	}
	if !strings.Contains(s, ":") {
		if _, err := strconv.Atoi(s); err == nil || s == "" {
			return "", 0, fmt.Errorf("address %q has no host; write host:port, or :port for every address", s)
		}
		return s, standard, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("address %q is not host:port; an IPv6 address stands in brackets", s)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: port %q is not a number from 0 to 65535", s, text)
	}
	return host, uint16(n), nil
}
