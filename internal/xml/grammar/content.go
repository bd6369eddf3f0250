package grammar

import "slices"

// exprKind tells the expressions of content models apart.
type exprKind uint8

const (
	exprNone exprKind = iota // matches nothing
	exprEmpty
	exprSymbol
	exprGroup
	exprChoice
	exprInterleave
	exprPlus
)

// expr is a regular expression over the elements of one content model. Equal expressions are one expr.
type expr struct {
	kind     exprKind
	a, b     *expr
	symbol   int // index of the element in the model
	id       int
	nullable bool
	state    *state
}

type exprKey struct {
	kind   exprKind
	a, b   *expr
	symbol int
}

// model holds the expressions of one content model and derives them (Brzozowski's derivatives, as James Clark uses them for
// RELAX NG): the derivative of an expression by an element matches what may follow that element.
type model struct {
	elements []*element
	interned map[exprKey]*expr
	none     *expr
	empty    *expr
	derived  map[derivative]*expr
	states   int
}

type derivative struct {
	of     *expr
	symbol int
}

func newModel() *model {
	m := &model{interned: map[exprKey]*expr{}, derived: map[derivative]*expr{}}
	m.none = m.intern(exprKey{kind: exprNone}, false)
	m.empty = m.intern(exprKey{kind: exprEmpty}, true)
	return m
}

func (m *model) intern(k exprKey, nullable bool) *expr {
	e := m.interned[k]
	if e == nil {
		e = &expr{kind: k.kind, a: k.a, b: k.b, symbol: k.symbol, id: len(m.interned), nullable: nullable}
		m.interned[k] = e
	}
	return e
}

func (m *model) symbol(el *element) *expr {
	i := slices.Index(m.elements, el)
	if i < 0 {
		i = len(m.elements)
		m.elements = append(m.elements, el)
	}
	return m.intern(exprKey{kind: exprSymbol, symbol: i}, false)
}

func (m *model) group(a, b *expr) *expr {
	switch {
	case a == m.none || b == m.none:
		return m.none
	case a == m.empty:
		return b
	case b == m.empty:
		return a
	}
	return m.intern(exprKey{kind: exprGroup, a: a, b: b}, a.nullable && b.nullable)
}

func (m *model) interleave(a, b *expr) *expr {
	switch {
	case a == m.none || b == m.none:
		return m.none
	case a == m.empty:
		return b
	case b == m.empty:
		return a
	case a.id > b.id:
		a, b = b, a
	}
	return m.intern(exprKey{kind: exprInterleave, a: a, b: b}, a.nullable && b.nullable)
}

func (m *model) plus(a *expr) *expr {
	if a == m.none || a == m.empty || a.kind == exprPlus {
		return a
	}
	return m.intern(exprKey{kind: exprPlus, a: a}, a.nullable)
}

func (m *model) optional(a *expr) *expr {
	if a.nullable {
		return a
	}
	return m.choice(a, m.empty)
}

// choice keeps alternatives in one order and each once, which makes the number of derivatives finite.
func (m *model) choice(a, b *expr) *expr {
	var all []*expr
	var collect func(e *expr)
	collect = func(e *expr) {
		if e.kind == exprChoice {
			collect(e.a)
			collect(e.b)
		} else if e != m.none && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	collect(a)
	collect(b)
	if len(all) == 0 {
		return m.none
	}
	slices.SortFunc(all, func(x, y *expr) int { return x.id - y.id })
	made := all[len(all)-1]
	for _, e := range slices.Backward(all[:len(all)-1]) {
		made = m.intern(exprKey{kind: exprChoice, a: e, b: made}, e.nullable || made.nullable)
	}
	return made
}

// derive returns the derivative of e by an element. When the model has become too big that is none.
func (m *model) derive(e *expr, symbol int) *expr {
	k := derivative{e, symbol}
	d := m.derived[k]
	if d == nil && len(m.interned) <= maxExprs {
		d = m.deriveNew(e, symbol)
		m.derived[k] = d
	}
	if d == nil {
		return m.none
	}
	return d
}

func (m *model) deriveNew(e *expr, symbol int) *expr {
	switch e.kind {
	case exprSymbol:
		if e.symbol == symbol {
			return m.empty
		}
	case exprGroup:
		d := m.group(m.derive(e.a, symbol), e.b)
		if e.a.nullable {
			d = m.choice(d, m.derive(e.b, symbol))
		}
		return d
	case exprChoice:
		return m.choice(m.derive(e.a, symbol), m.derive(e.b, symbol))
	case exprInterleave:
		return m.choice(m.interleave(m.derive(e.a, symbol), e.b), m.interleave(e.a, m.derive(e.b, symbol)))
	case exprPlus:
		return m.group(m.derive(e.a, symbol), m.optional(e))
	}
	return m.none
}

// state is an expression with all its derivatives: what may come next in the content of an element.
type state struct {
	nullable bool // the content may end here
	steps    []step
	index    map[expanded]*step // of named steps, when there are many
}

// step is an element that may come next, and what may come then.
type step struct {
	el *element
	to *state
}

type expanded struct{ space, local string }

// many is the number of steps from which on a state has an index.
const many = 8

// maxStates bounds a content model. Interleaving many elements passes it.
const maxStates = 2048

// maxExprs bounds what a content model is made of.
const maxExprs = 4096

// build makes the states that can be reached from e; nil when they are too many.
func (m *model) build(e *expr) *state {
	if e.state != nil {
		return e.state
	}
	if m.states++; m.states > maxStates || len(m.interned) > maxExprs {
		return nil
	}
	s := &state{nullable: e.nullable}
	e.state = s
	for i, el := range m.elements {
		d := m.derive(e, i)
		if d == m.none {
			continue
		}
		to := m.build(d)
		if to == nil {
			return nil
		}
		s.steps = append(s.steps, step{el, to})
	}
	// What is listed by name comes before what is open, as that is looked at last.
	slices.SortStableFunc(s.steps, func(a, b step) int {
		switch {
		case a.el.open == b.el.open:
			return 0
		case a.el.open:
			return 1
		}
		return -1
	})
	if len(s.steps) > many {
		s.index = make(map[expanded]*step, len(s.steps))
		for i := range s.steps {
			if el := s.steps[i].el; !el.open {
				for _, n := range el.names {
					s.index[n] = &s.steps[i]
				}
			}
		}
	}
	return s
}

// find returns the step for an element of this name, nil when it may not come next.
func (s *state) find(space, local string) *step {
	if s.index != nil {
		if found := s.index[expanded{space, local}]; found != nil {
			return found
		}
	}
	for i := range s.steps {
		st := &s.steps[i]
		switch {
		case st.el.open:
			if st.el.class.contains(space, local) {
				return st
			}
		case s.index == nil && st.el.is(space, local):
			return st
		}
	}
	return nil
}
