package header

import "strings"

// Address is a name-addr or addr-spec with its parameters, as in To, From, Contact, Route, Record-Route, Reply-To and
// Refer-To (RFC 3261 section 20.10, 25.1).
type Address struct {
	Display string // unquoted
	URI     string // without angle brackets; ParseURI takes it apart
	Params  Params // of the header field
}

// ParseAddress parses one address. In one without angle brackets a semicolon begins the parameters of the header field, and
// a comma or question mark is an error (RFC 3261 section 20). The URI is checked against its grammar.
func ParseAddress(s string) (Address, error) {
	p := scanner{field: "address", s: s}
	a, err := p.address()
	if err != nil {
		return Address{}, err
	}
	return a, p.end()
}

// ParseAddressList parses the values or the list elements of header fields such as Route, as [Values] and [List] return
// them, into the addresses they hold.
func ParseAddressList(values []string) ([]Address, error) {
	return parseList("address", values, (*scanner).address)
}

// ParseContacts parses the values or list elements of Contact header fields. star is true, and there are no contacts, when
// the only one is "*" (RFC 3261 section 10.2.2).
func ParseContacts(values []string) (contacts []Address, star bool, err error) {
	if len(values) == 1 && trim(values[0]) == "*" {
		return nil, true, nil
	}
	contacts, err = parseList("Contact", values, (*scanner).address)
	return contacts, false, err
}

func (p *scanner) address() (Address, error) {
	var a Address
	var err error
	p.space()
	bracketed := true
	switch c := p.peek(); {
	case c == '"':
		if a.Display, err = p.quoted(); err != nil {
			return Address{}, err
		}
		p.space()
	case c != '<':
		a.Display, bracketed = p.displayName()
	}
	if bracketed {
		a.URI, err = p.bracketedURI()
	} else {
		a.URI, err = p.bareURI()
	}
	if err != nil {
		return Address{}, err
	}
	a.Params, err = p.params()
	return a, err
}

// displayName takes *(token LWS). named is false, and nothing is taken, at an addr-spec.
func (p *scanner) displayName() (name string, named bool) {
	start, end, clean := p.pos, p.pos, true
	for {
		t := p.run(isTokenChar)
		if t == "" {
			break
		}
		if end == start && p.peek() == ':' {
			p.pos = start
			return "", false
		}
		end = p.pos
		if p.space() && (p.pos > end+1 || p.s[end] != ' ') && p.peek() != '<' {
			clean = false
		}
	}
	name = p.s[start:end]
	if !clean {
		name = strings.Join(strings.Fields(name), " ")
	}
	return name, true
}

func (p *scanner) bracketedURI() (string, error) {
	if p.peek() != '<' {
		return "", p.want("a URI or <")
	}
	open := p.pos
	p.pos++
	n := strings.IndexByte(p.s[p.pos:], '>')
	if n < 0 {
		return "", p.failAt(open, "the angle bracket is not closed")
	}
	return p.checkURI(p.pos+n, 1)
}

// bareURI takes an addr-spec that ends where the parameters, the next element or white space begin.
func (p *scanner) bareURI() (string, error) {
	end := p.pos
	for end < len(p.s) && !isSpace(p.s[end]) && p.s[end] != ';' && p.s[end] != ',' {
		if p.s[end] == '?' {
			return "", p.failAt(end, "a URI with a question mark must be in angle brackets")
		}
		end++
	}
	return p.checkURI(end, 0)
}

// checkURI takes the URI up to end, and then skip bytes more.
func (p *scanner) checkURI(end, skip int) (string, error) {
	inner := scanner{field: p.field, s: p.s[:end], pos: p.pos}
	if _, _, _, err := inner.uri(); err != nil {
		return "", err
	}
	uri := p.s[p.pos:end]
	p.pos = end + skip
	return uri, nil
}

// Tag returns the tag parameter of a To or From header field, "" when there is none.
func (a Address) Tag() string {
	tag, _ := a.Params.Get("tag")
	return tag
}

// AppendTo appends the address with angle brackets, the display name in quotes.
func (a Address) AppendTo(dst []byte) []byte {
	if a.Display != "" {
		dst = append(AppendQuoted(dst, a.Display), ' ')
	}
	dst = append(dst, '<')
	dst = append(dst, a.URI...)
	return a.Params.AppendTo(append(dst, '>'))
}

// String renders the address as AppendTo does.
func (a Address) String() string { return string(a.AppendTo(nil)) }
