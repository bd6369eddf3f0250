package header

import "strconv"

// Event is an Event header field value (RFC 6665 section 8.2.1, 8.4).
type Event struct {
	Package string // the whole event-type, e.g. "presence" or "presence.winfo", as received: it is case-sensitive
	ID      string
	HasID   bool
	Params  Params // without id
}

// ParseEvent parses an Event header field value: one event-type with its parameters. A list is an error.
func ParseEvent(s string) (Event, error) {
	p := scanner{field: "Event", s: s}
	var e Event
	var err error
	p.space()
	if e.Package, err = p.eventType(); err != nil {
		return Event{}, err
	}
	for p.eat(';') {
		at := p.pos
		param, err := p.param()
		if err != nil {
			return Event{}, err
		}
		reason := ""
		isID := fold(param.Name, "id")
		switch {
		case isID && e.HasID || e.Params.Has(param.Name):
			reason = "parameter " + param.Name + " is repeated"
		case isID && (param.Quoted || !IsToken(param.Value)):
			reason = "the value of id must be a token"
		case len(e.Params) == maxParams:
			reason = "too many parameters"
		case isID:
			e.ID, e.HasID = param.Value, true
		default:
			e.Params = append(e.Params, param)
		}
		if reason != "" {
			return Event{}, p.failAt(at, reason)
		}
	}
	if p.space(); p.peek() == ',' {
		return Event{}, p.fail("a list is not allowed here")
	}
	return e, p.end()
}

// eventType takes event-package *("." event-template), tokens without dots.
func (p *scanner) eventType() (string, error) {
	start := p.pos
	t, err := p.token("an event package")
	if err != nil {
		return "", err
	}
	for i := 0; i < len(t); i++ {
		if t[i] == '.' && (i == 0 || i+1 == len(t) || t[i+1] == '.') {
			return "", p.failAt(start+i, "a dot must separate two parts of an event type")
		}
	}
	return t, nil
}

// Match tells whether both name the same event of a dialog (RFC 6665 section 8.2.1): the event-type and the id
// are equal byte for byte, or neither has an id. Other parameters do not count.
func (e Event) Match(o Event) bool {
	return e.Package == o.Package && e.HasID == o.HasID && e.ID == o.ID
}

// Rate returns the parameter called name (max-rate, min-rate or adaptive-min-rate, RFC 6446 section 9.2) in
// notifications per second. ok is false when it is absent; a value outside the grammar, or zero, is an error.
func (e Event) Rate(name string) (perSecond float64, ok bool, err error) {
	v, ok := e.Params.Get(name)
	if !ok {
		return 0, false, nil
	}
	whole, frac, dot := len(v), 0, false
	for i := range len(v) {
		if v[i] == '.' && !dot {
			whole, frac, dot = i, len(v)-i-1, true
		} else if !is(v[i], isDigit) {
			whole = 0
			break
		}
	}
	if whole < 1 || whole > 2 || dot && (frac < 1 || frac > 10) {
		return 0, true, &SyntaxError{Field: "Event", Reason: "parameter " + name + ": a number such as 0.2 expected, found " + strconv.Quote(v)}
	}
	perSecond, err = strconv.ParseFloat(v, 64)
	if err != nil || perSecond == 0 {
		return 0, true, &SyntaxError{Field: "Event", Reason: "parameter " + name + " must be greater than zero"}
	}
	return perSecond, true, nil
}

// AppendTo appends the value: the event-type, the id, then the other parameters.
func (e Event) AppendTo(dst []byte) []byte {
	dst = append(dst, e.Package...)
	if e.HasID {
		dst = append(append(dst, ";id="...), e.ID...)
	}
	return e.Params.AppendTo(dst)
}

// String renders the value as AppendTo does.
func (e Event) String() string {
	if !e.HasID && len(e.Params) == 0 {
		return e.Package
	}
	return string(e.AppendTo(nil))
}

// ParseAllowEvents parses the values of Allow-Events header fields (RFC 6665 section 8.2.2), each a list of one or
// more event-types, and returns them all in order.
func ParseAllowEvents(values []string) ([]string, error) {
	return parseList("Allow-Events", values, (*scanner).eventType)
}

// parseList takes elem *(COMMA elem) out of every value.
func parseList[T any](field string, values []string, elem func(*scanner) (T, error)) ([]T, error) {
	var out []T
	for _, v := range values {
		p := scanner{field: field, s: v}
		for more := true; more; more = p.eat(',') {
			p.space()
			e, err := elem(&p)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		if err := p.end(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
