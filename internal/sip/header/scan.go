package header

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Character classes of RFC 3261 section 25.1.
const (
	isAlpha uint16 = 1 << iota
	isDigit
	isHex
	isTokenChar
	isReserved // RFC 2396 reserved, which an escape does not equal
	isUserChar // user without escapes
	isPassChar // password without escapes
	isParamChar
	isHeaderChar // hname and hvalue without escapes
	isWordChar
	isHostChar
	isLocalChar      // local part of a mailbox in a pres or im URI without escapes
	isMailHeaderChar // what a hvalue there may have besides isHeaderChar
	isURIChar        // uric and brackets
	isSchemeChar
)

var classes = func() (t [256]uint16) {
	set := func(class uint16, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	const (
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		digits  = "0123456789"
		mark    = "-_.!~*'()"
		unres   = letters + digits + mark
		tokens  = letters + digits + "-.!%*_+`'~"
	)
	set(isAlpha, letters)
	set(isDigit, digits)
	set(isHex, digits+"abcdefABCDEF")
	set(isTokenChar, tokens)
	set(isReserved, ";/?:@&=+$,")
	set(isUserChar, unres+"&=+$,;?/")
	set(isPassChar, unres+"&=+$,")
	set(isParamChar, unres+"[]/:&+$")
	set(isHeaderChar, unres+"[]/?:+$")
	set(isWordChar, tokens+"()<>:\\\"/[]?{}")
	set(isHostChar, letters+digits+"-.")
	set(isLocalChar, letters+digits+"-_.!~*'&=+$")
	set(isMailHeaderChar, "@,;=")
	set(isSchemeChar, letters+digits+"+-.")
	set(isURIChar, unres+";/?:@&=+$,[]")
	return t
}()

func is(c byte, class uint16) bool { return classes[c]&class != 0 }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// fold compares without ASCII case. strings.EqualFold would take the Kelvin sign for a k.
func fold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if a == b {
		return true
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// lowered returns s without capitals, and s itself when it has none.
func lowered(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

// uppered returns s without small letters, and s itself when it has none.
func uppered(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'a' && s[i] <= 'z' {
			return strings.ToUpper(s)
		}
	}
	return s
}

func trim(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// scanner walks over one header field value. Folded lines have been joined before (RFC 3261 section 7.3.1).
type scanner struct {
	field string
	s     string
	pos   int
}

func (p *scanner) done() bool { return p.pos >= len(p.s) }

// peek returns the byte at the position, 0 at the end.
func (p *scanner) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

// space skips optional white space and tells whether there was some.
func (p *scanner) space() bool {
	start := p.pos
	if start >= len(p.s) || p.s[start] > ' ' {
		return false
	}
	for p.pos < len(p.s) && isSpace(p.s[p.pos]) {
		p.pos++
	}
	return p.pos > start
}

// eat takes c, with optional white space on both sides. When c does not follow, nothing is taken.
func (p *scanner) eat(c byte) bool {
	start := p.pos
	p.space()
	if p.peek() != c {
		p.pos = start
		return false
	}
	p.pos++
	p.space()
	return true
}

// run takes the longest run of bytes of a class; it may be empty.
func (p *scanner) run(class uint16) string {
	s, start := p.s, p.pos
	i := start
	for i < len(s) && classes[s[i]]&class != 0 {
		i++
	}
	p.pos = i
	return s[start:i]
}

func (p *scanner) token(what string) (string, error) {
	t := p.run(isTokenChar)
	if t == "" {
		return "", p.want(what)
	}
	return t, nil
}

// end takes white space and wants nothing behind it.
func (p *scanner) end() error {
	p.space()
	if !p.done() {
		return p.want("the end")
	}
	return nil
}

// quoted takes a quoted string that begins at the position and returns its content unquoted.
func (p *scanner) quoted() (string, error) {
	open := p.pos
	p.pos++
	start, escapes, ascii := p.pos, false, true
	for ; p.pos < len(p.s); p.pos++ {
		switch c := p.s[p.pos]; {
		case c == '"':
			body := p.s[start:p.pos]
			if !ascii && !utf8.ValidString(body) {
				return "", p.failAt(open, "the quoted string is not UTF-8")
			}
			p.pos++
			if escapes {
				body = unescape(body)
			}
			return body, nil
		case c == '\\':
			escapes = true
			p.pos++
			if c = p.peek(); c >= 0x80 || c == '\r' || c == '\n' || p.done() {
				return "", p.want("a character that may follow a backslash")
			}
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", p.want("text inside the quotes")
		case c >= 0x80:
			ascii = false
		}
	}
	return "", p.failAt(open, "the quoted string is not closed")
}

// unescape drops the backslash of every quoted pair.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (p *scanner) fail(reason string) error {
	return &SyntaxError{Field: p.field, Offset: p.pos, Reason: reason}
}

func (p *scanner) failAt(pos int, reason string) error {
	p.pos = pos
	return p.fail(reason)
}

func (p *scanner) want(what string) error {
	if p.done() {
		return p.fail(what + " expected, the value ends here")
	}
	return p.fail(fmt.Sprintf("%s expected, found %q", what, p.s[p.pos:p.pos+1]))
}
