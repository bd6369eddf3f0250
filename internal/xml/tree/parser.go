package tree

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const byteOrderMark = "\uFEFF"

// parser is the state of one parse. Offsets are of s, which ends in NUL: no loop needs to look at the length, because NUL
// is no character of XML and belongs to no class that is passed over.
type parser struct {
	t      *Tree
	s      string
	i      int // where it stands
	limits Limits
	dtd    bool  // a document type declaration may follow
	parent int32 // of the nodes that are read next
	depth  int
	// content is where that of an edit stands in s, between tags that its author has not written. Errors tell places in it.
	content span
}

func (t *Tree) parse(src []byte, opt Options) error {
	t.reset()
	p := parser{t: t, limits: opt.Limits.orDefault(), dtd: opt.AllowDTD}
	if len(src) > p.limits.Size {
		return p.fail(0, ErrLimit, "document of %d bytes, the limit is %d", len(src), p.limits.Size)
	}
	if name := otherEncoding(src); name != "" {
		return p.fail(0, ErrEncoding, "document in %s, only UTF-8 is read", name)
	}
	t.buffer.Grow(len(src) + 1 + min(len(src)/8, 512)) // with room for a small edit
	t.buffer.Write(src)
	t.buffer.WriteByte(0)
	t.src, t.text, t.limits = src, t.buffer.String(), p.limits
	p.s = t.text
	if strings.HasPrefix(p.s, byteOrderMark) {
		p.i = len(byteOrderMark)
	}
	ascii, err := p.declaration()
	if err != nil {
		return err
	}
	if err := p.checkBytes(ascii); err != nil {
		return err
	}
	t.start()
	t.ascii = ascii
	p.parent = 1
	return p.document()
}

// start makes the entries that every tree has, and room for what the source probably needs where there is none yet.
func (t *Tree) start() {
	if cap(t.nodes) == 0 {
		most := len(t.text)/8 + 4 // a bound on what a source of nothing but "<" or "=" makes this ask for
		t.nodes = make([]node, 0, min(strings.Count(t.text, "<")+3, most))
		t.attrs = make([]attr, 0, min(strings.Count(t.text, "=")+1, most))
		t.decls = make([]decl, 0, min(strings.Count(t.text, "xmlns")+1, most))
		t.spaces = make([]string, 0, few)
		t.names.prefixes = make([]prefix, 0, few)
		t.names.before = make([]binding, 0, few)
	}
	t.nodes = append(t.nodes, node{}, node{kind: Document, end: uint32(len(t.src))})
	t.attrs = append(t.attrs, attr{})
	t.decls = append(t.decls, decl{})
	t.spaces = append(t.spaces, "", XMLSpace)
	t.names.prefixes = append(t.names.prefixes, prefix{}, prefix{name: "xml", space: 1})
}

// otherEncoding names the encoding of a document that cannot be UTF-8 by its first bytes (XML 1.0, appendix F).
func otherEncoding(src []byte) string {
	if len(src) > 1 && src[0] == '<' && src[1] != 0 {
		return ""
	}
	for _, e := range [...]struct{ start, name string }{
		{"\x00\x00\xFE\xFF", "UTF-32"}, {"\xFF\xFE\x00\x00", "UTF-32"}, {"\x00\x00\x00<", "UTF-32"}, {"<\x00\x00\x00", "UTF-32"},
		{"\xFE\xFF", "UTF-16"}, {"\xFF\xFE", "UTF-16"}, {"\x00<", "UTF-16"}, {"<\x00", "UTF-16"}, {"\x4C\x6F\xA7\x94", "EBCDIC"},
	} {
		if bytes.HasPrefix(src, []byte(e.start)) {
			return e.name
		}
	}
	return ""
}

// checkBytes finds what no character can be made of, once and for all.
func (p *parser) checkBytes(ascii bool) error {
	if ascii {
		for i := range len(p.s) {
			if p.s[i] >= utf8.RuneSelf {
				return p.fail(i, ErrEncoding, "byte 0x%02X in a document that declares to be US-ASCII", p.s[i])
			}
		}
		return nil
	}
	if utf8.ValidString(p.s) {
		return nil
	}
	for i, r := range p.s {
		if r == utf8.RuneError && !strings.HasPrefix(p.s[i:], string(utf8.RuneError)) {
			return p.fail(i, ErrUTF8, "byte 0x%02X is not valid UTF-8 here", p.s[i])
		}
	}
	return nil
}

// document reads what follows the XML declaration (XML 1.0, section 2.1): one element, and around it comments, processing
// instructions, white space and one document type declaration.
func (p *parser) document() error {
	for {
		for classes[p.s[p.i]]&space != 0 {
			p.i++
		}
		var err error
		switch rest := p.s[p.i:]; {
		case p.atEnd(p.i) && p.t.root == 0:
			return p.fail(p.i, nil, "no root element in the document")
		case p.atEnd(p.i):
			return nil
		case rest[0] != '<':
			return p.fail(p.i, nil, "found %s outside the root element, allowed are comments, processing instructions and white space", p.found(p.i))
		case rest[1] == '?':
			err = p.instruction()
		case strings.HasPrefix(rest, "<!--"):
			err = p.comment()
		case strings.HasPrefix(rest, "<!DOCTYPE"):
			err = p.doctype()
		case rest[1] == '!':
			return p.badMarkup()
		case rest[1] == '/':
			return p.fail(p.i, nil, "end tag %s outside the root element", p.tag(p.i+2))
		case p.t.root != 0:
			return p.fail(p.i, nil, "second root element %s, a document has one", p.tag(p.i+1))
		default:
			p.t.root = int32(len(p.t.nodes))
			err = p.element()
		}
		if err != nil {
			return err
		}
	}
}

// element reads an element with all that is in it. It does not call itself, so depth costs no stack.
func (p *parser) element() error {
	outside := p.depth
	if err := p.startTag(); err != nil {
		return err
	}
	for p.depth > outside {
		var err error
		if p.s[p.i] != '<' {
			if err = p.text(); err != nil {
				return err
			}
		}
		switch p.s[p.i+1] {
		case '/':
			err = p.endTag()
		case '?':
			err = p.instruction()
		case '!':
			switch {
			case strings.HasPrefix(p.s[p.i:], "<!--"):
				err = p.comment()
			case strings.HasPrefix(p.s[p.i:], cdataStart):
				err = p.text()
			default:
				err = p.badMarkup()
			}
		default:
			err = p.startTag()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add puts a node behind the children that its parent has so far. The node is for the caller to fill in.
func (p *parser) add(kind Kind, start, end int) *node {
	t, i := p.t, int32(len(p.t.nodes))
	t.nodes = append(t.nodes, node{})
	n, parent := &t.nodes[i], &t.nodes[p.parent]
	n.kind, n.start, n.end, n.parent, n.prev = kind, uint32(start), uint32(end), p.parent, parent.last
	if parent.last == 0 {
		parent.first = i
	} else {
		t.nodes[parent.last].next = i
	}
	parent.last = i
	return n
}

// text reads character data, references and CDATA sections up to other markup, and makes a text node of them.
func (p *parser) text() error {
	s, i, start := p.s, p.i, p.i
	for classes[s[i]]&space != 0 && s[i] != '\r' {
		i++
	}
	indent := i
	for classes[s[i]]&textStop == 0 {
		i++
	}
	if s[i] != '<' || s[i+1] == '!' {
		return p.mixedText()
	}
	p.i = i
	n := p.add(Text, start, i)
	if i == indent {
		n.flags = blank
	}
	return nil
}

// mixedText does what text does, for any text. Empty CDATA sections alone make no node, since no text node is empty.
func (p *parser) mixedText() error {
	s, i, start := p.s, p.i, p.i
	f, empty := blank, true
	for {
		from := i
		for classes[s[i]]&textStop == 0 {
			i++
		}
		chars := s[from:i]
		switch {
		case chars != "":
		case strings.HasPrefix(s[i:], cdataStart):
			from = i + len(cdataStart)
			end, _, err := p.opaque(i, from, cdataEnd, "CDATA section")
			if err != nil {
				return err
			}
			chars, i, f = s[from:end], end+len(cdataEnd), f|coded
		case s[i] == '<':
			if p.i = i; !empty {
				p.add(Text, start, i).flags = f
			} else {
				p.t.empty = append(p.t.empty, emptySection{p.before(), s[start:i]})
			}
			return nil
		case s[i] == '&':
			r, next, err := p.reference(i)
			if err != nil {
				return err
			}
			chars, i, f = string(r), next, f|coded
			if r == noChar {
				f |= unresolved
			}
		case strings.HasPrefix(s[i:], cdataEnd):
			return p.fail(i, nil, `found "]]>" in text, write "]]&gt;"`)
		case !p.isChar(i):
			return p.badText(i)
		default:
			if s[i] == '\r' {
				f |= coded
			}
			chars, i = s[i:i+1], i+1
		}
		empty = empty && chars == ""
		if !isBlank(chars) {
			f &^= blank
		}
	}
}

// before returns the key in editing.gaps of what stands before p.i.
func (p *parser) before() int32 {
	if p.s[p.i+1] == '/' {
		return -p.parent
	}
	return int32(len(p.t.nodes))
}

func (p *parser) badText(i int) error {
	if !p.atEnd(i) {
		return p.fail(i, nil, "found %s in text", p.found(i))
	}
	if p.content.end > 0 { // the tag behind content has ended another element than it should
		return p.unended(p.t.nodes[p.parent].last)
	}
	return p.unended(p.parent)
}

// unended refuses a document or content that ends inside an element.
func (p *parser) unended(element int32) error {
	what, at := "document", len(p.s)-1
	if p.content.end > 0 {
		what, at = "content", int(p.content.end)
	}
	line, col := p.position(int(p.t.nodes[element].start))
	return p.fail(at, nil, "%s ends inside element <%s> of %d:%d, expected </%[2]s>", what, clip(p.t.node(element).Name()), line, col)
}

// noChar stands for the unknown value of a reference to an entity of a document type declaration.
const noChar = utf8.MaxRune + 1

// reference reads the reference at i. Which entities a document type declaration declares is not known, so in a document
// that has one any name will do.
func (p *parser) reference(i int) (r rune, next int, err error) {
	s, from := p.s, i+1
	if s[from] == '#' {
		from++
		end := from
		for classes[s[end]]&nameByte != 0 {
			end++
		}
		if s[end] != ';' {
			return 0, 0, p.fail(end, nil, "found %s in a character reference, expected digits and ';'", p.found(end))
		}
		r, ok := character(s[from:end])
		if !ok {
			return 0, 0, p.fail(i, nil, "%s refers to no character of XML", clip(s[i:end+1]))
		}
		return r, end + 1, nil
	}
	end := ncName(s, from)
	switch {
	case end == from:
		return 0, 0, p.fail(from, nil, `found %s after "&", expected an entity name or "#"; a plain ampersand is written "&amp;"`, p.found(from))
	case s[end] != ';':
		return 0, 0, p.fail(end, nil, `found %s after "&%s", expected ';'; a plain ampersand is written "&amp;"`, p.found(end), clip(s[from:end]))
	}
	if c := predefined(s[from:end]); c != 0 {
		return rune(c), end + 1, nil
	}
	if p.t.dtd[1] == 0 {
		return 0, 0, p.fail(i, ErrEntity, "entity &%s; is not declared, known are amp, lt, gt, quot and apos", clip(s[from:end]))
	}
	return noChar, end + 1, nil
}

func isBlank(s string) bool {
	for i := range len(s) {
		if classes[s[i]]&space == 0 {
			return false
		}
	}
	return true
}
