package rules

import (
	"io"
	"strings"

	"imp/internal/xml/lexical"
)

// WriteText shows the document to a person: for each rule its conditions, and what it grants. No control character of the document comes through. The
// error is that of w.
func (d *Ruleset) WriteText(w io.Writer) error {
	var b strings.Builder
	for i := range d.Rules {
		r := &d.Rules[i]
		b.WriteString("rule " + lexical.Visible(r.ID) + "\n")
		for j := range r.Conditions {
			b.WriteString("  if " + lexical.Visible(r.Conditions[j].String()) + "\n")
		}
		r.text(&b, "  ")
		for _, raw := range append(r.Actions[:len(r.Actions):len(r.Actions)], r.Transformations...) {
			b.WriteString("  unknown " + lexical.Visible("{"+raw.Space+"}"+raw.Local) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteText shows permissions to a person, as Ruleset.WriteText does.
func (p *Permissions) WriteText(w io.Writer) error {
	var b strings.Builder
	p.text(&b, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Permissions) text(b *strings.Builder, indent string) {
	line := func(name, value string) {
		if value != "" {
			b.WriteString(indent + name + ": " + lexical.Visible(value) + "\n")
		}
	}
	line("subscription", p.Handling.String())
	line("services", p.Services.String())
	line("persons", p.Persons.String())
	line("devices", p.Devices.String())
	line("shows", strings.Join(p.Provide.Names(), ", "))
	if p.UserInput != NoInput {
		line("user input", p.UserInput.String())
	}
	for _, a := range p.UnknownAttributes {
		line("shows", "{"+a.NS+"}"+a.Name)
	}
	if p.AllAttributes {
		line("shows", "all attributes")
	}
}

// String tells what is selected, "" for nothing.
func (s *Selection) String() string {
	if s == nil {
		return ""
	}
	if s.All {
		return "all"
	}
	var parts []string
	for _, list := range []struct {
		name   string
		values []string
	}{{"class ", s.Classes}, {"id ", s.OccurrenceIDs}, {"device ", s.DeviceIDs}, {"uri ", s.URIs}, {"scheme ", s.Schemes}} {
		for _, v := range list.values {
			parts = append(parts, list.name+v)
		}
	}
	return strings.Join(parts, ", ")
}

// String tells when the condition is true.
func (c *Condition) String() string {
	var parts []string
	switch {
	case len(c.Identity) > 0:
		for i := range c.Identity {
			parts = append(parts, c.Identity[i].String())
		}
	case c.Sphere != "":
		return "sphere is " + strings.Join(strings.Fields(c.Sphere), " or ")
	case c.Unknown != nil:
		return "unknown condition {" + c.Unknown.Space + "}" + c.Unknown.Local + " (never true)"
	case len(c.Validity) == 0:
		return "never"
	default:
		for _, p := range c.Validity {
			parts = append(parts, "from "+p.From+" until "+p.Until)
		}
	}
	return strings.Join(parts, ", or ")
}

// String tells who is meant.
func (id *Identity) String() string {
	if !id.Many && id.One == "" {
		return "somebody who is not known (never true)"
	}
	s := id.One
	if id.Many {
		s = "anybody authenticated"
		if id.Domain != "" {
			s += " of " + id.Domain
		}
	}
	var except []string
	for _, e := range id.Except {
		except = append(except, e.ID+e.Domain)
	}
	if len(except) > 0 {
		s += " but " + strings.Join(except, ", ")
	}
	if len(id.Unknown) > 0 {
		s += " with what is not known (never true)"
	}
	return s
}
