package uri

import (
	"strings"
	"unicode/utf8"

	"imp/internal/xml/lexical"
)

const upperHex = "0123456789ABCDEF"

// plain tells what stands in a path segment as it is: pchar of RFC 3986 section 3.3.
var plain = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@") {
		t[c] = true
	}
	return t
}()

func appendSegment(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; plain[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// decode undoes percent-encoding, once.
func decode(piece Piece, s string) (string, error) {
	out := s
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b = append(b, s[i])
				continue
			}
			if !lexical.Escape(s[i:]) {
				return "", &Error{Malformed, piece, s, "a percent sign is not followed by two hexadecimal digits, a percent sign itself is written %25"}
			}
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		}
		out = string(b)
	}
	if !utf8.ValidString(out) {
		return "", &Error{Malformed, piece, s, "it is no UTF-8"}
	}
	return out, nil
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
