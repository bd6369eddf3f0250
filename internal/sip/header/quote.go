package header

import "unicode/utf8"

// IsToken tells whether s is a token (RFC 3261 section 25.1): one or more letters, digits and -.!%*_+`'~.
func IsToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !is(s[i], isTokenChar) {
			return false
		}
	}
	return s != ""
}

// QuoteString returns s as a quoted-string (RFC 3261 section 25.1).
func QuoteString(s string) string { return string(AppendQuoted(nil, s)) }

// AppendQuoted appends s as a quoted-string. Quotation marks, backslashes and control characters become
// quoted pairs; CR and LF, which no quoted string can hold, become spaces, and bytes that are not
// UTF-8 become U+FFFD, so that no text can break out of the field.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' || c == '\n':
			dst = append(dst, ' ')
		case c == '"' || c == '\\' || c < ' ' && c != '\t' || c == 0x7f:
			dst = append(dst, '\\', c)
		case c < 0x80:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n - 1
		}
	}
	return append(dst, '"')
}

// Unquote returns the content of the quoted-string s, without its quotes and backslashes. White space round
// the quotes is allowed, anything else is a *SyntaxError.
func Unquote(s string) (string, error) {
	p := scanner{field: "quoted-string", s: s}
	p.space()
	if p.peek() != '"' {
		return "", p.want("a quotation mark")
	}
	content, err := p.quoted()
	if err != nil {
		return "", err
	}
	return content, p.end()
}
