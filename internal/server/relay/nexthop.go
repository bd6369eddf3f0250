package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// nextHop is one entry of what may be connected to.
type nextHop struct {
	name   string // "": any; with a dot in front all names below
	prefix netip.Prefix
	port   uint16 // 0: any
}

var errNotAllowed = errors.New("next hops at this address are not allowed")

// NextHops reads which next hops are allowed: names (example.com, or .example.com for all below it), addresses and
// networks in CIDR form, names and addresses with a port too. An empty list allows all but addresses of this machine
// and those that only this link has; local allows them too.
func NextHops(list []string, local bool) (func(host string, at netip.AddrPort) error, error) {
	if len(list) == 0 {
		return func(_ string, at netip.AddrPort) error {
			ip := at.Addr().Unmap()
			if !local && (ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || isOwn(ip)) || ip.IsMulticast() {
				return errNotAllowed
			}
			return nil
		}, nil
	}
	hops := make([]nextHop, len(list))
	for i, text := range list {
		var err error
		if hops[i], err = parseNextHop(text); err != nil {
			return nil, fmt.Errorf("next hop %q: %w", text, err)
		}
	}
	return func(host string, at netip.AddrPort) error {
		for _, h := range hops {
			if h.allows(host, at) {
				return nil
			}
		}
		return errNotAllowed
	}, nil
}

// isOwn reports whether an address is one of this machine, where services may be that others are kept from.
func isOwn(ip netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true // nobody knows
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok {
			if at, ok := netip.AddrFromSlice(n.IP); ok && at.Unmap() == ip {
				return true
			}
		}
	}
	return false
}

func parseNextHop(text string) (h nextHop, err error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return nextHop{prefix: prefix.Masked()}, nil
	}
	name := text
	if host, port, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return h, errors.New("its port is not a number from 1 to 65535")
		}
		name, h.port = host, uint16(n)
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		h.prefix = netip.PrefixFrom(ip, ip.BitLen())
		return h, nil
	}
	h.name = strings.ToLower(name)
	if strings.Trim(h.name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" || strings.Trim(h.name, ".") == "" {
		return h, errors.New("it is no host name, address or network")
	}
	return h, nil
}

func (h nextHop) allows(host string, at netip.AddrPort) bool {
	switch host = strings.ToLower(host); {
	case h.port != 0 && h.port != at.Port():
		return false
	case h.prefix.IsValid():
		return h.prefix.Contains(at.Addr().Unmap())
	case strings.HasPrefix(h.name, "."):
		return strings.HasSuffix(host, h.name)
	}
	return host == h.name
}
