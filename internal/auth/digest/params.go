package digest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	qopAuth = "auth"
	qopInt  = "auth-int"

	scheme = "Digest"

	// maxValue is the longest header field value that is read, in bytes.
	maxValue = 8192
)

// field names a parameter of challenges, credentials or Authentication-Info.
type field uint8

const (
	fUsername field = iota
	fUsernameExt
	fRealm
	fNonce
	fURI
	fResponse
	fAlgorithm
	fCnonce
	fOpaque
	fQop
	fNc
	fUserhash
	fStale
	fCharset
	fNextNonce
	fRspauth
	numFields
	fOther
)

var fieldNames = [numFields]string{"username", "username*", "realm", "nonce", "uri", "response", "algorithm", "cnonce",
	"opaque", "qop", "nc", "userhash", "stale", "charset", "nextnonce", "rspauth"}

func fieldOf(name string) field {
	for i := range fieldNames {
		if len(fieldNames[i]) == len(name) && strings.EqualFold(fieldNames[i], name) {
			return field(i)
		}
	}
	return fOther
}

// fields are the parameters of one challenge, credentials or
// Authentication-Info, without quotes and quoting slashes.
type fields struct {
	v    [numFields]string
	seen uint32
}

func (f *fields) has(i field) bool { return f.seen&(1<<i) != 0 }

var (
	errTooLong = fmt.Errorf("longer than %d bytes", maxValue)
	errNoComma = errors.New("a comma is missing between two parameters")
	errNoName  = errors.New("a parameter without a name")
	errNoValue = errors.New("a parameter without a value")
	errString  = errors.New("a quoted string that does not end")
	errControl = errors.New("a control character in a quoted string")
)

// list reads the parameters of a comma-separated list of challenges or
// credentials (RFC 7235 section 2.1).
type list struct {
	s   string
	pos int
}

// scheme moves behind the next "Digest" of the list; what other schemes have is
// skipped unread.
func (l *list) scheme() bool {
	for l.pos < len(l.s) {
		l.blanks()
		start := l.pos
		l.token()
		name := l.s[start:l.pos]
		if strings.EqualFold(name, scheme) && (l.pos == len(l.s) || isBlank(l.s[l.pos])) {
			return true
		}
		l.pos = start
		l.element()
	}
	return false
}

// element skips to behind the next comma outside quotes.
func (l *list) element() {
	quoted := false
	for l.pos < len(l.s) {
		c := l.s[l.pos]
		l.pos++
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			l.pos++
		case c == ',' && !quoted:
			return
		}
	}
	l.pos = len(l.s)
}

// read reads parameters up to the end or the next scheme. A parameter given
// twice is an error, unknown ones are passed over (RFC 7616 section 3.3).
func (l *list) read(f *fields) error {
	for first := true; ; first = false {
		commas := l.separators()
		if l.pos == len(l.s) {
			return nil
		}
		if !first && commas == 0 {
			return errNoComma
		}
		start := l.pos
		l.token()
		name := l.s[start:l.pos]
		if name == "" {
			return errNoName
		}
		afterName := l.pos
		l.blanks()
		if l.pos == len(l.s) || l.s[l.pos] != '=' {
			if !first && l.pos > afterName {
				l.pos = start
				return nil
			}
			return errNoValue
		}
		l.pos++
		l.blanks()
		value, err := l.value()
		if err != nil {
			return err
		}
		i := fieldOf(name)
		if i == fOther {
			continue
		}
		if f.has(i) {
			return fmt.Errorf("%s is there twice", fieldNames[i])
		}
		f.v[i], f.seen = value, f.seen|1<<i
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (l *list) blanks() {
	for l.pos < len(l.s) && isBlank(l.s[l.pos]) {
		l.pos++
	}
}

// separators skips blanks and commas and counts the commas: a list may have
// empty elements.
func (l *list) separators() int {
	n := 0
	for ; l.pos < len(l.s) && (isBlank(l.s[l.pos]) || l.s[l.pos] == ','); l.pos++ {
		if l.s[l.pos] == ',' {
			n++
		}
	}
	return n
}

func (l *list) token() {
	for l.pos < len(l.s) && tokenChar[l.s[l.pos]] {
		l.pos++
	}
}

// value reads a token or a quoted string.
func (l *list) value() (string, error) {
	if l.pos < len(l.s) && l.s[l.pos] == '"' {
		return l.quoted()
	}
	start := l.pos
	l.token()
	if l.pos == start {
		return "", errNoValue
	}
	return l.s[start:l.pos], nil
}

func (l *list) quoted() (string, error) {
	l.pos++
	start, escaped := l.pos, false
	for ; l.pos < len(l.s); l.pos++ {
		switch c := l.s[l.pos]; {
		case c == '"':
			text := l.s[start:l.pos]
			l.pos++
			if escaped {
				text = unescape(text)
			}
			return text, nil
		case c == '\\':
			escaped = true
			l.pos++
			if l.pos < len(l.s) && isControl(l.s[l.pos]) {
				return "", errControl
			}
		case isControl(c):
			return "", errControl
		}
	}
	return "", errString
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

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

// tokenChar has the characters of token in RFC 3261 section 25.1 and RFC 7230
// section 3.2.6 together.
var tokenChar = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// readCredentials reads the parameters of credentials; ok is false when they
// are of another scheme.
func readCredentials(value string, f *fields) (ok bool, err error) {
	l := list{s: value}
	l.blanks()
	start := l.pos
	l.token()
	if !strings.EqualFold(value[start:l.pos], scheme) || l.pos < len(value) && !isBlank(value[l.pos]) {
		return false, nil
	}
	if len(value) > maxValue {
		return true, errTooLong
	}
	if err := l.read(f); err != nil {
		return true, err
	}
	if l.pos < len(l.s) {
		return true, errNoValue
	}
	return true, nil
}

// decodeExt decodes the ext-value of username* (RFC 5987 section 3.2).
func decodeExt(s string) (string, bool) {
	charset, rest, ok := strings.Cut(s, "'")
	if !ok || !strings.EqualFold(charset, "UTF-8") {
		return "", false
	}
	_, text, ok := strings.Cut(rest, "'")
	if !ok {
		return "", false
	}
	name, err := url.PathUnescape(text)
	return name, err == nil
}

// isText reports whether s is UTF-8 without control characters.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if isControl(s[i]) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendQuoted appends name="value" with what comes before it.
func appendQuoted(b []byte, before, name, value string) []byte {
	b = append(append(append(b, before...), name...), '=', '"')
	for i := 0; i < len(value); i++ {
		if value[i] == '"' || value[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

// appendToken appends name=value with what comes before it.
func appendToken(b []byte, before, name, value string) []byte {
	return append(append(append(append(b, before...), name...), '='), value...)
}

// appendHex8 appends n as the eight digits of nc (RFC 7616 section 3.4).
func appendHex8(b []byte, n uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}

// parseHex8 reads nc.
func parseHex8(s string) (uint32, bool) {
	if len(s) != 8 {
		return 0, false
	}
	var n uint32
	for i := 0; i < 8; i++ {
		d := hexDigit(s[i])
		if d > 15 {
			return 0, false
		}
		n = n<<4 | uint32(d)
	}
	return n, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if hexDigit(s[i]) > 15 {
			return false
		}
	}
	return true
}
