package patch

import (
	"strconv"
	"strings"

	"imp/internal/xml/tree"
)

// place is a child element and its position among the element children of its parent. Since a differ works from left to
// right, one place a parent saves it from counting from the start each time.
type place struct {
	element  tree.Node
	position int
}

// path returns a selector of a node of a: of elements by the attribute that tells them apart, else by position.
func (d *differ) path(n tree.Node) string {
	var steps []string
	for ; n.Kind() != tree.Document; n = n.Parent() {
		steps = append(steps, d.step(n))
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteString(steps[i])
		if i > 0 {
			b.WriteByte('/')
		}
	}
	return b.String()
}

func (d *differ) step(n tree.Node) string {
	switch n.Kind() {
	case tree.Element:
		return "*" + d.predicate(n)
	case tree.Text:
		return "text()" + among(n)
	case tree.Comment:
		return "comment()" + among(n)
	}
	return "processing-instruction()" + among(n)
}

// among returns the position of a node that is no element among its siblings of the same kind, nothing when it is the
// only one.
func among(n tree.Node) string {
	position := 1
	for c := n.PrevSibling(); c.Valid(); c = c.PrevSibling() {
		if c.Kind() == n.Kind() {
			position++
		}
	}
	if position == 1 {
		c := n.NextSibling()
		for c.Valid() && c.Kind() != n.Kind() {
			c = c.NextSibling()
		}
		if !c.Valid() {
			return ""
		}
	}
	return "[" + strconv.Itoa(position) + "]"
}

func (d *differ) predicate(n tree.Node) string {
	if n == d.a.Root() {
		return ""
	}
	if a := key(n); a.Valid() && d.budget > 0 && quotable(a.Value()) && d.alone(n, a) {
		return "[@" + a.Local() + "='" + a.Value() + "']"
	}
	return "[" + strconv.Itoa(d.position(n)) + "]"
}

// quotable reports whether a value can stand in a selector as it is.
func quotable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || strings.ContainsRune("'\"&<[]", r) })
}

// alone reports whether no sibling has the same value of the attribute.
func (d *differ) alone(n tree.Node, a tree.Attr) bool {
	name, value := a.Local(), a.Value()
	for c := n.Parent().FirstChild(); c.Valid(); c = c.NextSibling() {
		d.budget--
		if b := c.Attribute("", name); c != n && b.Valid() && b.Value() == value {
			return false
		}
	}
	return true
}

// position returns the position of an element among the element children of its parent.
func (d *differ) position(n tree.Node) int {
	parent, count := n.Parent(), 0
	from := d.places[parent]
	c := n
	for ; c.Valid() && (c != from.element || !from.element.Valid()); c = c.PrevSibling() {
		if c.Kind() == tree.Element {
			count++
		}
	}
	if c.Valid() {
		count += from.position
	}
	if d.places == nil {
		d.places = make(map[tree.Node]place)
	}
	d.places[parent] = place{n, count}
	return count
}

// before returns a place to the left of n that an edit of n, or before it, does not move.
func (d *differ) before(n tree.Node) place {
	from := d.places[n.Parent()]
	if from.element != n {
		return from
	}
	for c := n.PrevSibling(); c.Valid(); c = c.PrevSibling() {
		if c.Kind() == tree.Element {
			return place{c, from.position - 1}
		}
	}
	return place{}
}

// moved remembers a place that an edit has not moved.
func (d *differ) moved(parent tree.Node, at place) {
	if d.places != nil {
		d.places[parent] = at
	}
}
