package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// place is what location needs of a URI.
type place struct {
	scheme    string // lower case
	user      string // as written, without password
	host      string // A-labels in lower case; an address without brackets
	target    string // maddr, else host: the TARGET of RFC 3263 4
	port      uint16 // 0 = none
	transport string // of the stack; "" = the URI names none
}

var (
	errNoScheme = errors.New("the URI has no scheme")
	errNoHost   = errors.New("the URI has no host")
	errEscape   = errors.New("a host with a broken escape")
)

// parseURI reads as much of a sip, sips, pres or im URI as tells where it leads; whether the rest is well-formed is
// for others.
func parseURI(uri string) (place, error) {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" {
		return place{}, errNoScheme
	}
	p := place{scheme: strings.ToLower(scheme)}
	switch p.scheme {
	case "sip", "sips", "pres", "im":
	default:
		return place{}, fmt.Errorf("no way is known to servers for the scheme %q; use sip, sips, pres or im", scheme)
	}
	rest, _, _ = strings.Cut(rest, "?")
	// A user part may hold ";" and "@" only as escapes, but is seen with both.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		p.user, _, _ = strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
	}
	authority, params, _ := strings.Cut(rest, ";")
	if err := p.authority(authority); err != nil {
		return place{}, err
	}
	p.target = p.host
	if p.abstract() {
		return p, nil
	}
	return p, p.parameters(params)
}

// abstract tells whether the URI names no protocol (RFC 3859, RFC 3860).
func (p *place) abstract() bool { return p.scheme == "pres" || p.scheme == "im" }

// authority takes host [ ":" port ].
func (p *place) authority(s string) error {
	host := s
	if colon := strings.LastIndexByte(s, ':'); colon >= 0 && !strings.HasSuffix(s, "]") {
		n, err := strconv.ParseUint(s[colon+1:], 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("port %q is not a number from 1 to 65535", s[colon+1:])
		}
		host, p.port = s[:colon], uint16(n)
	}
	var err error
	p.host, err = hostOf(host)
	return err
}

// hostOf takes a domain, an IPv4 address or an IPv6 address in brackets, which it takes off.
func hostOf(s string) (string, error) {
	if s == "" {
		return "", errNoHost
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if err != nil || !closed || !a.Is6() {
			return "", fmt.Errorf("%q is no IPv6 address in brackets", s)
		}
		return a.String(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return a.String(), nil
	}
	return Domain(s)
}

// parameters takes those that say where a request goes.
func (p *place) parameters(s string) (err error) {
	for s != "" {
		var param string
		param, s, _ = strings.Cut(s, ";")
		name, value, _ := strings.Cut(param, "=")
		switch strings.ToLower(name) {
		case "maddr":
			if p.target, err = hostOf(value); err != nil {
				return fmt.Errorf("parameter maddr: %w", err)
			}
		case "transport":
			if p.transport, err = p.transportOf(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// transportOf is the transport that a transport parameter stands for. With sips it names what TLS runs over
// (RFC 5630 3.1.2, RFC 7118 5.2); "tls" is deprecated, but understood.
func (p *place) transportOf(value string) (string, error) {
	t := strings.ToLower(value)
	sips := p.scheme == "sips"
	switch {
	case t == "tls", t == "tcp" && sips:
		return "tls", nil
	case t == "wss", t == "ws" && sips:
		return "wss", nil
	case t == "udp" && sips:
		return "", errors.New("a sips URI cannot go over UDP: there is no TLS")
	case t == "udp", t == "tcp", t == "ws":
		return t, nil
	}
	return "", fmt.Errorf("transport %q is not supported", value)
}

// profile maps what users type to what DNS holds (RFC 5891 section 5). Rules of host names beyond those of labels are
// left to DNS, since names with underscores are in use.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// Domain turns a domain name into the form in which it is looked up and compared: A-labels in lower case, without a
// final dot. Percent escapes of UTF-8 (RFC 3986 3.2.2) are undone.
func Domain(s string) (string, error) {
	name := strings.TrimSuffix(s, ".")
	if strings.IndexByte(name, '%') >= 0 {
		var err error
		if name, err = unescape(name); err != nil {
			return "", fmt.Errorf("domain %q: %w", s, err)
		}
	}
	if isASCII(name) {
		name = strings.ToLower(name)
	} else {
		var err error
		if name, err = profile.ToASCII(name); err != nil {
			return "", fmt.Errorf("domain %q has no form that DNS can hold: %w", s, err)
		}
	}
	if len(name) > 253 {
		return "", fmt.Errorf("domain %.32q is longer than 253 characters", s)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, labelChars) != "" {
			return "", fmt.Errorf("%q is no domain name", s)
		}
	}
	return name, nil
}

const labelChars = "abcdefghijklmnopqrstuvwxyz0123456789-_"

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errEscape
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", errEscape
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), nil
}
