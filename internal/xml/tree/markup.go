package tree

import "strings"

// opaque passes over the characters from i on up to delimiter, and returns where that stands. What is read starts at
// start and is called what in errors.
func (p *parser) opaque(start, i int, delimiter, what string) (end int, f flags, err error) {
	s := p.s
	for ; ; i++ {
		for classes[s[i]]&opaqueStop == 0 {
			i++
		}
		switch c := s[i]; {
		case c == delimiter[0] && strings.HasPrefix(s[i:], delimiter):
			return i, f, nil
		case c == '\r':
			f |= coded
		case p.atEnd(i):
			line, col := p.position(start)
			return 0, 0, p.fail(i, nil, "document ends inside the %s of %d:%d, expected %q", what, line, col, delimiter)
		case !p.isChar(i):
			return 0, 0, p.fail(i, nil, "found %s in a %s", p.found(i), what)
		}
	}
}

// comment reads a comment (XML 1.0, section 2.5).
func (p *parser) comment() error {
	start := p.i
	end, f, err := p.opaque(start, start+len("<!--"), "--", "comment")
	if err != nil {
		return err
	}
	if p.s[end+2] != '>' {
		return p.fail(end, nil, `found "--" inside a comment, allowed only as part of "-->"`)
	}
	p.i = end + len("-->")
	p.add(Comment, start, p.i).flags = f
	return nil
}

// instruction reads a processing instruction (XML 1.0, section 2.6).
func (p *parser) instruction() error {
	start := p.i
	nameEnd, inner, end, f, err := p.instructionAt(start)
	if err != nil {
		return err
	}
	p.i = end + len("?>")
	n := p.add(PI, start, p.i)
	n.nameEnd, n.inner, n.flags = uint32(nameEnd), uint32(inner), f
	return nil
}

func (p *parser) instructionAt(start int) (nameEnd, inner, end int, f flags, err error) {
	s, from := p.s, start+len("<?")
	nameEnd = ncName(s, from)
	switch {
	case nameEnd == from:
		return 0, 0, 0, 0, p.fail(from, nil, `found %s after "<?", expected the target of a processing instruction`, p.found(from))
	case s[from:nameEnd] == "xml":
		return 0, 0, 0, 0, p.fail(start, nil, "found an XML declaration, allowed only as the very first thing of a document")
	case strings.EqualFold(s[from:nameEnd], "xml"):
		return 0, 0, 0, 0, p.fail(from, nil, "processing instruction target %s is reserved", clip(s[from:nameEnd]))
	case classes[s[nameEnd]]&space == 0 && !strings.HasPrefix(s[nameEnd:], "?>"):
		return 0, 0, 0, 0, p.fail(nameEnd, nil, "found %s after processing instruction target %s, expected white space or \"?>\"", p.found(nameEnd), clip(s[from:nameEnd]))
	}
	inner = nameEnd
	for classes[s[inner]]&space != 0 {
		inner++
	}
	end, f, err = p.opaque(start, inner, "?>", "processing instruction")
	return nameEnd, inner, end, f, err
}

// badMarkup tells what is wrong with a "<!" that starts neither a comment nor what else is allowed there.
func (p *parser) badMarkup() error {
	rest := p.s[p.i:]
	switch {
	case strings.HasPrefix(rest, cdataStart):
		return p.fail(p.i, nil, "found a CDATA section outside the root element")
	case strings.HasPrefix(rest, "<!DOCTYPE"):
		return p.fail(p.i, nil, "found a document type declaration inside the root element")
	}
	return p.fail(p.i, nil, `found "<!" that starts neither "<!--" nor "<![CDATA["`)
}

// declaration reads the XML declaration where there is one (XML 1.0, section 2.8), and reports whether it declares the
// document to be US-ASCII.
func (p *parser) declaration() (ascii bool, err error) {
	const start = "<?xml"
	if !strings.HasPrefix(p.s[p.i:], start) || classes[p.s[p.i+len(start)]]&(nameByte|wide) != 0 || p.s[p.i+len(start)] == ':' {
		return false, nil
	}
	marked := p.i > 0
	p.i += len(start)
	version, at, err := p.pseudoAttribute("version")
	switch {
	case err != nil:
		return false, err
	case at == 0:
		p.skipSpace()
		return false, p.fail(p.i, nil, "found %s in the XML declaration, expected version", p.found(p.i))
	case version != "1.0" && (len(version) < 3 || version[:2] != "1." || strings.Trim(version[2:], "0123456789") != ""):
		return false, p.fail(at, nil, "XML version %s is not known, expected 1.0", clip(version))
	}
	encoding, at, err := p.pseudoAttribute("encoding")
	switch {
	case err != nil:
		return false, err
	case at == 0 || encoding == "UTF-8" || strings.EqualFold(encoding, "UTF-8"):
	case !isEncodingName(encoding):
		return false, p.fail(at, nil, "%q is no name of an encoding", clip(encoding))
	case strings.EqualFold(encoding, "US-ASCII") && !marked:
		ascii = true
	case strings.EqualFold(encoding, "US-ASCII"):
		return false, p.fail(at, ErrEncoding, "document declares to be %s but starts with the byte order mark of UTF-8", encoding)
	default:
		return false, p.fail(at, ErrEncoding, "document declares to be %s, which is not read; write it in UTF-8", clip(encoding))
	}
	standalone, at, err := p.pseudoAttribute("standalone")
	switch {
	case err != nil:
		return false, err
	case at > 0 && standalone != "yes" && standalone != "no":
		return false, p.fail(at, nil, "standalone is %q, expected yes or no", clip(standalone))
	}
	p.skipSpace()
	if !strings.HasPrefix(p.s[p.i:], "?>") {
		return false, p.fail(p.i, nil, `found %s in the XML declaration, allowed are version, encoding and standalone, in this order, and "?>"`, p.found(p.i))
	}
	p.i += len("?>")
	return ascii, nil
}

// pseudoAttribute reads one part of the XML declaration if it is the one with this name. Where its value stands is 0 if
// it is not.
func (p *parser) pseudoAttribute(name string) (value string, at int, err error) {
	from := p.i
	p.skipSpace()
	if from == p.i || !strings.HasPrefix(p.s[p.i:], name) {
		p.i = from
		return "", 0, nil
	}
	p.i += len(name)
	p.skipSpace()
	if p.s[p.i] != '=' {
		return "", 0, p.fail(p.i, nil, "found %s after %s in the XML declaration, expected '='", p.found(p.i), name)
	}
	p.i++
	p.skipSpace()
	quote := p.s[p.i]
	if quote != '"' && quote != '\'' {
		return "", 0, p.fail(p.i, nil, "found %s as the value of %s, expected a quoted value", p.found(p.i), name)
	}
	at = p.i + 1
	end := at
	for classes[p.s[end]]&nameByte != 0 {
		end++
	}
	if p.s[end] != quote {
		return "", 0, p.fail(end, nil, "found %s in the value of %s", p.found(end), name)
	}
	p.i = end + 1
	return p.s[at:end], at, nil
}

func (p *parser) skipSpace() {
	for classes[p.s[p.i]]&space != 0 {
		p.i++
	}
}

// isEncodingName implements EncName (XML 1.0, section 4.3.3) for what consists of ASCII name characters.
func isEncodingName(s string) bool {
	return s != "" && s[0] != '_' && s[0] != '.' && s[0] != '-' && (s[0] < '0' || s[0] > '9')
}
