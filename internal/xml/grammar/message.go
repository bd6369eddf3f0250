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

// wanted is how an element of this name would be written below n.
func (c *checker) wanted(n tree.Node, name expanded) string {
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
	return "<" + name.local + "> of namespace " + spaceName(name.space)
}

// expected lists what may come next in n.
func (c *checker) expected(n tree.Node, s *state) string {
	var parts []string
	for _, st := range s.steps {
		if st.el.open {
			parts = append(parts, "an element of another namespace")
		}
		for _, name := range st.el.names {
			parts = append(parts, c.wanted(n, name))
		}
	}
	if s.nullable {
		parts = append(parts, "the end of "+c.name(n))
	}
	return orList(parts)
}

// unfit tells of a child k of n that may not come next.
func (c *checker) unfit(n, k tree.Node, e *element, s *state) string {
	found := "found " + c.name(k) + " in " + c.name(n)
	space, local := k.Space(), k.Local()
	if len(e.children) == 0 {
		return found + ", expected no element"
	}
	listed := false
	for _, child := range e.children {
		for _, name := range child.names {
			if name.local == local && name.space != space {
				return found + ", which is in namespace " + spaceName(space) + "; expected " + c.wanted(n, name) + " of namespace " + spaceName(name.space)
			}
			listed = listed || name.local == local
		}
	}
	before := k.PrevSibling()
	for before.Valid() && before.Kind() != tree.Element {
		before = before.PrevSibling()
	}
	if before.Valid() {
		found += " behind " + c.name(before)
	}
	found += ", expected " + c.expected(n, s)
	if near := nearest(e, space, local); near.local != "" && !listed {
		found += "; did you mean " + c.wanted(n, near) + "?"
	}
	return found
}

// nearest returns the name of a child that differs little from local, none when there is no such child.
func nearest(e *element, space, local string) (best expanded) {
	least := 1 + len(local)/4
	for _, child := range e.children {
		for _, name := range child.names {
			if name.space != space {
				continue
			}
			if d := edits(name.local, local); d <= least {
				best, least = name, d-1
			}
		}
	}
	return best
}

// edits is how many characters have to be inserted, removed or replaced to make b of a. Long names are not looked at.
func edits(a, b string) int {
	const longest = 40
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var row [longest + 1]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
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
