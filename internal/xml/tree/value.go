package tree

import (
	"strings"
	"unicode/utf8"
)

const (
	cdataStart = "<![CDATA["
	cdataEnd   = "]]>"
)

// writeCharacters writes the value of a text node: references resolved, CDATA sections opened, line ends made LF.
func writeCharacters(b *strings.Builder, raw string) {
	for {
		i := strings.IndexAny(raw, "&<\r")
		if i < 0 {
			b.WriteString(raw)
			return
		}
		b.WriteString(raw[:i])
		raw = raw[i:]
		switch raw[0] {
		case '&':
			raw = writeReference(b, raw)
		case '<':
			end := strings.Index(raw, cdataEnd)
			writeLines(b, raw[len(cdataStart):end])
			raw = raw[end+len(cdataEnd):]
		default:
			b.WriteByte('\n')
			raw = afterLineEnd(raw)
		}
	}
}

// writeLines writes raw with its line ends made LF (XML 1.0, section 2.11).
func writeLines(b *strings.Builder, raw string) {
	for {
		i := strings.IndexByte(raw, '\r')
		if i < 0 {
			b.WriteString(raw)
			return
		}
		b.WriteString(raw[:i])
		b.WriteByte('\n')
		raw = afterLineEnd(raw[i:])
	}
}

// afterLineEnd returns what follows the CR or CR LF that s starts with.
func afterLineEnd(s string) string { return strings.TrimPrefix(s[1:], "\n") }

// attributeValue normalises the value of an attribute (XML 1.0, section 3.3.3).
func attributeValue(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for {
		i := strings.IndexAny(raw, "&\t\n\r")
		if i < 0 {
			b.WriteString(raw)
			return b.String()
		}
		b.WriteString(raw[:i])
		raw = raw[i:]
		switch raw[0] {
		case '&':
			raw = writeReference(&b, raw)
		case '\r':
			b.WriteByte(' ')
			raw = afterLineEnd(raw)
		default:
			b.WriteByte(' ')
			raw = raw[1:]
		}
	}
}

// writeReference writes what the reference stands for that raw starts with, and returns what follows it. The parser has
// seen that it is a good one. A reference to an entity that is not predefined is written as it is.
func writeReference(b *strings.Builder, raw string) (rest string) {
	end := strings.IndexByte(raw, ';')
	name, rest := raw[1:end], raw[end+1:]
	if name[0] == '#' {
		r, _ := character(name[1:])
		b.WriteRune(r)
	} else if c := predefined(name); c != 0 {
		b.WriteByte(c)
	} else {
		b.WriteString(raw[:end+1])
	}
	return rest
}

// character returns the character that a character reference names, digits being what is between "&#" and ";". It is not
// ok when they are malformed or name no character of XML.
func character(digits string) (r rune, ok bool) {
	base := rune(10)
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	if digits == "" {
		return 0, false
	}
	for _, c := range []byte(digits) {
		v := base
		switch {
		case '0' <= c && c <= '9':
			v = rune(c - '0')
		case 'a' <= c && c <= 'f':
			v = rune(c - 'a' + 10)
		case 'A' <= c && c <= 'F':
			v = rune(c - 'A' + 10)
		}
		if v >= base {
			return 0, false
		}
		// Digits go on being checked behind a value that is out of range already, without overflow.
		r = min(r*base+v, utf8.MaxRune+1)
	}
	return r, isChar(r)
}

// predefined returns the character of a predefined entity (XML 1.0, section 4.6), 0 for any other name.
func predefined(name string) byte {
	switch name {
	case "amp":
		return '&'
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	return 0
}

// unresolvedIn returns where in raw the first reference to an entity stands that is not predefined. In the source of a
// text node CDATA sections are to be passed over.
func unresolvedIn(raw string, text bool) int {
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] == '&' && raw[i+1] != '#':
			if end := strings.IndexByte(raw[i:], ';'); predefined(raw[i+1:i+end]) == 0 {
				return i
			}
		case raw[i] == '<' && text:
			i += strings.Index(raw[i:], cdataEnd)
		}
	}
	return 0
}
