package xcap

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Endpoint is where a server listens.
type Endpoint struct {
	Scheme string // http or https
	Addr   string // host:port; IPv6 in brackets
}

// String is "scheme:host:port", which ParseEndpoint reads.
func (e Endpoint) String() string { return e.Scheme + ":" + e.Addr }

// ParseEndpoint reads "http:127.0.0.1:8080", "https:[::1]:8443" or "127.0.0.1:8080", which is one of http. Without a port it is 80, of
// https 443.
func ParseEndpoint(s string) (Endpoint, error) {
	e, port := Endpoint{"http", s}, "80"
	if rest, ok := strings.CutPrefix(s, "http:"); ok {
		e.Addr = rest
	} else if rest, ok := strings.CutPrefix(s, "https:"); ok {
		e, port = Endpoint{"https", rest}, "443"
	}
	if ip, err := netip.ParseAddr(strings.Trim(e.Addr, "[]")); err == nil {
		e.Addr = net.JoinHostPort(ip.String(), port)
		return e, nil
	}
	if !strings.Contains(e.Addr, ":") {
		if _, err := strconv.Atoi(e.Addr); err == nil || e.Addr == "" {
			return e, fmt.Errorf("endpoint %q has no host; write host:port, or :port for every address", s)
		}
		e.Addr = net.JoinHostPort(e.Addr, port)
		return e, nil
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil || strings.ContainsAny(host, "/@") {
		return e, fmt.Errorf("endpoint %q: expected http or https, a host and a port", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return e, fmt.Errorf("endpoint %q: port %q is not a number from 0 to 65535", s, port)
	}
	return e, nil
}
