package patch

import (
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// mangler writes the content of an operation for a place in another document: names keep their namespaces, and where a
// declaration outside of the content makes them, they get the prefix that RFC 5261, section 4.2.3 says. Everything else is
// copied as it is written.
type mangler struct {
	context tree.Node // the element that the content is going to be in; none beside the root element
	src     []byte
	dst     []byte
	from    int // what is not copied yet
	local   []binding
}

// binding is a declaration in the content.
type binding struct {
	prefix, uri string
	added       bool // by the mangler
}

// content returns the content of an operation as it has to stand in context.
func (op *Operation) content(context tree.Node) string {
	start, end := op.Element.Inner()
	if start >= end {
		return ""
	}
	m := mangler{context: context, src: op.Element.Tree().Source(), from: start}
	for c := range op.Element.Elements() {
		m.element(c)
	}
	if m.dst == nil {
		return string(m.src[start:end])
	}
	m.copyTo(end)
	return string(m.dst)
}

func (m *mangler) copyTo(end int) {
	m.dst = append(m.dst, m.src[m.from:end]...)
	m.from = end
}

// element writes an element. It walks the elements below by their links, so that depth costs no stack.
func (m *mangler) element(top tree.Node) {
	type open struct {
		local  int // bindings before it
		prefix string
	}
	var stack []open
	for n := top; ; {
		before := len(m.local)
		stack = append(stack, open{before, m.start(n)})
		if first := firstElement(n.FirstChild()); first.Valid() {
			n = first
			continue
		}
		for {
			o := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			m.end(n, o.prefix)
			m.local = m.local[:o.local]
			if n == top {
				return
			}
			if next := firstElement(n.NextSibling()); next.Valid() {
				n = next
				break
			}
			n = n.Parent()
		}
	}
}

func firstElement(n tree.Node) tree.Node {
	for n.Valid() && n.Kind() != tree.Element {
		n = n.NextSibling()
	}
	return n
}

// start writes what is new in a start tag and returns the prefix of the element.
func (m *mangler) start(n tree.Node) string {
	for d := range n.Decls() {
		m.local = append(m.local, binding{prefix: d.Prefix(), uri: d.URI()})
	}
	own := len(m.local)
	at, _ := n.Range()
	prefix := m.prefix(n.Prefix(), n.Space(), true)
	m.rename(at+1, n.Prefix(), n.Local(), prefix)
	type renamed struct {
		a      tree.Attr
		prefix string
	}
	var few [8]renamed
	attrs := few[:0]
	for a := range n.Attrs() {
		if a.Prefix() != "" {
			if p := m.prefix(a.Prefix(), a.Space(), false); p != a.Prefix() {
				attrs = append(attrs, renamed{a, p})
			}
		}
	}
	if len(m.local) > own {
		m.copyTo(at + 1 + len(n.Name()))
		for _, b := range m.local[own:] {
			m.dst = append(m.dst, ' ')
			m.dst = append(m.dst, strings.TrimSuffix("xmlns:"+b.prefix, ":")...)
			m.dst = append(m.dst, `="`...)
			m.dst = tree.AppendValue(m.dst, b.uri, '"')
			m.dst = append(m.dst, '"')
		}
	}
	for _, r := range attrs {
		at, _ := r.a.Range()
		m.rename(at, r.a.Prefix(), r.a.Local(), r.prefix)
	}
	return prefix
}

func (m *mangler) end(n tree.Node, prefix string) {
	_, inner := n.Inner()
	if prefix != n.Prefix() && m.src[inner] == '<' {
		m.rename(inner+len("</"), n.Prefix(), n.Local(), prefix)
	}
}

// rename gives the name at an offset another prefix.
func (m *mangler) rename(at int, was, local, prefix string) {
	if was == prefix {
		return
	}
	m.copyTo(at)
	if m.from = at; was != "" {
		m.from = at + len(was) + len(":")
	}
	if prefix != "" {
		m.dst = append(m.dst, prefix...)
		m.dst = append(m.dst, ':')
	}
	m.copyTo(m.from + len(local))
}

// prefix returns the prefix for a name that has one in the patch, and declares it where there is none to be used.
func (m *mangler) prefix(prefix, uri string, element bool) string {
	for i := len(m.local) - 1; i >= 0; i-- {
		if m.local[i].prefix == prefix {
			return prefix
		}
	}
	if uri == tree.XMLSpace || m.bound(prefix) == uri && (element || prefix != "") {
		return prefix
	}
	if uri != "" {
		if p, ok := m.choose(prefix, uri, element); ok {
			return p
		}
	}
	m.local = append(m.local, binding{prefix, uri, true})
	return prefix
}

// bound returns what a prefix means at the present place in the result.
func (m *mangler) bound(prefix string) string {
	for i := len(m.local) - 1; i >= 0; i-- {
		if m.local[i].prefix == prefix {
			return m.local[i].uri
		}
	}
	uri, _ := m.context.LookupPrefix(prefix)
	return uri
}

// choose picks one of several prefixes for a namespace: that of the context, else by the alphabet.
func (m *mangler) choose(prefix, uri string, element bool) (string, bool) {
	usable := func(p string) bool { return m.bound(p) == uri && (element || p != "") }
	if m.context.Space() == uri && usable(m.context.Prefix()) {
		return m.context.Prefix(), true
	}
	var candidates []string
	for p, u := range m.context.InScope() {
		if u == uri && usable(p) {
			candidates = append(candidates, p)
		}
	}
	for _, b := range m.local {
		if b.added && b.uri == uri && usable(b.prefix) {
			candidates = append(candidates, b.prefix)
		}
	}
	if len(candidates) == 0 {
		return "", false
	}
	slices.Sort(candidates)
	at, _ := slices.BinarySearch(candidates, prefix)
	return candidates[max(0, at-1)], true
}
