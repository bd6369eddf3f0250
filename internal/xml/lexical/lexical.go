// Package lexical reads and writes the simple values of XML documents: what
// XML 1.0 and the types of XML Schema allow in attributes and text.
package lexical

import (
	"strings"
	"unicode"

	"imp/internal/xml/tree"
)

// ErrorAt is the error for what begins at an offset of the document.
func ErrorAt(t *tree.Tree, offset int, msg string) *tree.Error {
	line, col := t.Position(offset)
	return &tree.Error{Line: line, Col: col, Offset: offset, Msg: msg}
}

// ErrorIn is the error for what a node is or has.
func ErrorIn(n tree.Node, msg string) *tree.Error {
	line, col := n.Position()
	return &tree.Error{Line: line, Col: col, Offset: StartOf(n), Msg: msg}
}

// WantRoot is the error for a root element of another name, nil for this one.
func WantRoot(t *tree.Tree, space, local string) error {
	root := t.Root()
	if root.Is(space, local) {
		return nil
	}
	return ErrorIn(root, "the root is {"+Clip(root.Space())+"}"+Clip(root.Local())+", not the "+local+" of "+space)
}

// StartOf is the offset of a node in its document.
func StartOf(n tree.Node) int {
	start, _ := n.Range()
	return start
}

// Trim takes off the white space of XML.
func Trim(s string) string { return strings.Trim(s, " \t\r\n") }

// Clip keeps what comes from a document from filling a message.
func Clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// Legal replaces what XML cannot hold by U+FFFD.
func Legal(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// AppendAttribute writes an attribute with a blank before it.
func AppendAttribute(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), `="`...)
	return append(tree.AppendValue(dst, Legal(value), '"'), '"')
}

// FixURI escapes what cannot stand where an xs:anyURI is wanted: white space, a percent sign without two hexadecimal digits, a second fragment, a colon
// in the first segment that ends no scheme, and brackets that are not those of an IPv6 address (RFC 3986 sections 3.2.2 and 4.2).
func FixURI(s string) string {
	const hex = "0123456789ABCDEF"
	s = Legal(Trim(s))
	first := strings.IndexAny(s, "/?#")
	if first < 0 {
		first = len(s)
	}
	if scheme, _, ok := strings.Cut(s[:first], ":"); ok && IsScheme(scheme) {
		first = 0
	}
	var b strings.Builder
	fragment := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if n := literal(s[i:]); n > 0 {
			b.WriteString(s[i : i+n])
			i += n - 1
			continue
		}
		if c <= ' ' || c == '[' || c == ']' || c == 0x7F || c == '#' && fragment || c == ':' && i < first || c == '%' && !Escape(s[i:]) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		fragment = fragment || c == '#'
		b.WriteByte(c)
	}
	return b.String()
}

// literal returns the length of the IPv6 address in brackets that s begins with, 0 when there is none.
func literal(s string) int {
	if s[0] != '[' {
		return 0
	}
	end := 1 + len(s[1:]) - len(strings.TrimLeft(s[1:], hexDigits+":."))
	if end > 2 && end < len(s) && s[end] == ']' {
		return end + 1
	}
	return 0
}

// IsScheme reports whether a text is the scheme of a URI (RFC 3986 section 3.1).
func IsScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// Escape reports whether s begins with a percent sign and two hexadecimal digits.
func Escape(s string) bool {
	return len(s) >= 3 && strings.IndexByte(hexDigits, s[1]) >= 0 && strings.IndexByte(hexDigits, s[2]) >= 0
}

// Unescape undoes the escapes of letters, digits and the plain characters in a URI, and writes the others in capitals (RFC 3986 section 6.2.2).
func Unescape(s, plain string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || !Escape(s[i:]) {
			b.WriteByte(s[i])
			continue
		}
		c := nibble(s[i+1])<<4 | nibble(s[i+2])
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

const hexDigits = "0123456789ABCDEFabcdef"

// IsLanguage reports whether s is an xs:language, which xml:lang takes.
func IsLanguage(s string) bool {
	run, first := 0, true
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', !first && '0' <= c && c <= '9':
			run++
		case c == '-' && run > 0:
			run, first = 0, false
			continue
		default:
			return false
		}
		if run > 8 {
			return false
		}
	}
	return run > 0
}

// Visible makes text of a document safe for a terminal: white space becomes one blank, and control and format characters become U+FFFD.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) && r != '\u200D' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}
