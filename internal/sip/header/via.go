package header

import "net/netip"

// Via is one element of a Via header field (RFC 3261 section 20.42, RFC 3581).
type Via struct {
	Protocol  string // "SIP/2.0" in practice, upper case
	Transport string // upper case, e.g. "UDP"
	Host      string // of sent-by, an IPv6 address with its brackets
	Port      int    // of sent-by, 0 when absent
	Params    Params // branch, rport, received, maddr, ttl and extensions
}

// ParseVia parses one Via element; [List] takes a field apart.
func ParseVia(s string) (Via, error) {
	p := scanner{field: "Via", s: s}
	v, err := p.via()
	if err != nil {
		return Via{}, err
	}
	return v, p.end()
}

func (p *scanner) via() (Via, error) {
	var v Via
	p.space()
	start := p.pos
	name, err := p.token("a protocol")
	if err != nil {
		return v, err
	}
	if !p.eat('/') {
		return v, p.want("a slash")
	}
	version, err := p.token("a protocol version")
	if err != nil {
		return v, err
	}
	if v.Protocol = p.s[start:p.pos]; len(v.Protocol) > len(name)+1+len(version) {
		v.Protocol = name + "/" + version
	}
	v.Protocol = uppered(v.Protocol)
	if !p.eat('/') {
		return v, p.want("a slash")
	}
	if v.Transport, err = p.token("a transport"); err != nil {
		return v, err
	}
	v.Transport = uppered(v.Transport)
	if !p.space() {
		return v, p.want("white space behind the transport")
	}
	if v.Host, err = p.host(); err != nil {
		return v, err
	}
	if p.eat(':') {
		if v.Port, err = p.port(); err != nil {
			return v, err
		}
	}
	if v.Params, err = p.params(); err != nil {
		return v, err
	}
	return v, p.viaParams(v.Params)
}

// viaParams checks the parameters that have a grammar of their own; none of them may be quoted.
func (p *scanner) viaParams(ps Params) error {
	for _, param := range ps {
		v, ok := param.Value, true
		switch name := param.Name; {
		case fold(name, "branch"):
			ok = IsToken(v)
		case fold(name, "received"):
			ok = isIPv4(v) || isIPv6(v) || isIPv6Reference(v)
		case fold(name, "rport"):
			n, digits := deltaSeconds(v)
			ok = v == "" || digits && n > 0 && n <= 65535
		case fold(name, "ttl"):
			n, digits := deltaSeconds(v)
			ok = digits && n <= 255 && len(v) <= 3
		case fold(name, "maddr"):
			ok = isHostname(v) || isIPv4(v) || isIPv6Reference(v)
		default:
			continue
		}
		if !ok || param.Quoted {
			return p.fail("the value of parameter " + param.Name + " is malformed")
		}
	}
	return nil
}

// Branch returns the branch parameter, "" when there is none.
func (v Via) Branch() string {
	b, _ := v.Params.Get("branch")
	return b
}

// Received returns the received parameter, which RFC 3261 section 18.2.1 sets to the source address of the request; ok is
// false when it is absent.
func (v Via) Received() (addr netip.Addr, ok bool) {
	r, ok := v.Params.Get("received")
	if !ok {
		return netip.Addr{}, false
	}
	if len(r) > 2 && r[0] == '[' {
		r = r[1 : len(r)-1]
	}
	addr, err := netip.ParseAddr(r)
	return addr, err == nil
}

// RPort returns the rport parameter (RFC 3581); ok is true, with the port 0, when it is there without a value.
func (v Via) RPort() (port int, ok bool) {
	r, ok := v.Params.Get("rport")
	n, _ := deltaSeconds(r)
	return int(n), ok
}

// AppendTo appends the element.
func (v Via) AppendTo(dst []byte) []byte {
	dst = append(append(dst, v.Protocol...), '/')
	dst = append(append(dst, v.Transport...), ' ')
	dst = appendPort(append(dst, v.Host...), v.Port)
	return v.Params.AppendTo(dst)
}

// String renders the element as AppendTo does.
func (v Via) String() string { return string(v.AppendTo(nil)) }
