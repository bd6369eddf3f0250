package rules

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Bytes writes the document. It is valid whatever the fields hold, as long as elements of other namespaces are as they were read: ids are made unique
// names, URIs are escaped where they have to be, and what cannot be written as it is, such as a period without times, is written as one that is never
// true. What grants nothing is left out.
func (d *Ruleset) Bytes() []byte {
	w := writer{ids: map[string]int{}}
	w.buf = append(w.buf, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ruleset xmlns=\""+Space+"\" xmlns:pr=\""+PresenceSpace+"\">\n"...)
	for i := range d.Rules {
		w.rule(&d.Rules[i])
	}
	return append(w.buf, "</ruleset>\n"...)
}

type writer struct {
	buf []byte
	ids map[string]int // how often an id was wanted
}

func (w *writer) line(s string) { w.buf = append(append(w.buf, s...), '\n') }

// text writes an element with text.
func (w *writer) text(indent, name, s string) {
	w.buf = append(append(append(append(w.buf, indent...), '<'), name...), '>')
	w.buf = tree.AppendText(w.buf, lexical.Legal(s))
	w.line("</" + name + ">")
}

func (w *writer) raws(list []Raw) {
	for _, r := range list {
		w.line(r.XML)
	}
}

// id makes a rule's id a name that no rule before it has.
func (w *writer) id(id string) string {
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || unicode.IsLetter(r) && r < 0x2000 {
			return r
		}
		return '_'
	}, id)
	if name == "" || strings.IndexByte("-.0123456789", name[0]) >= 0 {
		name = "r" + name
	}
	unique := name
	for w.ids[unique] > 0 {
		w.ids[name]++
		unique = name + "-" + strconv.Itoa(w.ids[name])
	}
	w.ids[unique]++
	return unique
}

// FreeID returns an id for a rule that is like the wish, a name, and none of those in the documents of a user: ids are unique over all of them (RFC 4745
// section 6.1).
func FreeID(sets []*Ruleset, wish string) string {
	w := writer{ids: map[string]int{}}
	for _, set := range sets {
		for i := range set.Rules {
			w.ids[set.Rules[i].ID]++
		}
	}
	return w.id(wish)
}

func (w *writer) rule(r *Rule) {
	w.buf = append(lexical.AppendAttribute(append(w.buf, "  <rule"...), "id", w.id(r.ID)), ">\n"...)
	if len(r.Conditions) > 0 {
		w.line("    <conditions>")
		for i := range r.Conditions {
			w.condition(&r.Conditions[i])
		}
		w.line("    </conditions>")
	}
	if r.Handling != Unset || len(r.Actions) > 0 {
		w.line("    <actions>")
		if r.Handling != Unset {
			w.text("      ", "pr:sub-handling", r.Handling.String())
		}
		w.raws(r.Actions)
		w.line("    </actions>")
	}
	before := len(w.buf)
	w.line("    <transformations>")
	first := len(w.buf)
	w.transformations(r)
	if len(w.buf) == first {
		w.buf = w.buf[:before]
	} else {
		w.line("    </transformations>")
	}
	w.line("  </rule>")
}

func (w *writer) condition(c *Condition) {
	switch {
	case len(c.Identity) > 0:
		w.line("      <identity>")
		for i := range c.Identity {
			w.identity(&c.Identity[i])
		}
		w.line("      </identity>")
	case c.Sphere != "":
		w.buf = append(lexical.AppendAttribute(append(w.buf, "      <sphere"...), "value", c.Sphere), "/>\n"...)
	case c.Unknown != nil:
		w.raws([]Raw{*c.Unknown})
	default:
		w.line("      <validity>")
		written := false
		for _, p := range c.Validity {
			if _, ok := p.times(); ok {
				w.text("        ", "from", p.From)
				w.text("        ", "until", p.Until)
				written = true
			}
		}
		if !written {
			w.text("        ", "from", "1970-01-01T00:00:00Z")
			w.text("        ", "until", "1970-01-01T00:00:00Z")
		}
		w.line("      </validity>")
	}
}

func (w *writer) identity(id *Identity) {
	if !id.Many && id.One == "" && len(id.Unknown) > 0 {
		w.raws(id.Unknown)
		return
	}
	if !id.Many {
		w.buf = append(lexical.AppendAttribute(append(w.buf, "        <one"...), "id", lexical.FixURI(id.One)), ">\n"...)
		w.raws(id.Unknown[:min(1, len(id.Unknown))])
		w.line("        </one>")
		return
	}
	w.buf = append(w.buf, "        <many"...)
	if id.Domain != "" {
		w.buf = lexical.AppendAttribute(w.buf, "domain", id.Domain)
	}
	w.line(">")
	for _, e := range id.Except {
		w.buf = append(w.buf, "          <except"...)
		if e.ID != "" {
			w.buf = lexical.AppendAttribute(w.buf, "id", lexical.FixURI(e.ID))
		}
		if e.Domain != "" {
			w.buf = lexical.AppendAttribute(w.buf, "domain", e.Domain)
		}
		w.line("/>")
	}
	w.raws(id.Unknown)
	w.line("        </many>")
}

func (w *writer) transformations(r *Rule) {
	w.selection("services", r.Services)
	w.selection("persons", r.Persons)
	w.selection("devices", r.Devices)
	for _, name := range r.Provide.Names() {
		w.text("      ", "pr:provide-"+name, "true")
	}
	if r.UserInput != NoInput {
		w.text("      ", "pr:provide-user-input", r.UserInput.String())
	}
	for _, a := range r.UnknownAttributes {
		w.buf = lexical.AppendAttribute(append(w.buf, "      <pr:provide-unknown-attribute"...), "name", a.Name)
		w.line(string(lexical.AppendAttribute(nil, "ns", a.NS)) + ">true</pr:provide-unknown-attribute>")
	}
	if r.AllAttributes {
		w.line("      <pr:provide-all-attributes/>")
	}
	w.raws(r.Transformations)
}

// selection writes the selectors that a component has.
func (w *writer) selection(component string, s *Selection) {
	if s == nil {
		return
	}
	w.line("      <pr:provide-" + component + ">")
	if s.All {
		w.line("        <pr:all-" + component + "/>")
	} else {
		each := func(name string, values []string, uri bool) {
			for _, v := range values {
				if uri {
					v = lexical.FixURI(v)
				}
				w.text("        ", "pr:"+name, v)
			}
		}
		each("class", s.Classes, false)
		each("occurrence-id", s.OccurrenceIDs, false)
		if component == "devices" {
			each("deviceID", s.DeviceIDs, true)
		}
		if component == "services" {
			each("service-uri", s.URIs, true)
			each("service-uri-scheme", s.Schemes, false)
		}
		w.raws(s.Unknown)
	}
	w.line("      </pr:provide-" + component + ">")
}

// MarshalJSON writes rules as an array even when there are none.
func (d *Ruleset) MarshalJSON() ([]byte, error) {
	type plain Ruleset
	view := plain(*d)
	if view.Rules == nil {
		view.Rules = []Rule{}
	}
	return json.Marshal(view)
}
