package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Classes of characters in RFC 4975 section 9 and RFC 3986.
const (
	classAlnum = 1 << iota
	classIdent
	classSession
	classToken
	classUserinfo
	classRegName
	classUnreserved
)

var class = func() (t [256]byte) {
	add := func(bits byte, set string) {
		for i := range len(set) {
			t[set[i]] |= bits
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const subDelims = "!$&'()*+,;="
	add(classAlnum|classIdent|classSession|classToken|classUserinfo|classRegName|classUnreserved, alnum)
	add(classIdent, ".-+%=")
	add(classSession, "-._~+=/")
	add(classToken, "!#$%&'*+-.^_`{|}~")
	add(classUnreserved|classUserinfo|classRegName, "-._~")
	add(classUserinfo, subDelims+":")
	add(classRegName, "!$&'()*+,=")
	return t
}()

func isAlnum(c byte) bool      { return class[c]&classAlnum != 0 }
func isSession(c byte) bool    { return class[c]&classSession != 0 }
func isToken(c byte) bool      { return class[c]&classToken != 0 }
func isUserinfo(c byte) bool   { return class[c]&classUserinfo != 0 }
func isRegName(c byte) bool    { return class[c]&classRegName != 0 }
func isUnreserved(c byte) bool { return class[c]&classUnreserved != 0 }
func isDigit(c byte) bool      { return '0' <= c && c <= '9' }
func isHex(c byte) bool        { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// text is what the syntax functions take.
type text interface{ ~string | ~[]byte }

func all[T text](s T, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

// escaped reports whether s has characters of a class and percent-encoded ones only.
func escaped(s string, is func(byte) bool) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		} else if !is(s[i]) {
			return false
		}
	}
	return true
}

// IsIdent reports whether s can be a transaction ID or a Message-ID: 4 to 32 characters, the first a letter or digit.
func IsIdent[T text](s T) bool {
	if len(s) < 4 || len(s) > MaxID || class[s[0]]&classAlnum == 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if class[s[i]]&classIdent == 0 {
			return false
		}
	}
	return true
}

// isText reports whether b is utf8text: no control characters but the tab, and valid UTF-8.
func isText(b []byte) bool {
	const high, low = 0x8080808080808080, 0x0101010101010101
	rest := b
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest)
		// bytes below 0x20, the byte 0x7f, and bytes from 0x80 on
		if (w-low*0x20)&high|((w^low*0x7f)-low)&high|w&high != 0 {
			return isTextSlow(b)
		}
		rest = rest[8:]
	}
	for _, c := range rest {
		if c < 0x20 || c >= 0x7f {
			return isTextSlow(b)
		}
	}
	return true
}

func isTextSlow(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// equalFold compares with a lower-case ASCII name.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
