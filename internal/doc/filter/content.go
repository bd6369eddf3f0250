package filter

import (
	"errors"
	"maps"
	"slices"

	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

const spacePIDF = "urn:ietf:params:xml:ns:pidf"

// limitsOfDocuments bound what is filtered.
var limitsOfDocuments = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 100}}

// Apply gives the content of a document that the filter asks for (RFC 4661 section 3.5, RFC 4660 section 5.3.1), nil when it asks for nothing that is there.
// What the document type demands is in the result even when it is not asked for, or is excluded, as far as imp knows the type. Without includes all is
// asked for but what is excluded. A filter that is not enabled, or has nothing to say about content, gives the document as it is. The error is that of a
// document that is not well-formed.
func (f *Filter) Apply(doc []byte) ([]byte, error) {
	t, err := tree.Parse(doc, limitsOfDocuments)
	if err != nil {
		return nil, err
	}
	if !f.Enabled || len(f.What) == 0 {
		return doc, nil
	}
	c := &content{doc: doc, tree: t, keep: make([]mark, t.Count()), attrs: map[attribute]bool{}}
	if !c.choose(f.What) {
		return nil, nil
	}
	return c.valid()
}

// mark says how much of an element is delivered.
type mark uint8

const (
	none  mark = iota
	shell      // the element, for what is in it or because it is mandatory
	full       // with its attributes and its text
)

type attribute struct {
	owner        int
	space, local string
}

// content is what remains of a document.
type content struct {
	doc   []byte
	tree  *tree.Tree
	keep  []mark             // by index of an element
	attrs map[attribute]bool // that are delivered beside those of full elements; false: taken from one
}

// choose marks what the picks ask for and reports whether there is anything.
func (c *content) choose(what []Pick) bool {
	includes := false
	for i := range what {
		if !what[i].Exclude {
			includes = true
			c.pick(&what[i], c.include)
		}
	}
	if !includes {
		c.whole(c.tree.Root())
	}
	for i := range what {
		if what[i].Exclude {
			c.pick(&what[i], c.exclude)
		}
	}
	return c.close(c.tree.Root())
}

// pick calls do for all that a pick selects; deep tells whether that means all that is in an element, too.
func (c *content) pick(p *Pick, do func(f found, deep bool)) {
	if p.selection != nil {
		for _, f := range p.selection.evaluate(c.tree) {
			do(f, true)
		}
	}
	if p.Namespace == "" {
		return
	}
	var walk func(tree.Node)
	walk = func(n tree.Node) {
		if n.Space() == p.Namespace {
			do(found{node: n}, p.Exclude)
		}
		for a := range n.Attrs() {
			if a.Space() == p.Namespace {
				do(found{n, a}, false)
			}
		}
		for e := range n.Elements() {
			walk(e)
		}
	}
	walk(c.tree.Root())
}

func (c *content) include(f found, deep bool) {
	switch {
	case f.attr.Valid():
		c.attrs[attribute{f.node.Index(), f.attr.Space(), f.attr.Local()}] = true
		c.keep[f.node.Index()] = max(c.keep[f.node.Index()], shell)
	case deep:
		c.whole(f.node)
	default:
		c.keep[f.node.Index()] = full
		for a := range f.node.Attrs() { // those of other namespaces have to be asked for
			if a.Space() != "" && a.Space() != tree.XMLSpace && a.Space() != f.node.Space() {
				key := attribute{f.node.Index(), a.Space(), a.Local()}
				if !c.attrs[key] {
					c.attrs[key] = false
				}
			}
		}
	}
}

func (c *content) exclude(f found, _ bool) {
	if f.attr.Valid() {
		c.attrs[attribute{f.node.Index(), f.attr.Space(), f.attr.Local()}] = false
		return
	}
	var walk func(tree.Node)
	walk = func(n tree.Node) {
		c.keep[n.Index()] = none
		for a := range n.Attrs() {
			delete(c.attrs, attribute{n.Index(), a.Space(), a.Local()})
		}
		for e := range n.Elements() {
			walk(e)
		}
	}
	walk(f.node)
}

func (c *content) whole(n tree.Node) {
	c.keep[n.Index()] = full
	for e := range n.Elements() {
		c.whole(e)
	}
}

// close keeps the elements around what is kept and reports whether there is anything.
func (c *content) close(n tree.Node) bool {
	any := c.keep[n.Index()] != none
	for e := range n.Elements() {
		if c.close(e) {
			any = true
		}
	}
	if any {
		c.keep[n.Index()] = max(c.keep[n.Index()], shell)
	}
	return any
}

// has tells whether an attribute is delivered.
func (c *content) has(n tree.Node, a tree.Attr) bool {
	if told, ok := c.attrs[attribute{n.Index(), a.Space(), a.Local()}]; ok {
		return told
	}
	return c.keep[n.Index()] == full
}

// render writes what is kept: a copy of the source without the rest and without the blank lines that it would leave.
func (c *content) render() []byte {
	out := make([]byte, 0, len(c.doc))
	from := 0
	skip := func(start, end int) {
		out = append(out, c.doc[from:start]...)
		from = end
	}
	var walk func(tree.Node)
	walk = func(n tree.Node) {
		for a := range n.Attrs() {
			if start, end := a.Range(); !c.has(n, a) {
				for start > 0 && blank(c.doc[start-1]) {
					start--
				}
				skip(max(start, from), end)
			}
		}
		leaf := true
		for range n.Elements() {
			leaf = false
		}
		for child := range n.Children() {
			start, end := child.Range()
			switch child.Kind() {
			case tree.Element:
				if c.keep[child.Index()] != none {
					walk(child)
					continue
				}
				for start > from && blank(c.doc[start-1]) {
					start--
				}
				skip(start, end)
			case tree.Text:
				if c.keep[n.Index()] == shell && !leaf && !child.Blank() {
					skip(start, end)
				}
			default:
				if c.keep[n.Index()] == shell {
					skip(start, end)
				}
			}
		}
	}
	walk(c.tree.Root())
	return append(out, c.doc[from:]...)
}

func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// maxRepairs bounds how often the result is looked at; each time elements or attributes of one name come back.
const maxRepairs = 64

// valid renders, and brings back what the grammar of the document asks for. A document that is not valid itself, or of no known type, is not repaired;
// where repair fails the whole document is the answer.
func (c *content) valid() ([]byte, error) {
	root := c.tree.Root()
	g, ok := grammar.For(root.Space(), root.Local())
	if !ok || len(g.Check(c.tree)) > 0 {
		return c.render(), nil
	}
	for range maxRepairs {
		out := c.render()
		p, element, err := c.problem(g, out)
		switch {
		case err != nil:
			return nil, err
		case p == nil && c.fill(root):
		case p == nil:
			return out, nil
		case !c.repair(g, p, element):
			return c.doc, nil
		}
	}
	return c.doc, nil
}

// fill brings back what an element of PIDF must hold and the schema does not ask for: a status is never empty (RFC 3863 section 4.1.4). It reports whether
// there was any.
func (c *content) fill(n tree.Node) (filled bool) {
	if c.keep[n.Index()] == none {
		return false
	}
	var first tree.Node
	held := false
	for e := range n.Elements() {
		if !first.Valid() {
			first = e
		}
		held = held || c.keep[e.Index()] != none
		filled = c.fill(e) || filled
	}
	if n.Is(spacePIDF, "status") && first.Valid() && !held {
		c.whole(first)
		return true
	}
	return filled
}

// problem gives the first problem of what was rendered and the element of the source that has it.
func (c *content) problem(g *grammar.Grammar, out []byte) (*grammar.Problem, tree.Node, error) {
	t, err := tree.Parse(out, limitsOfDocuments)
	if err != nil {
		return nil, tree.Node{}, errors.Join(errors.New("filtering a document"), err)
	}
	problems := g.Check(t)
	if len(problems) == 0 {
		return nil, tree.Node{}, nil
	}
	p := problems[0]
	var source tree.Node
	var walk func(of, in tree.Node)
	walk = func(of, in tree.Node) { // of the result beside the same of the source
		line, col := of.Position()
		if line > p.Line || line == p.Line && col > p.Col {
			return
		}
		source = in
		next := in.FirstChild()
		for e := range of.Elements() {
			for next.Valid() && (next.Kind() != tree.Element || c.keep[next.Index()] == none) {
				next = next.NextSibling()
			}
			walk(e, next)
			next = next.NextSibling()
		}
	}
	walk(t.Root(), c.tree.Root())
	return &p, source, nil
}

// repair brings back, in all elements of the name of the one with the problem, the attribute or child that mends it.
func (c *content) repair(g *grammar.Grammar, p *grammar.Problem, element tree.Node) bool {
	for n := element; n.Kind() == tree.Element; n = n.Parent() {
		for a := range n.Attrs() {
			if !c.has(n, a) && c.try(g, p, element, n, func(o tree.Node) { c.bring(o, a) }) {
				return true
			}
		}
		for e := range n.Elements() {
			if c.keep[e.Index()] == none && c.try(g, p, element, n, func(o tree.Node) { c.admit(o, e) }) {
				return true
			}
		}
	}
	return false
}

func (c *content) bring(o tree.Node, like tree.Attr) {
	if o.Attribute(like.Space(), like.Local()).Valid() {
		c.attrs[attribute{o.Index(), like.Space(), like.Local()}] = true
	}
}

// admit keeps the first child of a name: all of one that holds a value, else itself alone.
func (c *content) admit(o, like tree.Node) {
	e := o.Element(like.Space(), like.Local())
	if e.Valid() && c.keep[e.Index()] == none {
		if c.keep[e.Index()] = shell; !e.FirstChild().Valid() || e.FirstChild() == e.LastChild() {
			c.keep[e.Index()] = full
		}
	}
}

// try does something to all kept elements named like n, and undoes it when element still has the problem.
func (c *content) try(g *grammar.Grammar, p *grammar.Problem, element, n tree.Node, do func(tree.Node)) bool {
	keep := slices.Clone(c.keep)
	attrs := maps.Clone(c.attrs)
	var walk func(tree.Node)
	walk = func(o tree.Node) {
		if c.keep[o.Index()] == none {
			return
		}
		if o.Is(n.Space(), n.Local()) {
			do(o)
		}
		for e := range o.Elements() {
			walk(e)
		}
	}
	walk(c.tree.Root())
	now, where, err := c.problem(g, c.render())
	if err == nil && (now == nil || now.Text != p.Text || now.Rule != p.Rule || where.Index() != element.Index()) {
		return true
	}
	c.keep = keep
	c.attrs = attrs
	return false
}
