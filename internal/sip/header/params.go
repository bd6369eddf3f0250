package header

import (
	"net/netip"
	"slices"
	"strings"
)

// maxParams bounds the parameters of one value; finding repeated names costs its square.
const maxParams = 64

// Param is one parameter. In a header field Value is unquoted, and Quoted says that it stood in quotes; a
// parameter without a value has the empty Value and is not Quoted. In a URI Value is as it stands there, with its
// escapes, and never quoted.
type Param struct {
	Name   string
	Value  string
	Quoted bool
}

// Params are the parameters of a header field value or a URI, in order. Names compare without case and are
// there once (RFC 3261 section 7.3.1 and 19.1.1).
type Params []Param

// Get returns the value of the parameter called name; ok is true for one that is present without a value.
func (ps Params) Get(name string) (value string, ok bool) {
	for i := range ps {
		if fold(ps[i].Name, name) {
			return ps[i].Value, true
		}
	}
	return "", false
}

// Has tells whether a parameter called name is present.
func (ps Params) Has(name string) bool {
	_, ok := ps.Get(name)
	return ok
}

// Set returns the parameters with name set to value, in place of an old value or at the end. An empty value
// makes a parameter without one. ps itself is not changed.
func (ps Params) Set(name, value string) Params {
	p := Param{Name: name, Value: value, Quoted: value != "" && !isBare(name, value)}
	out := slices.Clone(ps)
	for i := range out {
		if fold(out[i].Name, name) {
			p.Name = out[i].Name
			out[i] = p
			return out
		}
	}
	return append(out, p)
}

// Del returns the parameters without the one called name. ps itself is not changed.
func (ps Params) Del(name string) Params {
	for i := range ps {
		if fold(ps[i].Name, name) {
			return slices.Delete(slices.Clone(ps), i, i+1)
		}
	}
	return ps
}

// AppendTo appends the parameters of a header field, each behind a semicolon. A value that is neither token nor host
// is quoted.
func (ps Params) AppendTo(dst []byte) []byte {
	for i := range ps {
		p := &ps[i]
		dst = append(dst, ';')
		dst = append(dst, p.Name...)
		switch {
		case p.Quoted || p.Value != "" && !isBare(p.Name, p.Value):
			dst = AppendQuoted(append(dst, '='), p.Value)
		case p.Value != "":
			dst = append(append(dst, '='), p.Value...)
		}
	}
	return dst
}

// String renders the parameters as AppendTo does.
func (ps Params) String() string { return string(ps.AppendTo(nil)) }

// isBare tells whether value can stand without quotes as the value of the parameter called name: a token or a
// host. Via's received is an address without brackets.
func isBare(name, value string) bool {
	return IsToken(value) || isIPv6Reference(value) || isReceived(name) && isIPv6(value)
}

func isReceived(name string) bool { return fold(name, "received") }

func isIPv6Reference(s string) bool {
	return len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' && isIPv6(s[1:len(s)-1])
}

func isIPv6(s string) bool {
	if strings.IndexByte(s, ':') < 0 || strings.IndexByte(s, '%') >= 0 {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// params takes *(SEMI generic-param).
func (p *scanner) params() (Params, error) {
	var ps Params
	if n := strings.Count(p.s[p.pos:], ";"); n > 0 {
		ps = make(Params, 0, min(n, 8))
	}
	for p.eat(';') {
		at := p.pos
		param, err := p.param()
		if err != nil {
			return nil, err
		}
		if ps.Has(param.Name) {
			return nil, p.failAt(at, "parameter "+param.Name+" is repeated")
		}
		if len(ps) == maxParams {
			return nil, p.failAt(at, "too many parameters")
		}
		ps = append(ps, param)
	}
	if len(ps) == 0 {
		return nil, nil
	}
	return ps, nil
}

// param takes token [EQUAL gen-value].
func (p *scanner) param() (Param, error) {
	name, err := p.token("a parameter name")
	if err != nil {
		return Param{}, err
	}
	if !p.eat('=') {
		return Param{Name: name}, nil
	}
	if p.peek() == '"' {
		v, err := p.quoted()
		return Param{name, v, true}, err
	}
	v, err := p.genValue(isReceived(name))
	return Param{Name: name, Value: v}, err
}

// genValue takes a token or a host, and with bareIPv6 an IPv6 address without brackets.
func (p *scanner) genValue(bareIPv6 bool) (string, error) {
	start := p.pos
	v := p.run(isTokenChar)
	switch {
	case p.peek() == '[' && v == "":
		v = p.ipv6Reference()
	case p.peek() == ':' && bareIPv6:
		for !p.done() && (is(p.peek(), isHex) || p.peek() == ':' || p.peek() == '.') {
			p.pos++
		}
		if v = p.s[start:p.pos]; !isIPv6(v) {
			v = ""
		}
	}
	if v == "" {
		p.pos = start
		return "", p.want("a parameter value")
	}
	return v, nil
}

// ipv6Reference takes an address in brackets, and nothing when there is none. The third colon that RFC 3261 puts before an
// embedded IPv4 address is dropped (RFC 5118 section 4.10).
func (p *scanner) ipv6Reference() string {
	n := strings.IndexByte(p.s[p.pos:], ']') + 1
	ref := p.s[p.pos : p.pos+n]
	if i := strings.Index(ref, ":::"); i >= 0 && strings.IndexByte(ref, '.') > i {
		ref = ref[:i] + ref[i+1:]
	}
	if !isIPv6Reference(ref) {
		return ""
	}
	p.pos += n
	return ref
}
