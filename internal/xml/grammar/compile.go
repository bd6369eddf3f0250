package grammar

import (
	"fmt"
	"slices"
)

// contentKind tells what an element may hold.
type contentKind uint8

const (
	contentElements contentKind = iota // and white space between them
	contentMixed                       // and any text
	contentData                        // a value, no elements
)

// element is a compiled element pattern.
type element struct {
	class *nameClass
	names []expanded // when not open
	open  bool       // its class has names that it does not list

	attrs    []attribute
	wild     []*nameClass // attributes of any value
	required uint64       // bits of attrs

	kind     contentKind
	start    *state
	data     *simple
	children []*element // all of the content model
	file     string
	line     int
}

// attribute is a compiled attribute pattern with one name.
type attribute struct {
	expanded
	data *simple
}

func (e *element) is(space, local string) bool {
	for i := range e.names {
		if n := &e.names[i]; n.local == local && n.space == space {
			return true
		}
	}
	return false
}

// compiler turns the definitions of a grammar file into elements.
type compiler struct {
	defs     map[string]*pattern
	elements map[*pattern]*element
	made     []*element // the same, in their order
	queue    []*pattern
	work     int // on the element that is compiled
	failed   error
}

// spent counts work on a pattern and reports whether to stop.
func (c *compiler) spent(p *pattern, depth int) bool {
	if c.work++; depth > maxNesting || c.work > maxWork {
		c.fail(p, "definition of itself, or patterns nested too deep")
	}
	return c.failed != nil
}

func (c *compiler) fail(p *pattern, format string, args ...any) {
	if c.failed == nil {
		c.failed = &syntaxError{p.file, p.line, fmt.Sprintf(format, args...)}
	}
}

// deref follows references; it ends at a definition that is none.
func (c *compiler) deref(p *pattern) *pattern {
	for range len(c.defs) + 1 {
		if p.op != opRef {
			return p
		}
		def := c.defs[p.ref]
		if def == nil {
			c.fail(p, "%s is not defined", p.ref)
			return &pattern{op: opNotAllowed, file: p.file, line: p.line}
		}
		p = def
	}
	c.fail(p, "definition of itself")
	return &pattern{op: opNotAllowed, file: p.file, line: p.line}
}

// element returns the element of an element pattern, which is compiled later.
func (c *compiler) element(p *pattern) *element {
	e := c.elements[p]
	if e == nil {
		e = &element{class: p.name, open: p.name.open(), file: p.file, line: p.line}
		if !e.open {
			p.name.samples(func(space, local string) { e.names = append(e.names, expanded{space, local}) })
		}
		c.elements[p] = e
		c.made = append(c.made, e)
		c.queue = append(c.queue, p)
	}
	return e
}

// run compiles what is queued and what that leads to.
func (c *compiler) run() {
	for len(c.queue) > 0 && c.failed == nil {
		p := c.queue[0]
		c.queue = c.queue[1:]
		c.compile(p, c.elements[p])
	}
}

func (c *compiler) compile(p *pattern, e *element) {
	c.work = 0
	m := newModel()
	s := scan{compiler: c, el: e, model: m}
	content := s.content(p.kids[0], true, 0)
	switch {
	case s.data != nil && (s.mixed || len(m.elements) > 0):
		c.fail(p, "a value beside elements or text")
	case s.data != nil:
		e.kind, e.data = contentData, s.data
	case s.mixed && len(m.elements) == 0:
		e.kind, e.data = contentData, anyText
	case s.mixed:
		e.kind = contentMixed
	}
	for i, a := range m.elements {
		for _, b := range m.elements[:i] {
			if a.class.overlaps(b.class) {
				c.fail(p, "elements of lines %d and %d may have the same name", b.line, a.line)
			}
		}
	}
	if c.failed == nil {
		e.children = m.elements
		if e.start = m.build(content); e.start == nil {
			c.fail(p, "content model of more than %d states or %d expressions", maxStates, maxExprs)
		}
	}
}

// scan collects what stands in one element pattern.
type scan struct {
	*compiler
	el    *element
	model *model
	mixed bool
	data  *simple
}

// maxNesting bounds how deep patterns of one element may nest, references included, so that a definition that holds itself
// outside of any element is refused.
const maxNesting = 200

// maxWork bounds how many patterns one element is made of, each counted as often as it is referred to.
const maxWork = 10000

// content returns the expression of a pattern's elements, and keeps attributes and text aside. Attributes and values may
// only stand where always is true: not in a choice or a repetition, but for an optional or a repeated attribute itself.
func (s *scan) content(p *pattern, always bool, depth int) *expr {
	if s.spent(p, depth) {
		return s.model.none
	}
	m, in := s.model, func(k int, always bool) *expr { return s.content(p.kids[k], always, depth+1) }
	switch p.op {
	case opRef:
		return s.content(s.deref(p), always, depth+1)
	case opEmpty:
		return m.empty
	case opText:
		if !always {
			s.fail(p, "text that is not everywhere in the element")
		}
		s.mixed = true
		return m.empty
	case opMixed:
		if !always {
			s.fail(p, "mixed that is not all of the element")
		}
		s.mixed = true
		return in(0, true)
	case opElement:
		return m.symbol(s.element(p))
	case opAttribute:
		s.attribute(p, always, true)
		return m.empty
	case opData, opList:
		s.value(p, always)
		return m.empty
	case opOptional, opZeroOrMore:
		if k := s.deref(p.kids[0]); k.op == opAttribute {
			s.attribute(k, always, false)
			return m.empty
		}
		e := in(0, false)
		if p.op == opZeroOrMore {
			e = m.plus(e)
		}
		return m.optional(e)
	case opOneOrMore:
		return m.plus(in(0, false))
	case opChoice:
		return s.choice(p, always, depth)
	case opGroup, opInterleave:
		e := m.empty
		for i := range p.kids {
			if k := in(i, always); p.op == opGroup {
				e = m.group(e, k)
			} else {
				e = m.interleave(e, k)
			}
		}
		return e
	}
	return m.none
}

func (s *scan) choice(p *pattern, always bool, depth int) *expr {
	if s.isData(p, 0) {
		s.value(p, always)
		return s.model.empty
	}
	e := s.model.none
	for _, k := range p.kids {
		e = s.model.choice(e, s.content(k, false, depth+1))
	}
	return e
}

// isData reports whether a pattern is made of values alone.
func (s *scan) isData(p *pattern, depth int) bool {
	switch p = s.deref(p); {
	case p.op == opData || p.op == opList:
		return true
	case p.op != opChoice || s.spent(p, depth):
		return false
	}
	return !slices.ContainsFunc(p.kids, func(k *pattern) bool { return !s.isData(k, depth+1) })
}

func (s *scan) value(p *pattern, always bool) {
	if !always || s.data != nil {
		s.fail(p, "a value beside others")
		return
	}
	s.data = s.simple(p, 0)
}

func (s *scan) attribute(p *pattern, always, required bool) {
	if !always {
		s.fail(p, "attribute in a choice or a repetition")
		return
	}
	inner := s.deref(p.kids[0])
	if p.name.kind != className {
		if inner.op != opText || required {
			s.fail(p, "attributes of many names have any value and are repeated")
		}
		s.el.wild = append(s.el.wild, p.name)
		return
	}
	if len(s.el.attrs) == 64 {
		s.fail(p, "more than 64 attributes")
		return
	}
	if required {
		s.el.required |= 1 << len(s.el.attrs)
	}
	s.el.attrs = append(s.el.attrs, attribute{expanded{p.name.space, p.name.local}, s.attributeType(p)})
}

// attributeType returns the type of the value of an attribute with one name.
func (c *compiler) attributeType(p *pattern) *simple {
	if c.deref(p.kids[0]).op == opText {
		return anyText
	}
	return c.simple(p.kids[0], 0)
}

// simple compiles a pattern of values.
func (c *compiler) simple(p *pattern, depth int) *simple {
	if c.spent(p, depth) {
		return anyText
	}
	switch p = c.deref(p); p.op {
	case opData:
		return p.data
	case opList:
		return c.list(p, depth)
	case opChoice:
		made := &simple{}
		for _, k := range p.kids {
			s := c.simple(k, depth+1)
			if n := len(made.choice); n > 0 && s.values != nil && made.choice[n-1].values != nil && made.choice[n-1].base == s.base {
				made.choice[n-1] = &simple{base: s.base, values: slices.Concat(made.choice[n-1].values, s.values)}
				continue
			}
			made.choice = append(made.choice, s)
		}
		if len(made.choice) == 1 {
			return made.choice[0]
		}
		return made
	}
	c.fail(p, "found no value")
	return anyText
}

// list compiles a list: items of one kind, any number of them.
func (c *compiler) list(p *pattern, depth int) *simple {
	inner := c.deref(p.kids[0])
	made := &simple{least: 1, most: 1}
	switch inner.op {
	case opOptional:
		made.least = 0
	case opZeroOrMore:
		made.least, made.most = 0, 0
	case opOneOrMore:
		made.most = 0
	default:
		made.list = c.simple(inner, depth+1)
		return made
	}
	made.list = c.simple(inner.kids[0], depth+1)
	return made
}
