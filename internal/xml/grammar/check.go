package grammar

import (
	"slices"
	"sync"

	"imp/internal/xml/tree"
)

// Problem is what is wrong in a document.
type Problem struct {
	Line, Col int    // of the element, attribute or text, see tree.Tree.Position
	Rule      string // stable name of the rule
	Text      string // what was found and what was allowed
}

// Names of rules about grammars.
const (
	RuleElement          = "unexpected-element"
	RuleMissingElement   = "missing-element"
	RuleAttribute        = "unexpected-attribute"
	RuleMissingAttribute = "missing-attribute"
	RuleText             = "unexpected-text"
	RuleValue            = "invalid-value"
	RuleID               = "id-ncname"
	RuleDuplicateID      = "duplicate-id"
	RuleRoot             = "wrong-root"
	RuleNamespace        = "wrong-namespace"
	RuleEntity           = "entity-reference"
)

// MaxProblems is how many problems of a document are told.
const MaxProblems = 50

// Check returns the first problems of a document, in document order; none when it is valid. Values that refer to entities
// of a document type declaration are a problem, as they cannot be known.
//
// It takes linear time, and a valid document costs no memory beyond that of its IDs.
func (g *Grammar) Check(t *tree.Tree) []Problem {
	return g.run(t, false, false)
}

// CheckKnown is Check that also refuses elements, let in by an extension point, that their namespace does not have though it is known
// (RFC 4825 section 8.2.5). Their rule is LintUnknown.
func (g *Grammar) CheckKnown(t *tree.Tree) []Problem {
	return g.run(t, false, true)
}

// Validate returns the first error of Check, as a *tree.Error, nil when there is none.
func (g *Grammar) Validate(t *tree.Tree) error {
	problems := g.Check(t)
	if len(problems) == 0 {
		return nil
	}
	return &tree.Error{Line: problems[0].Line, Col: problems[0].Col, Msg: problems[0].Text}
}

// Lint returns what the grammar cannot say: values and structures that the RFCs forbid or advise against, or that peers are
// known to get wrong. Each is a warning.
func (g *Grammar) Lint(t *tree.Tree) []Problem {
	return g.run(t, true, true)
}

var checkers = sync.Pool{New: func() any { return new(checker) }}

func (g *Grammar) run(t *tree.Tree, lint, known bool) []Problem {
	c := checkers.Get().(*checker)
	defer c.release()
	c.t, c.g, c.lint, c.strict = t, g, lint, known
	root := t.Root()
	if t.Doctype() != nil && !lint {
		if at, unknown := t.Document().Unresolved(); unknown {
			c.report(at, RuleEntity, "found a reference to an entity of the document type declaration, which is not read")
		}
	}
	c.root(root)
	return c.problems()
}

// Misplaced returns the problem of a root element that has the name of a document type's root and is in another namespace.
func Misplaced(root tree.Node) (Problem, bool) {
	text, ok := misplaced(root)
	line, col := root.Position()
	return Problem{line, col, RuleNamespace, text}, ok
}

func misplaced(root tree.Node) (string, bool) {
	t, ok := named(root.Local())
	if !ok || t.Space == root.Space() {
		return "", false
	}
	in := "in no namespace"
	if root.Space() != "" {
		in = "in namespace " + root.Space()
	}
	return "found <" + root.Name() + "> " + in + ", expected namespace " + t.Space, true
}

// checker is one run over a document. Checkers are used again.
type checker struct {
	t      *tree.Tree
	g      *Grammar
	lint   bool
	strict bool // elements that their namespace does not have are told
	found  []finding
	ids    []idUse
	byID   map[string]bool // of ids, when there are many

	lastSpace  string // what the last lookup of an open name was about
	lastSchema *schema
	looked     bool
}

type finding struct {
	offset     int
	rule, text string
}

type idUse struct {
	value string
	attr  tree.Attr
}

func (c *checker) release() {
	clear(c.ids)
	if cap(c.ids) > 1<<10 {
		c.ids = nil
	}
	*c = checker{found: c.found[:0], ids: c.ids[:0]}
	checkers.Put(c)
}

// full reports whether no more needs to be found.
func (c *checker) full() bool { return len(c.found) >= MaxProblems }

func (c *checker) report(offset int, rule, text string) {
	if !c.full() {
		c.found = append(c.found, finding{offset, rule, text})
	}
}

func (c *checker) problems() []Problem {
	if len(c.found) == 0 {
		return nil
	}
	slices.SortStableFunc(c.found, func(a, b finding) int { return a.offset - b.offset })
	made := make([]Problem, 0, len(c.found))
	for _, f := range c.found {
		line, col := c.t.Position(f.offset)
		made = append(made, Problem{line, col, f.rule, f.text})
	}
	clear(c.found)
	return made
}

func (c *checker) root(n tree.Node) {
	space, local := n.Space(), n.Local()
	g := c.g
	if e := g.schema.root(space, local); e != nil && (g.local == "" || g.space == space && g.local == local) {
		c.element(n, e)
		return
	}
	if g.local != "" {
		if c.lint {
			return // Check tells it
		}
		c.at(n, RuleRoot, "found "+c.name(n)+" as root, expected <"+g.local+"> in namespace "+g.space)
		return
	}
	c.fragment(n, space, local)
}

// fragment checks an element that only stands within documents. Where several patterns have its name, the one that fits
// best is meant: with the fewest problems, and the first of them far behind.
func (c *checker) fragment(n tree.Node, space, local string) {
	var best []finding
	tried := false
	for _, e := range c.g.schema.elements {
		if !e.is(space, local) {
			continue
		}
		c.found, c.ids, c.byID = c.found[:0], c.ids[:0], nil
		c.element(n, e)
		if !tried || len(c.found) < len(best) || len(c.found) == len(best) && c.found[0].offset > best[0].offset {
			best, tried = slices.Clone(c.found), true
		}
		if len(best) == 0 {
			break
		}
	}
	c.found = append(c.found[:0], best...)
	if tried {
		return
	}
	if p, ok := misplaced(n); ok {
		c.at(n, RuleNamespace, p)
		return
	}
	c.at(n, RuleElement, "found "+c.name(n)+", namespace "+space+" has no such element")
}

// element checks an element with all that is in it.
func (c *checker) element(n tree.Node, e *element) {
	if c.full() {
		return
	}
	c.attributes(n, e)
	if c.lint {
		c.lintElement(n)
	}
	if e.kind == contentData {
		c.value(n, e)
		return
	}
	s, wrong := e.start, false
	for k := n.FirstChild(); k.Valid() && !c.full(); k = k.NextSibling() {
		switch k.Kind() {
		case tree.Text:
			if e.kind == contentElements && !k.Blank() && !c.lint {
				c.unexpectedText(n, k, e)
			}
		case tree.Element:
			space, local := k.Space(), k.Local()
			next := s.find(space, local)
			if next == nil {
				wrong = true
				next = c.unexpected(n, k, e, s)
			}
			if next != nil {
				s = next.to
				c.element(k, c.open(next.el, space, local))
				if c.strict && next.el.open {
					c.lintOpen(k, next.el)
				}
			}
		}
	}
	if !s.nullable && !wrong && !c.lint && !c.full() {
		c.at(n, RuleMissingElement, c.name(n)+" ends too early, expected "+c.expected(n, s))
	}
}

// open returns what an element that e lets in is checked against.
func (c *checker) open(e *element, space, local string) *element {
	if !e.open {
		return e
	}
	if s := c.known(space); s != nil {
		if declared := s.root(space, local); declared != nil {
			return declared
		}
	}
	return e
}

// known returns the grammar of a namespace, nil when there is none.
func (c *checker) known(space string) *schema {
	if !c.looked || c.lastSpace != space {
		c.looked, c.lastSpace, c.lastSchema = true, space, nil
		if k := namespaces[space]; k != nil {
			c.lastSchema = k.schema()
		}
	}
	return c.lastSchema
}

// unexpected reports a child that may not come next, and returns the step from which to go on: the one that would take the
// child if what is missing before it were there. It is nil when there is none; the child then is left out.
func (c *checker) unexpected(n, k tree.Node, e *element, s *state) *step {
	if !c.lint {
		c.at(k, RuleElement, c.unfit(n, k, e, s))
	}
	space, local := k.Space(), k.Local()
	seen := []*state{s}
	for i := 0; i < len(seen) && i < maxStates; i++ {
		if next := seen[i].find(space, local); next != nil {
			return next
		}
		for _, st := range seen[i].steps {
			if !slices.Contains(seen, st.to) {
				seen = append(seen, st.to)
			}
		}
	}
	for _, child := range e.children {
		if child.class.contains(space, local) {
			c.element(k, c.open(child, space, local))
			break
		}
	}
	return nil
}

func (c *checker) value(n tree.Node, e *element) {
	for k := n.FirstChild(); k.Valid(); k = k.NextSibling() {
		if k.Kind() == tree.Element {
			if !c.lint {
				c.at(k, RuleElement, "found "+c.name(k)+" in "+c.name(n)+", expected "+e.data.describe())
			}
			return
		}
	}
	if e.data.free() {
		return
	}
	text := n.Text()
	at, _ := n.Range()
	if first := n.FirstChild(); first.Kind() == tree.Text {
		at, _ = first.Range()
	}
	c.judge(at, n, tree.Attr{}, text, e.data)
}

// judge checks the value of an attribute or, when that is none, of an element.
func (c *checker) judge(at int, n tree.Node, a tree.Attr, value string, s *simple) {
	switch {
	case c.lint:
		c.lintValue(at, n, a, value, s)
	case !s.accepts(value):
		rule := RuleValue
		if s.isID() {
			rule = RuleID
		}
		c.report(at, rule, c.nameOf(n, a)+" is "+quote(value)+", expected "+s.describe())
	case s.isID():
		c.id(collapse(value), a, at)
	}
}

// few is the number of IDs up to which they are compared one by one.
const few = 16

func (c *checker) id(value string, a tree.Attr, at int) {
	twice := false
	switch {
	case c.byID != nil:
		twice = c.byID[value]
	case len(c.ids) < few:
		twice = slices.ContainsFunc(c.ids, func(u idUse) bool { return u.value == value })
	default:
		c.byID = make(map[string]bool, 4*few)
		for _, u := range c.ids {
			c.byID[u.value] = true
		}
		twice = c.byID[value]
	}
	if !twice {
		c.ids = append(c.ids, idUse{value, a})
		if c.byID != nil {
			c.byID[value] = true
		}
		return
	}
	i := slices.IndexFunc(c.ids, func(u idUse) bool { return u.value == value })
	line, col := c.ids[i].attr.Position()
	c.report(at, RuleDuplicateID, c.nameOf(a.Owner(), a)+" is "+quote(value)+", as that of "+c.name(c.ids[i].attr.Owner())+" in "+place(line, col)+"; ids of a document differ")
}

// attributes checks the attributes of n.
func (c *checker) attributes(n tree.Node, e *element) {
	var there uint64
	for a := range n.Attrs() {
		space, local := a.Space(), a.Local()
		i := 0
		for i < len(e.attrs) && (e.attrs[i].local != local || e.attrs[i].space != space) {
			i++
		}
		switch {
		case i < len(e.attrs):
			there |= 1 << i
			c.attribute(n, a, e.attrs[i].data)
		case space == spaceXSI:
		default:
			c.openAttribute(n, a, e, expanded{space, local})
		}
	}
	if missing := e.required &^ there; missing != 0 && !c.lint {
		for i, want := range e.attrs {
			if missing&(1<<i) != 0 {
				c.at(n, RuleMissingAttribute, c.name(n)+" has no attribute "+want.local+", which is "+want.data.describe())
			}
		}
	}
}

func (c *checker) attribute(n tree.Node, a tree.Attr, s *simple) {
	if !s.free() {
		at, _ := a.Range()
		c.judge(at, n, a, a.Value(), s)
	}
}

func (c *checker) openAttribute(n tree.Node, a tree.Attr, e *element, name expanded) {
	for _, w := range e.wild {
		if !w.contains(name.space, name.local) {
			continue
		}
		if name.space == "" {
			return
		}
		if s := c.known(name.space); s != nil {
			if declared := s.attrs[name]; declared != nil {
				c.attribute(n, a, declared)
			}
		}
		return
	}
	if !c.lint {
		at, _ := a.Range()
		c.report(at, RuleAttribute, "found attribute "+a.Name()+" on "+c.name(n)+c.allowed(e))
	}
}

func (c *checker) at(n tree.Node, rule, text string) {
	at, _ := n.Range()
	c.report(at, rule, text)
}
