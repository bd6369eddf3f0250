package tree

// few is how many strings are looked through one by one before a map takes over.
const few = 16

// scope resolves namespace prefixes while parsing: every prefix that occurs has a number, under which its present binding
// stands, and a stack of what bindings were before lets an end tag bring them back.
type scope struct {
	prefixes []prefix
	before   []binding
	byPrefix map[string]int32 // of prefixes, once they are many
	bySpace  map[string]int32 // of Tree.spaces, once they are many
}

// prefix is a prefix and its present binding.
type prefix struct {
	name    string
	space   int32 // undeclared when it is not bound
	element int32 // that declares it
}

// binding is what a prefix was bound to outside of the element that declares it anew.
type binding struct {
	prefix, space, element int32
}

const (
	undeclared = -1
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

func (s scope) reset() scope {
	clear(s.prefixes)
	return scope{prefixes: s.prefixes[:0], before: s.before[:0]}
}

// find returns the number of a prefix, -1 when it never occurred in a declaration.
func (s *scope) find(name string) int32 {
	if s.byPrefix != nil {
		if i, ok := s.byPrefix[name]; ok {
			return i
		}
		return -1
	}
	for i := len(s.prefixes) - 1; i >= 0; i-- {
		if s.prefixes[i].name == name {
			return int32(i)
		}
	}
	return -1
}

// number returns the number of a prefix, which is a new one when it has none.
func (s *scope) number(name string) int32 {
	if i := s.find(name); i >= 0 {
		return i
	}
	i := int32(len(s.prefixes))
	s.prefixes = append(s.prefixes, prefix{name: name, space: undeclared})
	if s.byPrefix != nil {
		s.byPrefix[name] = i
	} else if len(s.prefixes) > few {
		s.byPrefix = make(map[string]int32)
		for i := range s.prefixes {
			s.byPrefix[s.prefixes[i].name] = int32(i)
		}
	}
	return i
}

// bind binds a prefix for the content of an element.
func (s *scope) bind(number, space, element int32) {
	was := &s.prefixes[number]
	s.before = append(s.before, binding{number, was.space, was.element})
	was.space, was.element = space, element
}

// leave takes back what was bound for the content of an element.
func (s *scope) leave(element int32) {
	for top := len(s.before) - 1; top >= 0; top-- {
		was := s.before[top]
		now := &s.prefixes[was.prefix]
		if now.element != element {
			return
		}
		now.space, now.element = was.space, was.element
		s.before = s.before[:top]
	}
}

// intern returns the index of a namespace name in t.spaces.
func (t *Tree) intern(uri string) int32 {
	known := &t.names.bySpace
	if *known != nil {
		if i, ok := (*known)[uri]; ok {
			return i
		}
	} else {
		for i := range t.spaces {
			if t.spaces[i] == uri {
				return int32(i)
			}
		}
	}
	i := int32(len(t.spaces))
	t.spaces = append(t.spaces, uri)
	if *known != nil {
		(*known)[uri] = i
	} else if len(t.spaces) > few {
		*known = make(map[string]int32)
		for i := range t.spaces {
			(*known)[t.spaces[i]] = int32(i)
		}
	}
	return i
}

// declare adds a namespace declaration of the element that is going to be added, and binds its prefix (Namespaces in XML,
// sections 3 and 5).
func (p *parser) declare(d decl, f flags) error {
	t, at := p.t, int(d.start)
	var name string
	if prefixed := d.start + uint32(len("xmlns:")); prefixed < d.nameEnd {
		name = p.s[prefixed:d.nameEnd]
	}
	uri := p.s[d.value : d.end-1]
	if f&unresolved != 0 {
		return p.fail(int(d.value), ErrEntity, "namespace name %s refers to an entity, its value is not known", clip(uri))
	}
	if f&coded != 0 {
		uri = attributeValue(uri)
	}
	switch {
	case name == "xmlns":
		return p.fail(at, nil, "prefix xmlns may not be declared")
	case name == "xml" && uri != XMLSpace:
		return p.fail(at, nil, "prefix xml may not be bound to %q", clip(uri))
	case name != "xml" && (uri == XMLSpace || uri == xmlnsSpace):
		return p.fail(at, nil, "namespace %s is reserved and may not be declared", uri)
	case name != "" && uri == "":
		return p.fail(at, nil, "prefix %s is declared with an empty namespace name, only the default namespace can be undeclared", clip(name))
	}
	d.owner = int32(len(t.nodes))
	number := t.names.number(name)
	if t.names.prefixes[number].element == d.owner {
		return p.fail(at, nil, "%s stands twice in one tag", clip(p.s[d.start:d.nameEnd]))
	}
	if len(t.names.before) >= p.limits.Declarations {
		return p.fail(at, ErrLimit, "more than %d namespace declarations in scope", p.limits.Declarations)
	}
	d.space = t.intern(uri)
	t.names.bind(number, d.space, d.owner)
	if last := len(t.decls) - 1; t.decls[last].owner == d.owner {
		t.decls[last].next = int32(last + 1)
	}
	t.decls = append(t.decls, d)
	return nil
}

// resolve returns the namespace of a prefixed name that starts at start and whose local part starts at local.
func (p *parser) resolve(start, local int) (int32, error) {
	prefixes := p.t.names.prefixes
	name := p.s[start : local-1]
	if i := p.t.names.find(name); i >= 0 && prefixes[i].space != undeclared {
		return prefixes[i].space, nil
	}
	if name == "xmlns" {
		return 0, p.fail(start, nil, "found %s, no element may have the prefix xmlns", p.name(start))
	}
	return 0, p.fail(start, ErrPrefix, "prefix of %s is not declared, declare it with xmlns:%s=\"...\"", p.name(start), clip(name))
}
