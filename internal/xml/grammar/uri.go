package grammar

import "strings"

// What a byte may be in a URI (RFC 3986, appendix A). Characters that xsd:anyURI lets stand because they can be escaped,
// such as letters beyond ASCII and spaces, count as unreserved.
const (
	uriUnreserved = 1 << iota
	uriSub
	uriScheme // behind the first letter
)

var uriBytes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			t[c] = uriUnreserved | uriScheme
		case strings.IndexByte("-.", byte(c)) >= 0:
			t[c] = uriUnreserved | uriScheme
		case c == '+':
			t[c] = uriSub | uriScheme
		case strings.IndexByte("!$&'()*,;=", byte(c)) >= 0:
			t[c] = uriSub
		case c <= 0x20 || c >= 0x7F || strings.IndexByte("_~<>\"{}|\\^`", byte(c)) >= 0:
			t[c] = uriUnreserved
		}
	}
	return t
}()

// uriRun returns how much of s is unreserved, sub-delimiters, percent escapes and bytes of also.
func uriRun(s, also string) int {
	i := 0
	for i < len(s) {
		c := s[i]
		switch {
		case uriBytes[c]&(uriUnreserved|uriSub) != 0 || strings.IndexByte(also, c) >= 0:
			i++
		case c == '%' && i+2 < len(s) && hexDigit(s[i+1]) && hexDigit(s[i+2]):
			i += 3
		default:
			return i
		}
	}
	return i
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// validURI is URI-reference of RFC 3986, with the characters that xsd:anyURI lets stand.
func validURI(s string) bool {
	rest, scheme := cutScheme(s)
	if !scheme {
		first := uriRun(s, "@")
		if first < len(s) && s[first] == ':' {
			return false
		}
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		if !validAuthority(after[:end]) {
			return false
		}
		rest = after[end:]
	}
	rest = rest[uriRun(rest, ":@/"):]
	if strings.HasPrefix(rest, "?") {
		rest = rest[1+uriRun(rest[1:], ":@/?"):]
	}
	if strings.HasPrefix(rest, "#") {
		rest = rest[1+uriRun(rest[1:], ":@/?"):]
	}
	return rest == ""
}

// cutScheme splits off the scheme and its colon, if there is one.
func cutScheme(s string) (rest string, ok bool) {
	if s == "" || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return s, false
	}
	for i := 1; i < len(s); i++ {
		if s[i] == ':' {
			return s[i+1:], true
		}
		if uriBytes[s[i]]&uriScheme == 0 {
			break
		}
	}
	return s, false
}

func validAuthority(s string) bool {
	if at := strings.IndexByte(s, '@'); at >= 0 {
		if uriRun(s[:at], ":") < at {
			return false
		}
		s = s[at+1:]
	}
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		host, port = "", s[end+1:]
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, port = s[:colon], s[colon:]
	}
	return uriRun(host, "") == len(host) && (port == "" || port[0] == ':' && (port == ":" || digits(port[1:])))
}
