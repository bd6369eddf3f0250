package cpim

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape writes text as the value of a header field (RFC 3862 section 2.3.1): backslashes and control characters are escaped, and nothing else. What is
// not UTF-8 becomes U+FFFD.
func Escape(text string) string { return escape(text, false, true) }

// escape escapes control characters, and what else is asked for.
func escape(text string, quotes, backslashes bool) string {
	plain := utf8.ValidString(text)
	for i := 0; plain && i < len(text); i++ {
		c := text[i]
		plain = c >= ' ' && c != 0x7F && (c != '"' || !quotes) && (c != '\\' || !backslashes)
	}
	if plain {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for _, r := range text {
		short := strings.IndexRune("\b\t\n\r", r)
		switch {
		case short >= 0:
			out = append(out, '\\', "btnr"[short])
		case r == '"' && quotes, r == '\\' && backslashes:
			out = append(out, '\\', byte(r))
		case r < ' ' || r == 0x7F:
			out = append(out, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
}

const hexDigits = "0123456789abcdef"

// Unescape resolves the escapes of RFC 3862 section 2.3. An unknown one is the character behind the backslash; a backslash at the end is nothing. Two
// escapes that are the halves of a UTF-16 pair are one character; a half alone becomes U+FFFD.
func Unescape(value string) string {
	i := strings.IndexByte(value, '\\')
	if i < 0 {
		return value
	}
	out := append(make([]byte, 0, len(value)), value[:i]...)
	for i < len(value) {
		if value[i] != '\\' {
			out = append(out, value[i])
			i++
			continue
		}
		i++
		if i == len(value) {
			break
		}
		if short := strings.IndexByte("btnr", value[i]); short >= 0 {
			out = append(out, "\b\t\n\r"[short])
			i++
			continue
		}
		if r, ok := codePoint(value[i:]); ok {
			i += 5
			if utf16.IsSurrogate(r) && i < len(value) && value[i] == '\\' {
				low, _ := codePoint(value[i+1:])
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		_, n := utf8.DecodeRuneInString(value[i:])
		out = append(out, value[i:i+n]...)
		i += n
	}
	return string(out)
}

// codePoint reads the u and the four digits of an escape.
func codePoint(s string) (rune, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	for i := 1; i < 5; i++ {
		if c := s[i] | 0x20; (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s[1:5], 16, 32)
	return rune(n), err == nil
}

// ParseAddress reads a formal name, as tokens or as a string, and a URI in angle brackets (RFC 3862 section 4.1). Any text is taken as a name, and a URI
// may stand alone without brackets. The error tells what is wrong, without a position.
func ParseAddress(value string) (Address, error) {
	a, why := parseAddress(value)
	if why != "" {
		return Address{}, &Error{Line: 1, Col: 1, Msg: why}
	}
	return a, nil
}

func parseAddress(value string) (a Address, why string) {
	value = strings.Trim(value, " ")
	rest := value
	if strings.HasPrefix(rest, `"`) {
		n := quoted(rest)
		if n < 0 {
			return a, "the string of the name has no end"
		}
		a.Name, rest = Unescape(rest[1:n-1]), strings.TrimLeft(rest[n:], " ")
	} else if open := strings.LastIndexByte(rest, '<'); open > 0 {
		a.Name, rest = Unescape(strings.TrimRight(rest[:open], " ")), rest[open:]
	}
	uri, open := strings.CutPrefix(rest, "<")
	uri, closed := strings.CutSuffix(uri, ">")
	if open != closed || !open && a.Name != "" {
		return Address{}, "the URI is not in < and >"
	}
	if !isURI(uri) {
		return Address{}, strconv.Quote(shorten(uri)) + " is no absolute URI"
	}
	a.URI = uri
	return a, ""
}

// quoted returns where the string that s begins with ends, behind its quote; -1 when it does not.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// String writes the address as a header field has it: a name of tokens as it is, any other as a string.
func (a Address) String() string {
	switch {
	case a.Name == "":
		return "<" + a.URI + ">"
	case isTokens(a.Name):
		return a.Name + " <" + a.URI + ">"
	}
	return `"` + escape(a.Name, true, true) + `" <` + a.URI + ">"
}

// isTokens reports whether s is tokens with one space between them.
func isTokens(s string) bool {
	for word := range strings.SplitSeq(s, " ") {
		if !isToken(word) {
			return false
		}
	}
	return true
}

// isURI reports whether s is an absolute URI as far as this format is concerned (RFC 3862 section 3.6).
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !utf8.ValidString(s) {
		return false
	}
	for i, c := range []byte(scheme) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return scheme != "" && strings.IndexFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7F || r == '<' || r == '>' || r == '"' || r == '\\' }) < 0
}

// isSpace reports whether s can name a namespace: an absolute URI without fragment (RFC 3862 section 3.4).
func isSpace(s string) bool { return isURI(s) && !strings.Contains(s, "#") }

func isNameByte(c byte) bool {
	return c > ' ' && c < 0x7F && strings.IndexByte(`()<>@,;:\"/[]?={}.`, c) < 0
}

// isName reports whether s is a Name of RFC 3862 section 3.6.
func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a Token of RFC 3862 section 3.6.
func isToken(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) && s[i] != '.' && s[i] < utf8.RuneSelf {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// shorten keeps errors readable.
func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
