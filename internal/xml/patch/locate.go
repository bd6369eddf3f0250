package patch

import (
	"errors"
	"slices"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// many is how many children are looked through one by one for each selector. Elements with more get an index when they are
// asked for again.
const many = 256

// target is what an operation is about.
type target struct {
	kind selector.Kind
	node tree.Node // an attribute's and a declaration's element
	attr tree.Attr
	decl tree.Decl
}

// locator locates what selectors select. It follows the edits of the operations, so that many operations on a long list
// do not each run through that.
type locator struct {
	tree  *tree.Tree
	known map[tree.Node]*index
}

// index knows the element children of an element.
type index struct {
	asked    bool    // once; it is built at the second time
	elements []int32 // in order
	mixed    bool    // they have several names
	values   map[string]map[string][]int32
}

// locate finds the one node that the operation is about.
func (l *locator) locate(op *Operation, s *selector.Selector) (target, *Error) {
	if at, ok := l.find(s.Steps()); ok {
		return at, nil
	}
	n, err := s.Locate(l.tree)
	if err == nil {
		return target{n.Kind(), n.Node, n.Attr, n.Decl}, nil
	}
	steps := s.Steps()
	condition := UnlocatedNode
	var why *selector.Error
	switch last := steps[len(steps)-1]; {
	case !errors.As(err, &why):
	case steps[why.Step].ID != "" && l.tree.Doctype() != nil:
		condition = UnsupportedID
	case last.Kind == selector.Namespace && why.Step == len(steps)-1:
		condition = InvalidURI
	case len(steps) == 1 && (last.Kind == selector.Comment || last.Kind == selector.PI):
		condition = InvalidProlog
	}
	return target{}, fail(condition, op.Element, err)
}

// find does what is quickly done: selectors of which each step selects one node, by a position or the value of an
// attribute. What it does not find the selector itself has to.
func (l *locator) find(steps []selector.Step) (at target, ok bool) {
	if l.tree.Doctype() != nil {
		return at, false
	}
	at.node = l.tree.Document()
	for i := range steps {
		step := &steps[i]
		at.kind = step.Kind
		switch step.Kind {
		case selector.Attribute:
			at.attr = at.node.Attribute(step.Space, step.Local)
			return at, at.attr.Valid()
		case selector.Namespace:
			for d := range at.node.Decls() {
				if d.Prefix() == step.Local {
					at.decl = d
				}
			}
			return at, at.decl.Valid()
		}
		if step.ID != "" || len(step.Predicates) > 1 {
			return at, false
		}
		if at.node, ok = l.child(at.node, step); !ok {
			return at, false
		}
	}
	return at, true
}

// child returns the one child that a step selects.
func (l *locator) child(parent tree.Node, step *selector.Step) (found tree.Node, ok bool) {
	looked, position := 0, 0
	for c := parent.FirstChild(); c.Valid(); c = c.NextSibling() {
		if looked++; looked > many {
			return l.indexed(parent, step)
		}
		if !matches(c, step) {
			continue
		}
		if len(step.Predicates) > 0 {
			switch p := &step.Predicates[0]; p.Test {
			case selector.Position:
				if position++; position != p.Position {
					continue
				}
				return c, true
			case selector.AttributeValue:
				if a := c.Attribute(p.Space, p.Local); !a.Valid() || a.Value() != p.Value {
					continue
				}
			default:
				return found, false
			}
		}
		if found.Valid() {
			return found, false
		}
		found = c
	}
	return found, found.Valid()
}

func matches(n tree.Node, step *selector.Step) bool {
	switch step.Kind {
	case selector.Element:
		return n.Kind() == tree.Element && (step.Any || n.Is(step.Space, step.Local))
	case selector.Text:
		return n.Kind() == tree.Text
	case selector.Comment:
		return n.Kind() == tree.Comment
	}
	return n.Kind() == tree.PI && (step.Local == "" || n.Target() == step.Local)
}

func (l *locator) indexed(parent tree.Node, step *selector.Step) (tree.Node, bool) {
	if step.Kind != selector.Element || len(step.Predicates) != 1 {
		return tree.Node{}, false
	}
	x := l.known[parent]
	if x == nil {
		if l.known == nil {
			l.known = make(map[tree.Node]*index)
		}
		l.known[parent] = &index{asked: true}
		return tree.Node{}, false
	}
	if x.asked {
		x.build(parent)
	}
	switch p := &step.Predicates[0]; {
	case p.Test == selector.Position && p.Position > 0 && p.Position <= len(x.elements) && (step.Any || !x.mixed):
		n := l.tree.Node(int(x.elements[p.Position-1]))
		return n, matches(n, step)
	case p.Test == selector.AttributeValue && p.Space == "":
		return x.withValue(l.tree, step, p)
	}
	return tree.Node{}, false
}

func (x *index) build(parent tree.Node) {
	x.asked = false
	first := tree.Node{}
	for c := range parent.Elements() {
		if !first.Valid() {
			first = c
		}
		x.mixed = x.mixed || !c.Is(first.Space(), first.Local())
		x.elements = append(x.elements, int32(c.Index()))
	}
}

func (x *index) withValue(t *tree.Tree, step *selector.Step, p *selector.Predicate) (found tree.Node, ok bool) {
	if x.values[p.Local] == nil {
		if x.values == nil {
			x.values = make(map[string]map[string][]int32)
		}
		x.values[p.Local] = make(map[string][]int32, len(x.elements))
		for _, i := range x.elements {
			x.note(t.Node(int(i)), p.Local)
		}
	}
	for _, i := range x.values[p.Local][p.Value] {
		if n := t.Node(int(i)); matches(n, step) {
			if found.Valid() {
				return found, false
			}
			found = n
		}
	}
	return found, found.Valid()
}

// note puts an element under the value of one of its attributes.
func (x *index) note(n tree.Node, name string) {
	if v, ok := n.Attr("", name); ok {
		x.values[name][v] = append(x.values[name][v], int32(n.Index()))
	}
}

// forget takes an element from under the value of one of its attributes.
func (x *index) forget(n tree.Node, name string) {
	if v, ok := n.Attr("", name); ok {
		list := x.values[name][v]
		if i := slices.Index(list, int32(n.Index())); i >= 0 {
			x.values[name][v] = slices.Delete(list, i, i+1)
		}
	}
}

// edge is where children of an element are going to be added or removed.
type edge struct{ parent, left, right tree.Node }

// edgeOf returns the place that an operation changes, none when it changes no children.
func (op *Operation) edgeOf(at target) edge {
	n := at.node
	switch {
	case at.kind >= selector.Attribute, op.kind != selector.None:
		return edge{}
	case op.Verb != Add:
		return edge{n.Parent(), n.PrevSibling(), n.NextSibling()}
	case op.Position == Before:
		return edge{n.Parent(), n.PrevSibling(), n}
	case op.Position == After:
		return edge{n.Parent(), n, n.NextSibling()}
	case op.Position == Prepend:
		return edge{n, tree.Node{}, n.FirstChild()}
	}
	return edge{n, n.LastChild(), tree.Node{}}
}

// follow runs an operation and keeps what is known right.
func (l *locator) follow(op *Operation, at target, run func(target) *Error) *Error {
	if len(l.known) == 0 {
		return run(at)
	}
	e := op.edgeOf(at)
	if x := l.known[e.parent]; x != nil && !x.asked {
		return l.followChildren(x, e, op, at, run)
	}
	if e.parent.Valid() {
		return run(at)
	}
	if at.kind == selector.Namespace || op.kind == selector.Namespace {
		clear(l.known) // names may be of other namespaces afterwards
		return run(at)
	}
	name := op.local
	if at.kind == selector.Attribute {
		name = at.attr.Local()
	}
	x := l.known[at.node.Parent()]
	if x == nil || x.values[name] == nil {
		return run(at)
	}
	x.forget(at.node, name)
	failed := run(at)
	x.note(at.node, name)
	return failed
}

func (l *locator) followChildren(x *index, e edge, op *Operation, at target, run func(target) *Error) *Error {
	position := 0
	for c := e.left; c.Valid(); c = c.PrevSibling() {
		if c.Kind() == tree.Element {
			position = 1 + slices.Index(x.elements, int32(c.Index()))
			break
		}
	}
	if op.Verb != Add && at.kind == selector.Element {
		for name := range x.values {
			x.forget(at.node, name)
		}
		x.elements = slices.Delete(x.elements, position, position+1)
	}
	failed := run(at)
	if failed != nil || op.Verb == Remove {
		return failed
	}
	c := e.parent.FirstChild()
	if e.left.Valid() {
		c = e.left.NextSibling()
	}
	for ; c.Valid() && c != e.right; c = c.NextSibling() {
		if c.Kind() != tree.Element {
			continue
		}
		if len(x.elements) > 0 {
			other := l.tree.Node(int(x.elements[0]))
			x.mixed = x.mixed || !c.Is(other.Space(), other.Local())
		}
		x.elements = slices.Insert(x.elements, position, int32(c.Index()))
		position++
		for name := range x.values {
			x.note(c, name)
		}
	}
	return nil
}
