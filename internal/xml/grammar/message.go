package grammar

import (
	"fmt"
	"strconv"

	"imp/internal/xml/tree"
)

// name is what messages call an element.
func (c *checker) name(n tree.Node) string { return "<" + n.Name() + ">" }

// nameOf is what messages call the owner of a value.
func (c *checker) nameOf(n tree.Node, a tree.Attr) string {
	if a.Valid() {
		return "attribute " + a.Name() + " of " + c.name(n)
	}
	return c.name(n)
}

// quote shows a value, clipped.
func quote(value string) string {
	const most = 60
	if r := []rune(value); len(r) > most {
		value = string(r[:most]) + "…"
	}
	if value == "" {
		return "empty"
	}
	return strconv.Quote(value)
}

func place(line, col int) string { return fmt.Sprintf("%d:%d", line, col) }

// wanted is how an element that is allowed below n would be written there.
func (c *checker) wanted(n tree.Node, e *element) string {
	if e.open {
		return "an element of another namespace"
	}
	name := e.names[0]
	if name.space == n.Space() {
		if p := n.Prefix(); p != "" {
			return "<" + p + ":" + name.local + ">"
		}
		return "<" + name.local + ">"
	}
	for prefix, uri := range n.InScope() {
		if uri != name.space {
			continue
		}
		if prefix != "" {
			prefix += ":"
		}
		return "<" + prefix + name.local + ">"
	}
	return "<" + name.local + "> of namespace " + name.space
}

// expected lists what may come next in n.
func (c *checker) expected(n tree.Node, s *state) string {
	var parts []string
	for _, st := range s.steps {
		parts = append(parts, c.wanted(n, st.el))
	}
	if s.nullable {
		parts = append(parts, "the end of "+c.name(n))
	}
	return orList(parts)
}

// found1 tells of a child that may not come next.
func (c *checker) found1(n, k tree.Node, e *element, s *state) string {
	found := "found " + c.name(k) + " in " + c.name(n)
	space, local := k.Space(), k.Local()
	for _, child := range e.children {
		if child.open {
			continue
		}
		for _, name := range child.names {
			if name.local == local && name.space != space {
				return found + ", which is in namespace " + spaceName(space) + "; expected " + c.wanted(n, child) + " of namespace " + spaceName(name.space)
			}
		}
	}
	if len(e.children) == 0 {
		return found + ", expected no element"
	}
	return found + ", expected " + c.expected(n, s)
}

func spaceName(space string) string {
	if space == "" {
		return "none"
	}
	return space
}

func (c *checker) unexpectedText(n, k tree.Node, e *element) {
	text := collapse(k.Text())
	expected := "elements only"
	if len(e.children) == 0 {
		expected = "nothing"
	}
	c.at(k, RuleText, "found text "+quote(text)+" in "+c.name(n)+", expected "+expected)
}

// allowed lists the attributes of an element.
func (c *checker) allowed(e *element) string {
	var parts []string
	for _, a := range e.attrs {
		name := a.local
		if a.space == xmlSpace {
			name = "xml:" + name
		}
		parts = append(parts, name)
	}
	if len(e.wild) > 0 {
		parts = append(parts, "those of other namespaces")
	}
	if len(parts) == 0 {
		return ", expected none"
	}
	return ", expected " + orList(parts)
}
