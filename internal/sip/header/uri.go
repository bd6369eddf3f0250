package header

import (
	"strconv"
	"strings"
)

// URI is a SIP, SIPS, pres or im URI taken apart, or any other URI left whole (RFC 3261 section 19.1, RFC 3859 appendix A,
// RFC 3860 appendix A). Parts are as received, with their escapes; a zero part is absent.
type URI struct {
	Scheme   string // lower case
	User     string // for pres and im the local part of the mailbox
	Password string
	Host     string // an IPv6 address with its brackets
	Port     int
	Params   Params
	Headers  Params // behind the question mark; a name may repeat
	Raw      string // for other schemes: everything behind the first colon
}

// ParseURI parses a URI without anything around it.
func ParseURI(s string) (URI, error) {
	p := scanner{field: "URI", s: s}
	u, params, headers, err := p.uri()
	if err != nil {
		return URI{}, err
	}
	if params != "" {
		if u.Params = splitPairs(params[1:], ';'); len(u.Params) > maxParams {
			return URI{}, p.fail("too many parameters")
		}
		for i, param := range u.Params {
			if u.Params[:i].Has(param.Name) {
				return URI{}, p.fail("parameter " + param.Name + " is repeated")
			}
		}
	}
	if headers != "" {
		if u.Headers = splitPairs(headers[1:], '&'); len(u.Headers) > maxParams {
			return URI{}, p.fail("too many header fields")
		}
	}
	return u, nil
}

// splitPairs splits name[=value] pairs, one more than maxParams at most.
func splitPairs(s string, sep byte) Params {
	ps := make(Params, min(strings.Count(s, string(sep))+1, maxParams+1))
	for i := range ps {
		pair := s
		if end := strings.IndexByte(s, sep); end >= 0 {
			pair, s = s[:end], s[end+1:]
		}
		ps[i].Name = pair
		if eq := strings.IndexByte(pair, '='); eq >= 0 {
			ps[i].Name, ps[i].Value = pair[:eq], pair[eq+1:]
		}
	}
	return ps
}

// uri takes a URI that reaches to the end of the input. Parameters and headers are checked and returned as text, each with
// the character that begins it.
func (p *scanner) uri() (u URI, params, headers string, err error) {
	if u.Scheme, err = p.scheme(); err != nil {
		return
	}
	switch u.Scheme {
	case "sip", "sips":
		if err = p.hostPart(&u); err != nil {
			return
		}
		if params, err = p.uriParams(); err == nil {
			headers, err = p.uriHeaders(isHeaderChar)
		}
	case "pres", "im":
		if err = p.mailbox(&u); err == nil {
			headers, err = p.uriHeaders(isHeaderChar | isMailHeaderChar)
		}
	default:
		if u.Raw = p.escaped(isURIChar); u.Raw == "" {
			err = p.want("a character of a URI")
		}
	}
	if err == nil && !p.done() {
		err = p.want("the end of the URI")
	}
	return
}

// scheme takes the scheme and its colon, and returns it in lower case.
func (p *scanner) scheme() (string, error) {
	start := p.pos
	scheme := p.run(isSchemeChar)
	if scheme == "" || !is(scheme[0], isAlpha) {
		p.pos = start
		return "", p.want("a URI scheme")
	}
	if p.peek() != ':' {
		return "", p.want("the colon of a URI")
	}
	p.pos++
	return lowered(scheme), nil
}

// hostPart takes [ userinfo "@" ] host [ ":" port ].
func (p *scanner) hostPart(u *URI) error {
	if strings.IndexByte(p.s[p.pos:], '@') >= 0 {
		if u.User = p.escaped(isUserChar); u.User == "" {
			return p.want("a user")
		}
		if p.peek() == ':' {
			p.pos++
			u.Password = p.escaped(isPassChar)
		}
		if p.peek() != '@' {
			return p.want("the @ behind the user")
		}
		p.pos++
	}
	var err error
	if u.Host, err = p.host(); err != nil {
		return err
	}
	if p.peek() == ':' {
		p.pos++
		u.Port, err = p.port()
	}
	return err
}

// port takes a port number.
func (p *scanner) port() (int, error) {
	at := p.pos
	digits := p.run(isDigit)
	n, ok := deltaSeconds(digits)
	if !ok {
		return 0, p.want("a port")
	}
	if n == 0 || n > 65535 {
		return 0, p.failAt(at, "the port is not between 1 and 65535")
	}
	return int(n), nil
}

// mailbox takes local-part "@" domain, percent-encoded.
func (p *scanner) mailbox(u *URI) error {
	start := p.pos
	if strings.HasPrefix(p.s[p.pos:], "//") {
		return p.fail("a " + u.Scheme + " URI has no // before its mailbox")
	}
	if u.User = p.escaped(isLocalChar); !isLocalPart(u.User) {
		return p.failAt(start, "a mailbox such as user@example.com expected")
	}
	if p.peek() != '@' {
		return p.want("the @ of a mailbox")
	}
	p.pos++
	var err error
	u.Host, err = p.host()
	return err
}

// isLocalPart tells whether s is, without its escapes, a dot-atom or a quoted string (RFC 2822 section 3.4.1); characters beyond
// ASCII count as text.
func isLocalPart(s string) bool {
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i, n := 0, 0; i < len(s); i += n {
			var c byte
			c, n = unescapeByte(s, i)
			b = append(b, c)
		}
		s = string(b)
	}
	if s != "" && s[0] == '"' {
		p := scanner{s: s}
		_, err := p.quoted()
		return err == nil && p.done()
	}
	last := byte('.')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '.' && last == '.' || c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
			return false
		}
		last = c
	}
	return last != '.'
}

// unescapeByte returns the byte at s[i] and its length there, which is 3 for an escape.
func unescapeByte(s string, i int) (c byte, n int) {
	if s[i] == '%' && i+2 < len(s) && is(s[i+1], isHex) && is(s[i+2], isHex) {
		return hexValue(s[i+1])<<4 | hexValue(s[i+2]), 3
	}
	return s[i], 1
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}

// escaped takes the longest run of bytes of a class and of escapes.
func (p *scanner) escaped(class uint16) string {
	s, start := p.s, p.pos
	i := start
	for i < len(s) {
		if classes[s[i]]&class != 0 {
			i++
		} else if _, n := unescapeByte(s, i); n > 1 {
			i += n
		} else {
			break
		}
	}
	p.pos = i
	return s[start:i]
}

// uriParams takes *( ";" pname [ "=" pvalue ] ).
func (p *scanner) uriParams() (string, error) {
	start := p.pos
	for p.peek() == ';' {
		p.pos++
		if p.escaped(isParamChar) == "" {
			return "", p.want("a parameter name")
		}
		if p.peek() != '=' {
			continue
		}
		p.pos++
		if p.escaped(isParamChar) == "" {
			return "", p.want("a parameter value")
		}
	}
	return p.s[start:p.pos], nil
}

// uriHeaders takes [ "?" hname "=" hvalue *( "&" hname "=" hvalue ) ].
func (p *scanner) uriHeaders(value uint16) (string, error) {
	start := p.pos
	for sep := byte('?'); p.peek() == sep; sep = '&' {
		p.pos++
		if p.escaped(isHeaderChar) == "" {
			return "", p.want("the name of a header field")
		}
		if p.peek() != '=' {
			return "", p.want("an equals sign")
		}
		p.pos++
		p.escaped(value)
	}
	return p.s[start:p.pos], nil
}

// host takes a host name, an IPv4 address or an IPv6 address in brackets.
func (p *scanner) host() (string, error) {
	at := p.pos
	if p.peek() == '[' {
		if ref := p.ipv6Reference(); ref != "" {
			return ref, nil
		}
		return "", p.fail("the brackets do not hold an IPv6 address")
	}
	h := p.run(isHostChar)
	if h == "" {
		return "", p.want("a host")
	}
	if !isHostname(h) && !isIPv4(h) {
		return "", p.failAt(at, "a host name or an IP address expected, found "+strconv.Quote(h))
	}
	return h, nil
}

// isHostname tells whether s is *( domainlabel "." ) toplabel [ "." ].
func isHostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	label := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !is(s[i], isHostChar) {
				return false
			}
			continue
		}
		if i == label || !is(s[label], isAlpha|isDigit) || !is(s[i-1], isAlpha|isDigit) {
			return false
		}
		if i == len(s) {
			return is(s[label], isAlpha)
		}
		label = i + 1
	}
	return false
}

// isIPv4 takes leading zeros, which the grammar has, for decimal ones.
func isIPv4(s string) bool {
	parts, digits, n := 1, 0, 0
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			if digits == 0 {
				return false
			}
			parts, digits, n = parts+1, 0, 0
			continue
		}
		n = n*10 + int(s[i]-'0')
		if digits++; !is(s[i], isDigit) || digits > 3 || n > 255 {
			return false
		}
	}
	return parts == 4 && digits > 0
}

// AppendTo appends the URI. Characters that a part cannot hold are escaped, escapes already there stay.
func (u URI) AppendTo(dst []byte) []byte {
	dst = append(append(dst, u.Scheme...), ':')
	if u.Raw != "" {
		return appendEscaped(dst, u.Raw, isURIChar)
	}
	if u.User != "" {
		dst = appendEscaped(dst, u.User, u.userClass())
		if u.Password != "" {
			dst = appendEscaped(append(dst, ':'), u.Password, isPassChar)
		}
		dst = append(dst, '@')
	}
	dst = appendPort(append(dst, u.Host...), u.Port)
	for _, param := range u.Params {
		dst = appendEscaped(append(dst, ';'), param.Name, isParamChar)
		if param.Value != "" {
			dst = appendEscaped(append(dst, '='), param.Value, isParamChar)
		}
	}
	value := isHeaderChar
	if u.isMailbox() {
		value |= isMailHeaderChar
	}
	for i, h := range u.Headers {
		sep := byte('&')
		if i == 0 {
			sep = '?'
		}
		dst = appendEscaped(append(dst, sep), h.Name, isHeaderChar)
		dst = appendEscaped(append(dst, '='), h.Value, value)
	}
	return dst
}

// Secured is a rendered sip URI as a sips URI, whose transport over TLS needs
// no name (RFC 3261 sections 19.1.2 and 26.2.2); any other is as it was.
func Secured(uri string) string {
	rest, ok := strings.CutPrefix(uri, "sip:")
	if !ok {
		return uri
	}
	return "sips:" + strings.Replace(rest, ";transport=tls", "", 1)
}

func appendPort(dst []byte, port int) []byte {
	if port > 0 {
		dst = strconv.AppendInt(append(dst, ':'), int64(port), 10)
	}
	return dst
}

// String renders the URI as AppendTo does.
func (u URI) String() string { return string(u.AppendTo(nil)) }

func (u URI) isMailbox() bool { return u.Scheme == "pres" || u.Scheme == "im" }

func (u URI) userClass() uint16 {
	if u.isMailbox() {
		return isLocalChar
	}
	return isUserChar
}

func appendEscaped(dst []byte, s string, class uint16) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if is(c, class) {
			dst = append(dst, c)
		} else if _, n := unescapeByte(s, i); n > 1 {
			dst = append(dst, s[i:i+n]...)
			i += n - 1
		} else {
			dst = appendEscape(dst, c)
		}
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}
