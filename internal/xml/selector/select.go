package selector

import (
	"strings"

	"imp/internal/xml/tree"
)

// Select returns what the selector selects in a document, in document order, at most two nodes: a second one is all
// that callers need to see that there are several. In a node selector of XCAP every step but the last has to select one
// element, else nothing is selected (RFC 4825, section 6.3).
func (s *Selector) Select(t *tree.Tree) []Node {
	f := finder{steps: s.steps, xcap: s.xcap}
	f.walk(t.Document(), 0)
	return f.found[:f.n:f.n]
}

// Locate returns the one node that the selector selects. When that is none or several, the error is an *Error.
func (s *Selector) Locate(t *tree.Tree) (Node, error) {
	f := finder{steps: s.steps, xcap: s.xcap}
	f.walk(t.Document(), 0)
	if f.n == 1 {
		return f.found[0], nil
	}
	return Node{}, s.fault(t)
}

// finder walks depth first and stops at the second node found.
type finder struct {
	steps []Step
	xcap  bool
	found [2]Node
	n     int
}

func (f *finder) add(n Node) {
	f.found[f.n] = n
	f.n++
}

func (f *finder) walk(context tree.Node, i int) {
	step := &f.steps[i]
	if step.Kind >= Attribute {
		if n := step.own(context); n.kind != None {
			f.add(n)
		}
		return
	}
	last := i == len(f.steps)-1
	c := step.from(context)
	for n := c.next(); n.Valid() && f.n < len(f.found); n = c.next() {
		if last {
			f.add(Node{Node: n, kind: step.Kind})
			continue
		}
		if f.xcap && c.next().Valid() {
			return
		}
		f.walk(n, i+1)
	}
}

// own returns the attribute, declaration or bindings of the context that a last step selects.
func (s *Step) own(context tree.Node) Node {
	switch s.Kind {
	case Attribute:
		if a := context.Attribute(s.Space, s.Local); a.Valid() {
			return Node{Node: context, Attr: a, kind: Attribute}
		}
	case Namespace:
		for d := range context.Decls() {
			if d.Prefix() == s.Local {
				return Node{Node: context, Decl: d, kind: Namespace}
			}
		}
	case Bindings:
		if context.Kind() == tree.Element {
			return Node{Node: context, kind: Bindings}
		}
	}
	return Node{}
}

// cursor runs through the nodes that a step selects in one context.
type cursor struct {
	step   *Step
	at     tree.Node            // to be looked at next
	single bool                 // nothing behind it can be selected
	passed int                  // how many predicates at has passed
	seen   [MaxPredicates]int32 // how many nodes have come to each predicate
}

// from starts a cursor. A position that comes first is counted off at once.
func (s *Step) from(context tree.Node) cursor {
	c := cursor{step: s, at: context.FirstChild()}
	if len(s.Predicates) > 0 && s.Predicates[0].Test == Position {
		c.at, c.single, c.passed = s.nth(c.at, s.Predicates[0].Position), true, 1
	}
	return c
}

// nth returns the sibling, n or behind it, that is the one of this position among those with the name of the step.
func (s *Step) nth(n tree.Node, position int) tree.Node {
	for ; n.Valid(); n = n.NextSibling() {
		if s.Any && n.Kind() == tree.Element || !s.Any && s.names(n) {
			if position--; position == 0 {
				return n
			}
		}
	}
	return tree.Node{}
}

func (c *cursor) next() tree.Node {
	for n := c.at; n.Valid(); n = c.at {
		c.at = tree.Node{}
		if !c.single {
			c.at = c.step.after(n)
		}
		if c.step.names(n) && c.passes(n) {
			return n
		}
	}
	return tree.Node{}
}

func (s *Step) after(n tree.Node) tree.Node {
	if s.ID != "" {
		return following(n)
	}
	return n.NextSibling()
}

// passes reports whether the predicates let a node through. Behind a position that is reached nothing can follow.
func (c *cursor) passes(n tree.Node) bool {
	for i := c.passed; i < len(c.step.Predicates); i++ {
		p := &c.step.Predicates[i]
		if p.Test != Position {
			if !p.holds(n) {
				return false
			}
			continue
		}
		c.seen[i]++
		if int(c.seen[i]) >= p.Position {
			c.at = tree.Node{}
		}
		if int(c.seen[i]) != p.Position {
			return false
		}
	}
	return true
}

// names reports whether the node test of a step matches.
func (s *Step) names(n tree.Node) bool {
	switch s.Kind {
	case Element:
		if s.Any {
			return n.Kind() == tree.Element
		}
		if s.ID != "" {
			return hasID(n, s.ID)
		}
		return n.Is(s.Space, s.Local)
	case Text:
		return n.Kind() == tree.Text
	case Comment:
		return n.Kind() == tree.Comment
	case PI:
		return n.Kind() == tree.PI && (s.Local == "" || n.Target() == s.Local)
	}
	return false
}

// hasID reports whether an element has an ID by xml:id. Its value is normalised as that of any ID (xml:id 1.0, section
// 4).
func hasID(n tree.Node, id string) bool {
	value, ok := n.Attr(tree.XMLSpace, "id")
	return ok && (value == id || strings.Trim(value, " ") == id)
}

// holds reports whether a test of a value is true. A value that refers to an entity of the DTD is unknown and equals
// nothing.
func (p *Predicate) holds(n tree.Node) bool {
	switch p.Test {
	case AttributeValue:
		a := n.Attribute(p.Space, p.Local)
		if !a.Valid() || a.Value() != p.Value {
			return false
		}
		_, unknown := a.Unresolved()
		return !unknown
	case ChildValue:
		for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
			if c.Is(p.Space, p.Local) && hasText(c, p.Value) {
				return true
			}
		}
		return false
	}
	return hasText(n, p.Value)
}

// hasText reports whether the string-value of an element is v, without building it.
func hasText(element tree.Node, v string) bool {
	end := afterSubtree(element)
	for n := element.FirstChild(); n.Valid() && n != end; n = following(n) {
		if n.Kind() != tree.Text {
			continue
		}
		text := n.Text()
		if !strings.HasPrefix(v, text) {
			return false
		}
		if _, unknown := n.Unresolved(); unknown {
			return false
		}
		v = v[len(text):]
	}
	return v == ""
}

// following returns the next node in document order.
func following(n tree.Node) tree.Node {
	if c := n.FirstChild(); c.Valid() {
		return c
	}
	return afterSubtree(n)
}

func afterSubtree(n tree.Node) tree.Node {
	for ; n.Valid(); n = n.Parent() {
		if s := n.NextSibling(); s.Valid() {
			return s
		}
	}
	return tree.Node{}
}
