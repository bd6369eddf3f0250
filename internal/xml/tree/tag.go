package tree

import (
	"strings"
	"unicode/utf8"
)

// startTag reads a start tag or an empty-element tag (XML 1.0, section 3.1) and adds the element.
func (p *parser) startTag() error {
	t, s, start := p.t, p.s, p.i
	local, nameEnd := qName(s, start+1)
	if local == nameEnd {
		return p.fail(nameEnd, nil, `found %s, expected an element name; a plain '<' is written "&lt;"`, p.found(nameEnd))
	}
	attrs, decls := len(t.attrs), len(t.decls)
	i := nameEnd
	for {
		from := i
		for classes[s[i]]&space != 0 {
			i++
		}
		if s[i] == '>' || s[i] == '/' {
			break
		}
		if from == i {
			return p.fail(i, nil, "found %s in tag %s, expected white space, '>' or \"/>\"", p.found(i), p.tag(start+1))
		}
		var err error
		if i, err = p.attribute(i); err != nil {
			return err
		}
	}
	if len(t.attrs) > attrs {
		if err := p.finishAttributes(attrs); err != nil {
			return err
		}
	}
	space := t.names.prefixes[0].space
	if local > start+1 {
		var err error
		if space, err = p.resolve(start+1, local); err != nil {
			return err
		}
	}
	if p.depth >= p.limits.Depth {
		return p.fail(start, ErrLimit, "element %s is nested deeper than the limit of %d", p.tag(start+1), p.limits.Depth)
	}
	empty := s[i] == '/'
	if empty {
		if i++; s[i] != '>' {
			return p.fail(i, nil, "found %s after '/' in tag %s, expected '>'", p.found(i), p.tag(start+1))
		}
	}
	p.i = i + 1
	element := int32(len(t.nodes))
	n := p.add(Element, start, p.i)
	n.local, n.nameEnd, n.inner, n.space = uint32(local), uint32(nameEnd), uint32(p.i), space
	if len(t.attrs) > attrs {
		n.attr = int32(attrs)
	}
	if len(t.decls) > decls {
		n.decl = int32(decls)
	}
	if !empty {
		p.parent = element
		p.depth++
	} else if n.decl != 0 {
		t.names.leave(element)
	}
	return nil
}

// endTag reads the end tag of the open element.
func (p *parser) endTag() error {
	s, n := p.s, &p.t.nodes[p.parent]
	name := s[n.start+1 : n.nameEnd]
	from := p.i + len("</")
	i := from + len(name)
	if i >= len(s) || s[from:i] != name || classes[s[i]]&(nameByte|wide) != 0 || s[i] == ':' {
		switch {
		case n.start < p.content.start:
			return p.fail(p.i, nil, "end tag </%s> of an element that is not open here", p.name(from))
		case p.i == int(p.content.end):
			return p.unended(p.parent)
		}
		line, col := p.position(int(n.start))
		return p.fail(p.i, nil, "found end tag </%s>, expected </%s> for the element of %d:%d", p.name(from), clip(name), line, col)
	}
	for classes[s[i]]&space != 0 {
		i++
	}
	if s[i] != '>' {
		return p.fail(i, nil, "found %s in end tag </%s>, expected '>'", p.found(i), clip(name))
	}
	p.i = i + 1
	n.end = uint32(p.i)
	if n.decl != 0 {
		p.t.names.leave(p.parent)
	}
	p.parent = n.parent
	p.depth--
	return nil
}

// attribute reads an attribute or a namespace declaration of the element that is going to be added.
func (p *parser) attribute(start int) (next int, err error) {
	t, s := p.t, p.s
	local, nameEnd := qName(s, start)
	if local == nameEnd {
		return 0, p.fail(nameEnd, nil, "found %s, expected an attribute name, '>' or \"/>\"", p.found(nameEnd))
	}
	i := nameEnd
	for classes[s[i]]&space != 0 {
		i++
	}
	if s[i] != '=' {
		return 0, p.fail(i, nil, "found %s after attribute name %s, expected '='", p.found(i), p.name(start))
	}
	i++
	for classes[s[i]]&space != 0 {
		i++
	}
	value := i + 1
	end, flags, err := p.value(start, i)
	if err != nil {
		return 0, err
	}
	if isXMLNS(s[start:nameEnd]) {
		d := decl{start: uint32(start), nameEnd: uint32(nameEnd), value: uint32(value), end: uint32(end + 1)}
		return end + 1, p.declare(d, flags)
	}
	t.attrs = append(t.attrs, attr{
		start: uint32(start), local: uint32(local), nameEnd: uint32(nameEnd), value: uint32(value), end: uint32(end + 1),
		owner: int32(len(t.nodes)), flags: flags,
	})
	return end + 1, nil
}

// isXMLNS reports whether an attribute of this name is a namespace declaration.
func isXMLNS(name string) bool {
	return strings.HasPrefix(name, "xmlns") && (len(name) == len("xmlns") || name[len("xmlns")] == ':')
}

// value reads the value whose opening quote stands at i, and returns where its closing quote stands.
func (p *parser) value(name, i int) (end int, f flags, err error) {
	s, quote := p.s, p.s[i]
	if quote != '"' && quote != '\'' {
		return 0, 0, p.fail(i, nil, "found %s as the value of attribute %s, expected a quoted value", p.found(i), p.name(name))
	}
	for i++; ; i++ {
		for classes[s[i]]&attrStop == 0 {
			i++
		}
		switch c := s[i]; c {
		case quote:
			return i, f, nil
		case '"', '\'':
		case '\t', '\n', '\r':
			f |= coded
		case '&':
			r, next, err := p.reference(i)
			if err != nil {
				return 0, 0, err
			}
			f |= coded
			if r == noChar {
				f |= unresolved
			}
			i = next - 1
		case '<':
			return 0, 0, p.fail(i, nil, `found '<' in the value of attribute %s, write "&lt;" or close the quote`, p.name(name))
		default:
			if !p.isChar(i) {
				return 0, 0, p.fail(i, nil, "found %s in the value of attribute %s", p.found(i), p.name(name))
			}
		}
	}
}

// finishAttributes links the attributes of a start tag from first on, resolves their prefixes and refuses two of one
// expanded name (Namespaces in XML, section 6.3).
func (p *parser) finishAttributes(first int) error {
	attrs := p.t.attrs
	if n := len(attrs) - first; n > p.limits.Attributes {
		return p.fail(int(attrs[first+p.limits.Attributes].start), ErrLimit, "more than %d attributes on one element", p.limits.Attributes)
	}
	for i := first; i < len(attrs); i++ {
		a := &attrs[i]
		if i+1 < len(attrs) {
			a.next = int32(i + 1)
		}
		if a.local != a.start {
			number, err := p.resolve(int(a.start), int(a.local))
			if err != nil {
				return err
			}
			a.space = number
		}
	}
	if len(attrs)-first > few {
		return p.uniqueOfMany(first)
	}
	for i := first + 1; i < len(attrs); i++ {
		for j := first; j < i; j++ {
			a, b := &attrs[i], &attrs[j]
			if a.nameEnd-a.local == b.nameEnd-b.local && a.space == b.space && p.s[a.local:a.nameEnd] == p.s[b.local:b.nameEnd] {
				return p.twice(b, a)
			}
		}
	}
	return nil
}

func (p *parser) uniqueOfMany(first int) error {
	type name struct {
		space int32
		local string
	}
	attrs := p.t.attrs
	seen := make(map[name]int, len(attrs)-first)
	for i := first; i < len(attrs); i++ {
		a := &attrs[i]
		key := name{a.space, p.s[a.local:a.nameEnd]}
		if j, ok := seen[key]; ok {
			return p.twice(&attrs[j], a)
		}
		seen[key] = i
	}
	return nil
}

func (p *parser) twice(a, b *attr) error {
	first, second := p.name(int(a.start)), p.name(int(b.start))
	if first == second {
		return p.fail(int(b.start), nil, "attribute %s stands twice in one tag", second)
	}
	return p.fail(int(b.start), nil, "attribute %s stands twice in one tag: %s is of the same namespace", second, first)
}

// qName returns where the local part of the qualified name starts that starts at start, and where the name ends
// (Namespaces in XML, section 4). There is no such name when both are the same.
func qName(s string, start int) (local, end int) {
	end = ncName(s, start)
	if s[end] != ':' || end == start {
		return start, end
	}
	return end + 1, ncName(s, end+1)
}

// ncName returns where the name without a colon ends that starts at i, i when there is none.
func ncName(s string, i int) int {
	if classes[s[i]]&nameStart == 0 {
		return wideName(s, i, i)
	}
	for i++; classes[s[i]]&nameByte != 0; i++ {
	}
	if s[i] < utf8.RuneSelf {
		return i
	}
	return wideName(s, i, -1)
}

// wideName does what ncName does for names with characters beyond ASCII, from i on. Such a character at first starts the
// name.
func wideName(s string, i, first int) int {
	for {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < utf8.RuneSelf:
			if i == first || classes[s[i]]&nameByte == 0 {
				return i
			}
		case !isNameStart(r) && (i == first || !isNameChar(r)):
			return i
		}
		i += size
	}
}
