// Package wire implements the syntax of RFC 4975 section 9, with the additions of RFC 4976 section 7 and RFC 7977
// section 5: MSRP URIs, paths, and frames over a stream.
//
// A frame is a Head and, maybe, a body. A Reader gives the body in pieces as they arrive; a Writer, or the Append
// functions below it, make frames. Neither knows transactions or sessions.
package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// URI is an MSRP URI: scheme://authority/session-id;transport;parameters (RFC 4975 section 6).
type URI struct {
	Secure    bool   // msrps
	User      string // userinfo as written, of no meaning here
	Host      string // as written; an IPv6 address without its brackets
	Port      uint16 // 0: none
	SessionID string // "": none
	Transport string // as written, such as "tcp"
	Params    string // further parameters as written, with the semicolon before each
}

// ParseURI reads a URI. The error says which part is wrong.
func ParseURI(s string) (URI, error) {
	u, err := parseURI(s)
	if err != nil {
		return URI{}, fmt.Errorf("MSRP URI %.100q: %w", s, err)
	}
	return u, nil
}

func parseURI(s string) (u URI, err error) {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return u, errors.New("no scheme, it begins with msrp:// or msrps://")
	case strings.EqualFold(scheme, "msrps"):
		u.Secure = true
	case !strings.EqualFold(scheme, "msrp"):
		return u, errors.New("its scheme is neither msrp nor msrps")
	}
	end := strings.IndexAny(rest, "/;")
	if end < 0 {
		return u, errors.New("no transport, such as ;tcp")
	}
	if err := u.parseAuthority(rest[:end]); err != nil {
		return u, err
	}
	session, params, ok := strings.Cut(rest[end:], ";")
	if !ok {
		return u, errors.New("no transport, such as ;tcp")
	}
	if session != "" {
		u.SessionID = session[1:]
		if u.SessionID == "" || !all(u.SessionID, isSession) {
			return u, errors.New("the session-id is empty or has a character that it may not have")
		}
	}
	u.Transport, params, ok = strings.Cut(params, ";")
	if u.Transport == "" || !all(u.Transport, isAlnum) {
		return u, errors.New("the transport is not a word of letters and digits")
	}
	if ok {
		u.Params = ";" + params
	}
	for ok {
		var param string
		param, params, ok = strings.Cut(params, ";")
		name, value, has := strings.Cut(param, "=")
		if name == "" || !all(name, isToken) || has && (value == "" || !all(value, isToken)) {
			return u, fmt.Errorf("parameter %.40q is not of the form name or name=value", param)
		}
	}
	return u, nil
}

// parseAuthority reads [userinfo@]host[:port] (RFC 3986 section 3.2).
func (u *URI) parseAuthority(s string) error {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		u.User, s = s[:at], s[at+1:]
		if !escaped(u.User, isUserinfo) {
			return errors.New("the userinfo has a character that it may not have")
		}
	}
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return errors.New("the IPv6 address has no end")
		}
		host, port = s[1:end], s[end+1:]
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() || ip.Zone() != "" {
			return errors.New("what is in brackets is no IPv6 address")
		}
		if port != "" && port[0] != ':' {
			return errors.New("something other than a port follows the IPv6 address")
		}
	} else {
		if colon := strings.IndexByte(s, ':'); colon >= 0 {
			host, port = s[:colon], s[colon:]
		}
		if host == "" || !escaped(host, isRegName) {
			return errors.New("the host is empty or has a character that it may not have")
		}
	}
	u.Host = host
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil || n == 0 || !all(port[1:], isDigit) {
		return errors.New("the port is not a number from 1 to 65535")
	}
	u.Port = uint16(n)
	return nil
}

// String writes the URI.
func (u URI) String() string { return string(u.Append(nil)) }

// Append adds the URI as text.
func (u URI) Append(b []byte) []byte {
	b = append(b, "msrp"...)
	if u.Secure {
		b = append(b, 's')
	}
	b = append(b, "://"...)
	if u.User != "" {
		b = append(append(b, u.User...), '@')
	}
	if strings.IndexByte(u.Host, ':') >= 0 {
		b = append(append(append(b, '['), u.Host...), ']')
	} else {
		b = append(b, u.Host...)
	}
	if u.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(u.Port), 10)
	}
	if u.SessionID != "" {
		b = append(append(b, '/'), u.SessionID...)
	}
	return append(append(append(b, ';'), u.Transport...), u.Params...)
}

// Equal compares as RFC 4975 section 6.1 says: without userinfo and further parameters, and a URI without a port or a
// session-id never equals one with it.
func (u URI) Equal(v URI) bool {
	return u.Secure == v.Secure && u.Port == v.Port && u.SessionID == v.SessionID &&
		strings.EqualFold(u.Transport, v.Transport) && equalHosts(u.Host, v.Host)
}

// SameAuthority reports whether connections for both URIs can be the same one: equal scheme, host, port and transport.
func (u URI) SameAuthority(v URI) bool { return u.Authority() == v.Authority() }

// Authority is a key for connections to share: equal for URIs whose scheme, host, port and transport are equal.
func (u URI) Authority() string {
	scheme := "msrp://"
	if u.Secure {
		scheme = "msrps://"
	}
	return scheme + net.JoinHostPort(canonicalHost(u.Host), strconv.Itoa(int(u.Port))) + ";" + strings.ToLower(u.Transport)
}

// Address is host:port to connect to. The port is 0 when the URI has none.
func (u URI) Address() string {
	return net.JoinHostPort(canonicalHost(u.Host), strconv.Itoa(int(u.Port)))
}

func equalHosts(a, b string) bool {
	return strings.EqualFold(a, b) || canonicalHost(a) == canonicalHost(b)
}

// canonicalHost is the host in lower case, with the characters decoded that need no percent encoding, and addresses
// in their shortest form.
func canonicalHost(host string) string {
	if strings.IndexByte(host, '%') >= 0 {
		host = unescape(host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return strings.ToLower(host)
}

// unescape decodes unreserved characters only (RFC 3986 section 6.2.2.2).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && isUnreserved(byte(n)) {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Path is a list of URIs, as in To-Path, From-Path and the path attribute of SDP; the next hop is the first.
type Path []URI

// ParsePath reads URIs with one space between them.
func ParsePath(s string) (Path, error) {
	if n := strings.Count(s, " ") + 1; n > MaxPath {
		return nil, fmt.Errorf("path of %d URIs: %d are the most", n, MaxPath)
	}
	var p Path
	for ok := true; ok; {
		var one string
		one, s, ok = strings.Cut(s, " ")
		u, err := ParseURI(one)
		if err != nil {
			return nil, err
		}
		p = append(p, u)
	}
	return p, nil
}

// MaxPath is how many URIs a path may have.
const MaxPath = 32

// String writes the path.
func (p Path) String() string { return string(p.Append(nil)) }

// Append adds the path as text.
func (p Path) Append(b []byte) []byte {
	for i, u := range p {
		if i > 0 {
			b = append(b, ' ')
		}
		b = u.Append(b)
	}
	return b
}

// Equal compares paths URI by URI.
func (p Path) Equal(q Path) bool {
	if len(p) != len(q) {
		return false
	}
	for i := range p {
		if !p[i].Equal(q[i]) {
			return false
		}
	}
	return true
}
