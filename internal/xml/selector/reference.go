package selector

import (
	"strconv"
	"strings"
)

// resolve replaces references to characters and to the predefined entities (XML 1.0, sections 4.1 and 4.6). An & that
// starts no such reference stays: clients put URIs with parameters into values as they are.
func resolve(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, ";")
		if r, ok := reference(name); closed && ok {
			b.WriteRune(r)
			s = after
			continue
		}
		b.WriteByte('&')
		s = rest
	}
}

func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n > 0 && n <= 0x10FFFF && (n < 0xD800 || n > 0xDFFF)
}
