package selector

import "unicode/utf8"

// ncName returns where the name without a colon ends that starts at i (Namespaces in XML 1.0, section 4), i when none
// does.
func ncName(s string, i int) int {
	for at := i; at < len(s); {
		r, size := rune(s[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[at:])
		}
		if !isNameStart(r) && (at == i || !isNameInner(r)) {
			return at
		}
		at += size
	}
	return len(s)
}

// isNameStart implements NameStartChar (XML 1.0, section 2.3) without the colon.
func isNameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_'
	}
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

// isNameInner tells the characters that NameChar (XML 1.0, section 2.3) has beyond NameStartChar.
func isNameInner(r rune) bool {
	return '0' <= r && r <= '9' || r == '-' || r == '.' || r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}
