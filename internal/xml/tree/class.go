package tree

// class tells what a byte may be, so that every scanning loop is one table look-up a byte. Bytes of multi-byte
// characters count as nothing special in character data: the source is known to be UTF-8 by then. 0xEF is the
// exception, as it starts the encodings of U+FFFE and U+FFFF, which are no characters of XML.
type class uint8

const (
	nameStart class = 1 << iota // ASCII and not ':'
	nameByte                    // ASCII and not ':'
	space
	textStop   // may not simply be passed over in text
	attrStop   // in an attribute value
	opaqueStop // in a comment, processing instruction, CDATA section or document type declaration
	wide       // part of a multi-byte character
)

var classes = func() (t [256]class) {
	for c := range t {
		b := byte(c)
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', b == '_':
			t[c] |= nameStart | nameByte
		case '0' <= b && b <= '9', b == '-', b == '.':
			t[c] |= nameByte
		case b == ' ', b == '\t', b == '\n', b == '\r':
			t[c] |= space
		case b >= 0x80:
			t[c] |= wide
		}
		if b < ' ' && t[c]&space == 0 || b == 0xEF {
			t[c] |= textStop | attrStop | opaqueStop
		}
		switch b {
		case '<', '&':
			t[c] |= textStop | attrStop
		case ']', '\r':
			t[c] |= textStop | opaqueStop
		case '-', '?', '>':
			t[c] |= opaqueStop
		}
		switch b {
		case '"', '\'', '\t', '\n', '\r':
			t[c] |= attrStop
		}
	}
	return t
}()

// isChar implements Char (XML 1.0, section 2.2).
func isChar(r rune) bool {
	return r >= ' ' && r < 0xD800 || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r < 0xFFFE || r >= 0x10000 && r <= 0x10FFFF
}

// isChar reports whether a byte of a stop class starts a character of XML.
func (p *parser) isChar(i int) bool {
	c := p.s[i]
	if c != 0xEF {
		return c >= ' ' || c == '\t' || c == '\n' || c == '\r'
	}
	return p.s[i+1] != 0xBF || p.s[i+2] < 0xBE
}

// isNameStart implements NameStartChar (XML 1.0, section 2.3) beyond ASCII.
func isNameStart(r rune) bool {
	for _, s := range [...][2]rune{
		{0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x2FF}, {0x370, 0x37D}, {0x37F, 0x1FFF}, {0x200C, 0x200D}, {0x2070, 0x218F},
		{0x2C00, 0x2FEF}, {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
	} {
		if r <= s[1] {
			return r >= s[0]
		}
	}
	return false
}

// isNameChar implements NameChar (XML 1.0, section 2.3) beyond ASCII.
func isNameChar(r rune) bool {
	return isNameStart(r) || r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}
