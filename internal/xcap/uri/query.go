package uri

import (
	"strings"
	"unicode/utf8"

	"imp/internal/xml/lexical"
)

// query reads the parts of an XPointer (XPointer framework section 3.1; RFC 4825 section 6.4): scheme(data), in which the circumflex
// escapes parentheses and itself. Those of other schemes than xmlns are ignored.
func (p *parser) query(u *URI, raw string) error {
	s, err := decode(Query, raw)
	if err != nil {
		return err
	}
	for rest := trim(s); rest != ""; rest = trim(rest) {
		open := strings.IndexByte(rest, '(')
		if open < 0 || !isQName(rest[:open]) {
			return &Error{Malformed, Query, rest, "it consists of parts such as xmlns(p=urn:example)"}
		}
		data, size, ok := unescapeData(rest[open+1:])
		if !ok {
			return &Error{Malformed, Query, rest, "the parentheses do not match, or a circumflex stands before something else than ( ) ^"}
		}
		part := rest[:open+1+size]
		if rest[:open] != "xmlns" {
			p.part(Query, part, "", "another scheme than xmlns, ignored")
		} else if err := p.bind(u, part, data); err != nil {
			return err
		}
		rest = rest[open+1+size:]
	}
	return nil
}

// bind takes the data of an xmlns part. Of bindings of one prefix the last counts; xml and xmlns cannot be bound anew.
func (p *parser) bind(u *URI, part, data string) error {
	prefix, space, ok := strings.Cut(data, "=")
	prefix, space = trim(prefix), trim(space)
	if !ok || !isNCName(prefix) {
		return &Error{Malformed, Query, part, "a binding is written xmlns(prefix=namespace)"}
	}
	if prefix == "xml" || prefix == "xmlns" || space == "" {
		p.part(Query, part, "", "binds nothing, ignored")
		return nil
	}
	p.part(Query, part, space, "what the prefix "+prefix+" stands for in the node selector")
	for i := range u.Bindings {
		if u.Bindings[i].Prefix == prefix {
			u.Bindings[i].URI = space
			return nil
		}
	}
	if len(u.Bindings) == maxSegments {
		return &Error{TooLong, Query, part, "it has too many bindings"}
	}
	u.Bindings = append(u.Bindings, Binding{prefix, space})
	return nil
}

// unescapeData returns what stands before the parenthesis that closes the part, and how long that is with the parenthesis.
func unescapeData(s string) (data string, size int, ok bool) {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '^':
			if i++; i == len(s) || strings.IndexByte("()^", s[i]) < 0 {
				return "", 0, false
			}
			b.WriteByte(s[i])
			continue
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return b.String(), i + 1, true
			}
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

// appendBinding writes a part of the query.
func appendBinding(dst []byte, b Binding) []byte {
	dst = append(appendSegment(append(dst, "xmlns("...), b.Prefix), '=')
	for _, r := range b.URI {
		if strings.ContainsRune("()^", r) {
			dst = append(dst, "%5E"...)
		}
		if r == '/' || r == '?' {
			dst = append(dst, byte(r))
			continue
		}
		dst = appendSegment(dst, string(r))
	}
	return append(dst, ')')
}

func trim(s string) string { return lexical.Trim(s) }

// isQName reports whether s is a name with or without a prefix.
func isQName(s string) bool {
	prefix, local, found := strings.Cut(s, ":")
	return isNCName(prefix) && (!found || isNCName(local))
}

// isNCName reports whether s is a name of XML without a colon, as far as a server has to know: a selector with a prefix of other
// characters does not compile.
func isNCName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= utf8.RuneSelf
		if !letter && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}
