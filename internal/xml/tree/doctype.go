package tree

import "strings"

// doctype passes over a document type declaration (XML 1.0, section 2.8). What is in its internal subset is looked at only
// as far as needed to find its end.
func (p *parser) doctype() error {
	start := p.i
	switch {
	case !p.dtd:
		return p.fail(start, ErrDTD, "found a document type declaration, which is refused")
	case p.t.root != 0:
		return p.fail(start, nil, "found a document type declaration behind the root element, allowed only before it")
	case p.t.dtd[1] != 0:
		return p.fail(start, nil, "second document type declaration, a document has one")
	}
	p.i += len("<!DOCTYPE")
	if err := p.needSpace("<!DOCTYPE"); err != nil {
		return err
	}
	local, end := qName(p.s, p.i)
	if local == end {
		return p.fail(end, nil, "found %s, expected the name of the root element", p.found(end))
	}
	p.i = end
	if err := p.externalID(); err != nil {
		return err
	}
	p.skipSpace()
	if p.s[p.i] == '[' {
		if err := p.internalSubset(); err != nil {
			return err
		}
		p.skipSpace()
	}
	if p.s[p.i] != '>' {
		return p.fail(p.i, nil, "found %s in the document type declaration, expected '>'", p.found(p.i))
	}
	p.i++
	p.t.dtd = [2]uint32{uint32(start), uint32(p.i)}
	return nil
}

// externalID passes over the identifier of an external subset where there is one.
func (p *parser) externalID() error {
	from := p.i
	p.skipSpace()
	public := strings.HasPrefix(p.s[p.i:], "PUBLIC")
	if from == p.i || !public && !strings.HasPrefix(p.s[p.i:], "SYSTEM") {
		return nil
	}
	keyword := p.s[p.i : p.i+len("PUBLIC")]
	p.i += len(keyword)
	if public {
		if err := p.needSpace(keyword); err != nil {
			return err
		}
		at := p.i
		if err := p.literal(); err != nil {
			return err
		}
		for i := at + 1; i < p.i-1; i++ {
			if c := p.s[i]; !isPubid(c) {
				return p.fail(i, nil, "found %s in a public identifier", p.found(i))
			}
		}
	}
	if err := p.needSpace(keyword); err != nil {
		return err
	}
	return p.literal()
}

func (p *parser) needSpace(behind string) error {
	if classes[p.s[p.i]]&space == 0 {
		return p.fail(p.i, nil, "found %s after %s, expected white space", p.found(p.i), behind)
	}
	p.skipSpace()
	return nil
}

func (p *parser) literal() error {
	start := p.i
	if quote := p.s[start]; quote != '"' && quote != '\'' {
		return p.fail(start, nil, "found %s in the document type declaration, expected a quoted identifier", p.found(start))
	}
	end, err := p.quoted(start)
	p.i = end
	return err
}

// quoted passes over what stands between quotes and returns what is behind them.
func (p *parser) quoted(start int) (next int, err error) {
	s, quote := p.s, p.s[start]
	for i := start + 1; ; i++ {
		switch {
		case s[i] == quote:
			return i + 1, nil
		case p.atEnd(i):
			return 0, p.fail(i, nil, "document ends inside quotes of its document type declaration, expected %q", quote)
		case !p.isChar(i):
			return 0, p.fail(i, nil, "found %s in the document type declaration", p.found(i))
		}
	}
}

// internalSubset passes over the part in brackets: declarations, processing instructions, comments, references to
// parameter entities and white space.
func (p *parser) internalSubset() error {
	p.i++
	for {
		p.skipSpace()
		rest := p.s[p.i:]
		var err error
		switch {
		case rest[0] == ']':
			p.i++
			return nil
		case rest[0] == '%':
			end := ncName(p.s, p.i+1)
			if end == p.i+1 || p.s[end] != ';' {
				return p.fail(end, nil, "found %s in a reference to a parameter entity", p.found(end))
			}
			p.i = end + 1
		case strings.HasPrefix(rest, "<!--"):
			end, _, failed := p.opaque(p.i, p.i+len("<!--"), "--", "comment")
			if failed == nil && p.s[end+2] != '>' {
				failed = p.fail(end, nil, `found "--" inside a comment, allowed only as part of "-->"`)
			}
			p.i, err = end+len("-->"), failed
		case strings.HasPrefix(rest, "<?"):
			_, _, end, _, failed := p.instructionAt(p.i)
			p.i, err = end+len("?>"), failed
		case strings.HasPrefix(rest, "<!") && classes[rest[2]]&nameStart != 0:
			err = p.markupDeclaration()
		default:
			return p.fail(p.i, nil, "found %s in the document type declaration, expected ']' or a declaration", p.found(p.i))
		}
		if err != nil {
			return err
		}
	}
}

// markupDeclaration passes over a declaration of the internal subset.
func (p *parser) markupDeclaration() error {
	p.i += len("<!")
	for {
		var err error
		switch c := p.s[p.i]; {
		case c == '>':
			p.i++
			return nil
		case c == '"' || c == '\'':
			p.i, err = p.quoted(p.i)
		case p.atEnd(p.i):
			return p.fail(p.i, nil, "document ends inside a declaration of its document type declaration, expected '>'")
		case c == '<' || !p.isChar(p.i):
			return p.fail(p.i, nil, "found %s in the document type declaration", p.found(p.i))
		default:
			p.i++
		}
		if err != nil {
			return err
		}
	}
}

// isPubid implements PubidChar (XML 1.0, section 2.3).
func isPubid(c byte) bool {
	return classes[c]&nameByte != 0 || c == ' ' || c == '\n' || c == '\r' || c != 0 && strings.IndexByte("'()+,/:=?;!*#@$_%", c) >= 0
}
