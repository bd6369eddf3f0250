package stack

import "bytes"

// The checks here work on received bytes and allocate nothing: they run for every message. A header field value may
// be folded, so CR and LF count as white space; the scanner has made sure that they only occur as folding.

const (
	isToken = 1 << iota // RFC 3261 25.1 token
	isHost              // hostname, IPv4 address
	isSpace
	isDigit
	isURI // may stand in a URI
)

var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken | isHost | isDigit | isURI
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken | isHost | isURI
		t[c-'a'+'A'] |= isToken | isHost | isURI
	}
	for _, c := range "-.!%*_+`'~" {
		t[c] |= isToken
	}
	for _, c := range "-._" {
		t[c] |= isHost
	}
	for _, c := range " \t\r\n" {
		t[c] |= isSpace
	}
	for c := '!'; c <= '~'; c++ {
		t[c] |= isURI
	}
	for _, c := range "<>\"" {
		t[c] &^= isURI
	}
	for c := 0x80; c <= 0xff; c++ { // liberal: UTF-8 that should have been escaped
		t[c] |= isURI
	}
	return t
}()

func is(c byte, mask uint8) bool { return class[c]&mask != 0 }

// run is the length of the prefix of b whose bytes are all in mask.
func run(b []byte, mask uint8) int {
	for i, c := range b {
		if class[c]&mask == 0 {
			return i
		}
	}
	return len(b)
}

// spaceless tells whether there is no white space in b.
func spaceless(b []byte) bool {
	for _, c := range b {
		if class[c]&isSpace != 0 {
			return false
		}
	}
	return true
}

func skipSpace(b []byte) []byte { return b[run(b, isSpace):] }

func trimSpace(b []byte) []byte {
	b = skipSpace(b)
	for len(b) > 0 && is(b[len(b)-1], isSpace) {
		b = b[:len(b)-1]
	}
	return b
}

// quoted returns the length of the quoted-string that b begins with, 0 when it does not end.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// equalFold compares b with a lower-case ASCII word.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// number reads an unsigned decimal of at most ten digits.
func number(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || run(b, isDigit) != len(b) {
		return 0, false
	}
	b = bytes.TrimLeft(b, "0")
	if len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// param reads one generic-param. b begins behind the semicolon; rest begins at the next separator or is empty. The
// value may be any run without separators: real Via fields hold IPv6 addresses there, with and without brackets.
func param(b []byte) (name, value, rest []byte, ok bool) {
	b = skipSpace(b)
	n := run(b, isToken)
	if n == 0 {
		return nil, nil, b, false
	}
	name, rest = b[:n], skipSpace(b[n:])
	if len(rest) == 0 || rest[0] != '=' {
		return name, nil, rest, true
	}
	b = skipSpace(rest[1:])
	if len(b) > 0 && b[0] == '"' {
		n = quoted(b)
	} else {
		n = bytes.IndexAny(b, ";, \t\r\n=\"<>")
		if n < 0 {
			n = len(b)
		}
	}
	if n == 0 {
		return nil, nil, b, false
	}
	return name, b[:n], skipSpace(b[n:]), true
}

// via is one Via value (RFC 3261 20.42). The slices lie in the received bytes.
type via struct {
	raw      []byte // the whole value
	host     []byte // of sent-by; IPv6 without brackets
	port     uint16 // 0 = none
	branch   []byte
	rport    []byte // ";rport" with its value, nil = absent
	received []byte // ";received=…", nil = absent
}

// parseVia reads the first Via value of a line; rest is what follows its comma. When the value is malformed v still has
// what was read before, without raw.
func parseVia(b []byte) (v via, rest []byte, ok bool) {
	b = skipSpace(b)
	line := b
	b, ok = viaProtocol(b)
	if !ok {
		return v, nil, false
	}
	if v.host, v.port, b, ok = hostPort(b); !ok {
		return v, nil, false
	}
	b = skipSpace(b)
	for len(b) > 0 && b[0] == ';' {
		start := b
		name, value, tail, ok := param(b[1:])
		if !ok {
			return v, nil, false
		}
		b = tail
		switch {
		case equalFold(name, "branch"):
			v.branch = value
		case equalFold(name, "rport"):
			v.rport = start[:len(start)-len(tail)]
		case equalFold(name, "received"):
			v.received = start[:len(start)-len(tail)]
		}
	}
	v.raw = line[:len(line)-len(b)]
	if len(b) == 0 {
		return v, nil, true
	}
	if b[0] != ',' {
		return v, nil, false
	}
	rest = skipSpace(b[1:])
	return v, rest, len(rest) > 0
}

// viaProtocol reads "SIP/2.0/UDP", of any version, and the white space behind it.
func viaProtocol(b []byte) ([]byte, bool) {
	for i := range 3 {
		if i > 0 {
			b = skipSpace(b)
			if len(b) == 0 || b[0] != '/' {
				return nil, false
			}
			b = skipSpace(b[1:])
		}
		n := run(b, isToken)
		if n == 0 || i == 0 && !equalFold(b[:n], "sip") {
			return nil, false
		}
		b = b[n:]
	}
	host := skipSpace(b)
	return host, len(host) < len(b)
}

// hostPort reads host [":" port]; IPv6 is given without its brackets.
func hostPort(b []byte) (host []byte, port uint16, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 {
			return nil, 0, nil, false
		}
		for _, c := range b[1:end] {
			if !is(c, isHost) && c != ':' {
				return nil, 0, nil, false
			}
		}
		host, b = b[1:end], b[end+1:]
	} else {
		n := run(b, isHost)
		if n == 0 {
			return nil, 0, nil, false
		}
		host, b = b[:n], b[n:]
	}
	rest = skipSpace(b)
	if len(rest) == 0 || rest[0] != ':' {
		return host, 0, b, true
	}
	rest = skipSpace(rest[1:])
	n := run(rest, isDigit)
	p, ok := number(rest[:n])
	if !ok || p == 0 || p > 65535 {
		return nil, 0, nil, false
	}
	return host, uint16(p), rest[n:], true
}

// addressTag checks a From or To value, name-addr or addr-spec with parameters (RFC 3261 20.10), and returns its tag.
func addressTag(b []byte) (tag []byte, ok bool) {
	b, ok = displayName(skipSpace(b))
	if !ok || len(b) == 0 {
		return nil, false
	}
	uri := b
	if b[0] == '<' {
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return nil, false
		}
		uri, b = b[1:end], b[end+1:]
	} else {
		// Without brackets a comma, question mark or semicolon cannot belong to the URI (20.10).
		n := bytes.IndexAny(b, ";,? \t\r\n")
		if n < 0 {
			n = len(b)
		}
		uri, b = b[:n], b[n:]
	}
	if colon := bytes.IndexByte(uri, ':'); colon <= 0 || run(uri, isURI) != len(uri) || colon == len(uri)-1 {
		return nil, false
	}
	b = skipSpace(b)
	for len(b) > 0 {
		if b[0] != ';' {
			return nil, false
		}
		name, value, rest, ok := param(b[1:])
		if !ok {
			return nil, false
		}
		if equalFold(name, "tag") {
			if tag != nil || len(value) == 0 {
				return nil, false
			}
			tag = value
		}
		b = rest
	}
	return tag, true
}

// contactList checks a Contact value: "*", or addresses with parameters.
func contactList(b []byte) bool {
	if len(b) == 1 && b[0] == '*' {
		return true
	}
	for {
		end := elementEnd(b)
		if _, ok := addressTag(trimSpace(b[:end])); !ok || portZero(b[:end]) {
			return false
		}
		if end == len(b) {
			return true
		}
		b = b[end+1:]
	}
}

// portZero tells an address with port 0, where nobody is. The parser takes it for no port.
func portZero(b []byte) bool {
	if !bytes.Contains(b, []byte(":0")) {
		return false
	}
	if b, _ = displayName(skipSpace(b)); len(b) > 0 && b[0] == '<' {
		b = b[1:]
	}
	sch := scheme(b)
	if !equalFold(sch, "sip") && !equalFold(sch, "sips") {
		return false
	}
	b = b[len(sch)+1:]
	if at := bytes.IndexByte(b, '@'); at >= 0 {
		b = b[at+1:]
	}
	if end := bytes.IndexAny(b, ";?>"); end >= 0 {
		b = b[:end]
	}
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 {
		return false
	}
	port, ok := number(b[colon+1:])
	return ok && port == 0
}

// elementEnd is where the comma behind the first element of a list is, or the end.
func elementEnd(b []byte) int {
	bracket := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if bracket {
				continue
			}
			n := quoted(b[i:])
			if n == 0 {
				return len(b)
			}
			i += n - 1
		case '<':
			bracket = true
		case '>':
			bracket = false
		case ',':
			if !bracket {
				return i
			}
		}
	}
	return len(b)
}

// displayName skips what stands before "<"; without brackets it skips nothing.
func displayName(b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == '"' {
		n := quoted(b)
		if n == 0 {
			return nil, false
		}
		b = skipSpace(b[n:])
		return b, len(b) > 0 && b[0] == '<'
	}
	open := bytes.IndexByte(b, '<')
	if open < 0 {
		return b, true
	}
	for _, c := range b[:open] {
		// Beyond ASCII is not in the grammar of an unquoted display name, but seen and harmless.
		if !is(c, isToken|isSpace) && c < 0x80 {
			return nil, false
		}
	}
	return b[open:], true
}

// parseCSeq reads "number method"; the number is below 2**31 (RFC 3261 8.1.1.5).
func parseCSeq(b []byte) (n uint32, method []byte, ok bool) {
	d := run(b, isDigit)
	v, ok := number(b[:d])
	if !ok || v >= 1<<31 {
		return 0, nil, false
	}
	method = skipSpace(b[d:])
	if len(method) == 0 || len(method) == len(b)-d || run(method, isToken) != len(method) {
		return 0, nil, false
	}
	return uint32(v), method, true
}

// scheme is the part of a URI before its colon, nil when that is none (RFC 3986 3.1).
func scheme(uri []byte) []byte {
	colon := bytes.IndexByte(uri, ':')
	if colon <= 0 || is(uri[0], isDigit) {
		return nil
	}
	for _, c := range uri[:colon] {
		if !is(c, isHost) && c != '+' || c == '_' {
			return nil
		}
	}
	return uri[:colon]
}

// checkSIPURI checks the part of a sip or sips Request-URI behind the scheme, as far as the host: user information of
// any kind, host, port. Header fields are not allowed there (RFC 3261 table 1).
func checkSIPURI(b []byte) (fault string) {
	if at := bytes.IndexByte(b, '@'); at >= 0 {
		if at == 0 {
			return "Malformed Request-URI: empty user"
		}
		b = b[at+1:]
	}
	_, _, rest, ok := hostPort(b)
	if !ok {
		return "Malformed Request-URI: host or port"
	}
	if len(rest) > 0 && rest[0] != ';' && rest[0] != '?' {
		return "Malformed Request-URI"
	}
	if bytes.IndexByte(rest, '?') >= 0 {
		return "Header fields in Request-URI"
	}
	return ""
}
