package grammar

import "strings"

// nameClass reads a name class: names, prefix:*, *, choices of these, and what is excepted. A name of an element without a
// prefix is in the default namespace, one of an attribute in none.
func (p *parser) nameClass(element bool) *nameClass {
	first := p.nameClassPart(element)
	if !p.is("|") {
		return first
	}
	c := &nameClass{kind: classChoice, kids: []*nameClass{first}}
	for p.take("|") {
		c.kids = append(c.kids, p.nameClassPart(element))
	}
	return c
}

func (p *parser) nameClassPart(element bool) *nameClass {
	var c *nameClass
	switch t := p.tok; {
	case p.take("("):
		c = p.nameClass(element)
		p.want(")")
		return c
	case p.take("*"):
		c = &nameClass{kind: classAny}
	case t.kind == tokenSpace:
		c = &nameClass{kind: classSpace, space: p.space(t.text)}
		p.advance()
	case t.kind == tokenPrefixed:
		prefix, local, _ := strings.Cut(t.text, ":")
		c = &nameClass{kind: className, space: p.space(prefix), local: local}
		p.advance()
		return c
	default:
		c = &nameClass{kind: className, local: p.word()}
		if element {
			c.space = p.spaces[""]
		}
		return c
	}
	if p.take("-") {
		c.except = p.nameClassPart(element)
	}
	return c
}

func (p *parser) space(prefix string) string {
	uri, ok := p.spaces[prefix]
	if !ok {
		p.fail("prefix %s is not declared", prefix)
	}
	return uri
}

// dataPattern reads a data type with its parameters, or a value with or without one.
func (p *parser) dataPattern() *pattern {
	made := p.join(opData, p.tok.line)
	library, name := "", "token"
	switch t := p.tok; {
	case t.kind == tokenPrefixed:
		prefix, local, _ := strings.Cut(t.text, ":")
		name = local
		library = p.types[prefix]
		if library == "" {
			p.fail("prefix %s is that of no data type library", prefix)
		}
		p.advance()
	case t.kind == tokenWord:
		name = t.text
		p.advance()
	}
	b := builtin(library, name)
	if b == nil {
		p.fail("there is no data type %s", name)
		return made
	}
	made.data = &simple{base: b}
	if p.tok.kind == tokenLiteral {
		made.data.values = []string{p.literal()}
		return made
	}
	if p.take("{") {
		p.parameters(made.data)
		p.want("}")
	}
	return made
}

func (p *parser) parameters(s *simple) {
	for p.tok.kind == tokenWord {
		name := p.word()
		p.want("=")
		if err := s.restrict(name, p.literal()); err != nil {
			p.fail("%v", err)
		}
	}
}
