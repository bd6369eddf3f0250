package header

import "strconv"

// Warning is one element of a Warning header field (RFC 3261 section 20.43).
type Warning struct {
	Code  int    // three digits
	Agent string // host[:port] or a pseudonym, which is a token
	Text  string // unquoted
}

// ParseWarning parses one Warning element; [List] takes a field apart.
func ParseWarning(s string) (Warning, error) {
	p := scanner{field: "Warning", s: s}
	p.space()
	at := p.pos
	code := p.run(isDigit)
	n, _ := deltaSeconds(code)
	if len(code) != 3 || n < 100 {
		return Warning{}, p.failAt(at, "a code of three digits expected")
	}
	if !p.space() {
		return Warning{}, p.want("a space")
	}
	start := p.pos
	if err := p.warnAgent(); err != nil {
		return Warning{}, err
	}
	agent := p.s[start:p.pos]
	if !p.space() || p.peek() != '"' {
		return Warning{}, p.want("a space and a quoted text")
	}
	text, err := p.quoted()
	if err != nil {
		return Warning{}, err
	}
	return Warning{int(n), agent, text}, p.end()
}

// warnAgent takes hostport or a token.
func (p *scanner) warnAgent() error {
	if p.peek() != '[' {
		agent, err := p.token("a host or a pseudonym")
		if err != nil || p.peek() != ':' {
			return err
		}
		p.pos -= len(agent)
	}
	if _, err := p.host(); err != nil {
		return err
	}
	if p.peek() == ':' {
		p.pos++
		_, err := p.port()
		return err
	}
	return nil
}

// AppendTo appends the element, which is well-formed whatever the fields hold: a code without three digits becomes 399
// (miscellaneous), an agent outside the grammar "-", and the text is quoted.
func (w Warning) AppendTo(dst []byte) []byte {
	code := w.Code
	if code < 100 || code > 999 {
		code = 399
	}
	dst = append(strconv.AppendInt(dst, int64(code), 10), ' ')
	p := scanner{s: w.Agent}
	if p.warnAgent() != nil || !p.done() {
		dst = append(dst, '-')
	} else {
		dst = append(dst, w.Agent...)
	}
	return AppendQuoted(append(dst, ' '), w.Text)
}

// String renders the element as AppendTo does.
func (w Warning) String() string { return string(w.AppendTo(nil)) }
