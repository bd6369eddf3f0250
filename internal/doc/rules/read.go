package rules

import (
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Parse reads a ruleset. It refuses, with an *Error, what is not well-formed and what the grammars of RFC 4745 and RFC 5025 refuse, so that a document
// with a slip never grants what it should not.
func Parse(src []byte) (*Ruleset, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	if err := lexical.WantRoot(t, Space, "ruleset"); err != nil {
		return nil, err
	}
	g, _ := grammar.ByName("pres-rules")
	if err := g.Validate(t); err != nil {
		return nil, err
	}
	r, d := reader{tree: t}, &Ruleset{}
	for n := range t.Root().Elements() {
		d.Rules = append(d.Rules, r.rule(n))
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}

// reader keeps the first error.
type reader struct {
	tree *tree.Tree
	err  error
}

func (r *reader) refuse(offset int, msg string) {
	if r.err == nil {
		r.err = lexical.ErrorAt(r.tree, offset, msg)
	}
}

func (r *reader) rule(n tree.Node) Rule {
	rule := Rule{ID: attr(n, "id")}
	for c := range n.Element(Space, "conditions").Elements() {
		rule.Conditions = append(rule.Conditions, r.condition(c))
	}
	for c := range n.Element(Space, "actions").Elements() {
		if !c.Is(PresenceSpace, "sub-handling") {
			rule.Actions = append(rule.Actions, r.raw(c))
			continue
		}
		var h Handling
		if err := h.UnmarshalText([]byte(collapse(c.Text()))); err != nil {
			r.refuse(lexical.StartOf(c), err.Error())
		}
		rule.Handling = max(rule.Handling, h)
	}
	for c := range n.Element(Space, "transformations").Elements() {
		if c.Space() != PresenceSpace || !r.transformation(&rule.Permissions, c) {
			rule.Transformations = append(rule.Transformations, r.raw(c))
		}
	}
	return rule
}

func (r *reader) condition(n tree.Node) Condition {
	var c Condition
	switch {
	case n.Is(Space, "identity"):
		for k := range n.Elements() {
			c.Identity = append(c.Identity, r.identity(k))
		}
	case n.Is(Space, "sphere"):
		c.Sphere = collapse(attr(n, "value"))
	case n.Is(Space, "validity"):
		for k := range n.Elements() {
			if k.Local() == "from" {
				c.Validity = append(c.Validity, Period{From: collapse(k.Text())})
			} else if last := len(c.Validity) - 1; last >= 0 {
				c.Validity[last].Until = collapse(k.Text())
			}
		}
	default:
		raw := r.raw(n)
		c.Unknown = &raw
	}
	return c
}

func (r *reader) identity(n tree.Node) Identity {
	if n.Space() != Space {
		return Identity{Unknown: []Raw{r.raw(n)}}
	}
	id := Identity{One: attr(n, "id"), Many: n.Local() == "many", Domain: attr(n, "domain")}
	for c := range n.Elements() {
		if c.Is(Space, "except") {
			id.Except = append(id.Except, Except{attr(c, "id"), attr(c, "domain")})
		} else {
			id.Unknown = append(id.Unknown, r.raw(c))
		}
	}
	return id
}

// transformation reads one of RFC 5025 section 3.3. It returns false for what is not among these.
func (r *reader) transformation(p *Permissions, n tree.Node) bool {
	granted := collapse(n.Text())
	switch n.Local() {
	case "provide-services":
		p.Services = p.Services.add(r.selection(n))
	case "provide-persons":
		p.Persons = p.Persons.add(r.selection(n))
	case "provide-devices":
		p.Devices = p.Devices.add(r.selection(n))
	case "provide-all-attributes":
		p.AllAttributes = true
	case "provide-user-input":
		var u UserInput
		if err := u.UnmarshalText([]byte(granted)); err != nil {
			r.refuse(lexical.StartOf(n), err.Error())
		}
		p.UserInput = max(p.UserInput, u)
	case "provide-unknown-attribute":
		if granted == "true" || granted == "1" {
			p.UnknownAttributes = append(p.UnknownAttributes, Attribute{attr(n, "name"), attr(n, "ns")})
		}
	default:
		name, ok := strings.CutPrefix(n.Local(), "provide-")
		bit := provide(name)
		if !ok || bit == 0 {
			return false
		}
		if granted == "true" || granted == "1" {
			p.Provide |= bit
		}
	}
	return true
}

func (r *reader) selection(n tree.Node) *Selection {
	s := &Selection{}
	for c := range n.Elements() {
		value := collapse(c.Text())
		switch {
		case c.Space() != PresenceSpace:
			s.Unknown = append(s.Unknown, r.raw(c))
		case strings.HasPrefix(c.Local(), "all-"):
			s.All = true
		case c.Local() == "class":
			s.Classes = append(s.Classes, value)
		case c.Local() == "occurrence-id":
			s.OccurrenceIDs = append(s.OccurrenceIDs, value)
		case c.Local() == "deviceID":
			s.DeviceIDs = append(s.DeviceIDs, value)
		case c.Local() == "service-uri":
			s.URIs = append(s.URIs, value)
		default:
			s.Schemes = append(s.Schemes, value)
		}
	}
	return s
}

func attr(n tree.Node, name string) string {
	v, _ := n.Attr("", name)
	return lexical.Trim(v)
}

// collapse makes runs of white space one blank, as xs:token does.
func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

// raw takes an element out of its document.
func (r *reader) raw(n tree.Node) Raw {
	src, err := lexical.Standalone(n)
	if err != nil && r.err == nil {
		r.err = err
	}
	return Raw{n.Space(), n.Local(), src}
}
