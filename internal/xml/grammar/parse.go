package grammar

import (
	"fmt"
	"io/fs"
	"path"
)

// parser reads one grammar file.
type parser struct {
	lex       lexer
	tok, peek token
	files     fs.FS
	spaces    map[string]string
	types     map[string]string
	inherit   string // default namespace of the file that includes this one
	depth     int
	defs      map[string]*pattern
	failed    error
}

// maxInclude bounds how deep grammar files include one another.
const maxInclude = 8

const (
	xsdTypes = "http://www.w3.org/2001/XMLSchema-datatypes"
	impTypes = "urn:imp:datatypes" // types that RFC 5261 and RFC 3863 define by grammars of their own
	xmlSpace = "http://www.w3.org/XML/1998/namespace"
)

// readFile returns the definitions of a grammar file and of those that it includes.
func readFile(files fs.FS, name, inherit string, depth int) (map[string]*pattern, error) {
	if depth > maxInclude {
		return nil, fmt.Errorf("%s: included more than %d deep", name, maxInclude)
	}
	src, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	p := &parser{
		lex: lexer{file: name, src: string(src), line: 1}, files: files, inherit: inherit, depth: depth,
		spaces: map[string]string{"xml": xmlSpace, "": inherit}, types: map[string]string{"xsd": xsdTypes}, defs: map[string]*pattern{},
	}
	p.advance()
	p.advance()
	p.declarations()
	p.definitions(tokenEnd, "", p.defs)
	return p.defs, p.failed
}

func (p *parser) advance() {
	p.tok = p.peek
	next, err := p.lex.next()
	if err != nil {
		p.stop(err)
		return
	}
	p.peek = next
}

// stop keeps the first error and lets the parser see the end of the file, so that everything returns.
func (p *parser) stop(err error) {
	if p.failed == nil {
		p.failed = err
	}
	p.tok, p.peek, p.lex.at = token{}, token{}, len(p.lex.src)
}

func (p *parser) fail(format string, args ...any) {
	p.stop(&syntaxError{p.lex.file, p.tok.line, fmt.Sprintf(format, args...)})
}

func (p *parser) is(text string) bool {
	return (p.tok.kind == tokenWord || p.tok.kind == tokenPunct || p.tok.kind == tokenAssign) && p.tok.text == text
}

func (p *parser) take(text string) bool {
	if !p.is(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) want(text string) {
	if !p.take(text) {
		p.fail("found %q, expected %q", p.tok.text, text)
	}
}

// literal reads a literal, in parts joined by ~.
func (p *parser) literal() string {
	text := ""
	for {
		if p.tok.kind != tokenLiteral {
			p.fail("found %q, expected a literal", p.tok.text)
			return ""
		}
		text += p.tok.text
		p.advance()
		if !p.take("~") {
			return text
		}
	}
}

func (p *parser) word() string {
	text := p.tok.text
	if p.tok.kind != tokenWord && p.tok.kind != tokenQuotedWord {
		p.fail("found %q, expected a name", text)
		return ""
	}
	p.advance()
	return text
}

func (p *parser) declarations() {
	for {
		switch {
		case p.is("default"):
			p.advance()
			p.want("namespace")
			prefix := ""
			if !p.is("=") {
				prefix = p.word()
			}
			p.want("=")
			p.spaces[""] = p.literal()
			p.spaces[prefix] = p.spaces[""]
		case p.is("namespace"):
			p.advance()
			prefix := p.word()
			p.want("=")
			p.spaces[prefix] = p.literal()
		case p.is("datatypes"):
			p.advance()
			prefix := p.word()
			p.want("=")
			p.types[prefix] = p.literal()
		default:
			return
		}
	}
}

// definitions reads definitions and includes up to the end of the file or the brace that ends an include.
func (p *parser) definitions(kind tokenKind, end string, into map[string]*pattern) {
	for p.failed == nil && (p.tok.kind != kind || p.tok.text != end) {
		if p.is("include") {
			p.include(into)
			continue
		}
		name, line := p.word(), p.tok.line
		how := p.tok.text
		if p.tok.kind != tokenAssign {
			p.fail("found %q, expected = behind %s", how, name)
			return
		}
		p.advance()
		def, before := p.pattern(), into[name]
		switch {
		case before == nil:
		case how == "|=":
			def = p.join(opChoice, line, before, def)
		case how == "&=":
			def = p.join(opInterleave, line, before, def)
		default:
			p.fail("%s is defined twice", name)
		}
		into[name] = def
	}
}

func (p *parser) include(into map[string]*pattern) {
	p.advance()
	name := path.Join(path.Dir(p.lex.file), p.literal())
	included, err := readFile(p.files, name, p.spaces[""], p.depth+1)
	if err != nil {
		p.stop(err)
		return
	}
	if p.take("{") {
		instead := map[string]*pattern{}
		p.definitions(tokenPunct, "}", instead)
		p.want("}")
		for k, def := range instead {
			if included[k] == nil {
				p.fail("%s does not define %s", name, k)
			}
			included[k] = def
		}
	}
	for k, def := range included {
		if into[k] != nil && !(into[k].file == def.file && into[k].line == def.line) {
			p.fail("%s defines %s too", name, k)
		}
		into[k] = def
	}
}

func (p *parser) join(o op, line int, kids ...*pattern) *pattern {
	return &pattern{op: o, kids: kids, file: p.lex.file, line: line}
}

// pattern reads particles joined by one of the three connectors.
func (p *parser) pattern() *pattern {
	line := p.tok.line
	kids := []*pattern{p.particle()}
	for connector, o := range map[string]op{",": opGroup, "|": opChoice, "&": opInterleave} {
		if !p.is(connector) {
			continue
		}
		for p.take(connector) {
			kids = append(kids, p.particle())
		}
		if p.is(",") || p.is("|") || p.is("&") {
			p.fail("%q beside %q needs parentheses", p.tok.text, connector)
		}
		return p.join(o, line, kids...)
	}
	return kids[0]
}

func (p *parser) particle() *pattern {
	line := p.tok.line
	inner := p.primary()
	switch {
	case p.take("?"):
		return p.join(opOptional, line, inner)
	case p.take("*"):
		return p.join(opZeroOrMore, line, inner)
	case p.take("+"):
		return p.join(opOneOrMore, line, inner)
	}
	return inner
}

func (p *parser) braced() *pattern {
	p.want("{")
	inner := p.pattern()
	p.want("}")
	return inner
}

func (p *parser) primary() *pattern {
	line := p.tok.line
	simple := func(o op) *pattern {
		p.advance()
		return p.join(o, line)
	}
	switch {
	case p.take("("):
		inner := p.pattern()
		p.want(")")
		return inner
	case p.is("element"), p.is("attribute"):
		o := opElement
		if p.is("attribute") {
			o = opAttribute
		}
		p.advance()
		name := p.nameClass(o == opElement)
		made := p.join(o, line, p.braced())
		made.name = name
		return made
	case p.is("empty"):
		return simple(opEmpty)
	case p.is("notAllowed"):
		return simple(opNotAllowed)
	case p.is("text"):
		return simple(opText)
	case p.take("mixed"):
		return p.join(opMixed, line, p.braced())
	case p.take("list"):
		return p.join(opList, line, p.braced())
	case p.take("external"):
		return p.external(line)
	case p.is("string"), p.is("token"), p.tok.kind == tokenPrefixed, p.tok.kind == tokenLiteral:
		return p.dataPattern()
	}
	ref := p.join(opRef, line)
	ref.ref = p.word()
	return ref
}

// external reads the start of another file. Its definitions are its own, so a reference is kept with them.
func (p *parser) external(line int) *pattern {
	name := path.Join(path.Dir(p.lex.file), p.literal())
	defs, err := readFile(p.files, name, p.spaces[""], p.depth+1)
	if err != nil {
		p.stop(err)
		return p.join(opNotAllowed, line)
	}
	prefix := name + "!"
	renamed := map[*pattern]bool{}
	for k, def := range defs {
		rename(def, prefix, renamed)
		p.defs[prefix+k] = def
	}
	ref := p.join(opRef, line)
	ref.ref = prefix + "start"
	return ref
}

func rename(p *pattern, prefix string, seen map[*pattern]bool) {
	if seen[p] {
		return
	}
	seen[p] = true
	if p.op == opRef {
		p.ref = prefix + p.ref
	}
	for _, k := range p.kids {
		rename(k, prefix, seen)
	}
}
