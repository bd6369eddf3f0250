package pidf

import (
	"fmt"
	"io"
	"strings"
	"time"

	"imp/internal/xml/lexical"
)

// WriteText shows the document to a person, in lines: the presentity with its overall status, then each tuple, person and device with what it tells,
// details indented. Times are those of the location, nil standing for UTC; the date is left out when it is the one of now. No control character of
// the document comes through. The error is that of w.
func (d *Document) WriteText(w io.Writer, now time.Time, in *time.Location) error {
	if in == nil {
		in = time.UTC
	}
	t := text{now: now.In(in)}
	t.line(0, lexical.Visible(d.Entity), d.Basic())
	for _, n := range d.Notes {
		t.note(1, n)
	}
	for i := range d.Tuples {
		t.tuple(&d.Tuples[i])
	}
	for i := range d.Persons {
		t.person(&d.Persons[i])
	}
	for i := range d.Devices {
		t.device(&d.Devices[i])
	}
	t.extensions(1, d.Extensions)
	_, err := io.WriteString(w, t.String())
	return err
}

// text gathers the lines.
type text struct {
	strings.Builder
	now time.Time
}

// line writes the parts that are not empty, two blanks between them.
func (t *text) line(indent int, parts ...string) {
	t.WriteString(strings.Repeat("  ", indent))
	first := true
	for _, p := range parts {
		if p == "" {
			continue
		}
		if !first {
			t.WriteString("  ")
		}
		first = false
		t.WriteString(p)
	}
	t.WriteByte('\n')
}

// detail writes a named value if there is one.
func (t *text) detail(name string, values ...string) {
	if s := lexical.Visible(strings.Join(values, ", ")); s != "" {
		t.line(2, lexical.Visible(name)+": "+s)
	}
}

func (t *text) note(indent int, n Note) {
	t.line(indent, "note: "+lexical.Visible(n.Text)+language(n.Lang))
}

func language(lang string) string {
	if lang == "" {
		return ""
	}
	return " [" + lexical.Visible(lang) + "]"
}

func (t *text) tuple(u *Tuple) {
	t.line(1, "tuple", lexical.Visible(u.ID), u.Basic, lexical.Visible(u.Contact.URI), word("priority", lexical.Visible(u.Contact.Priority)), t.since(u.Timestamp))
	for _, n := range u.Notes {
		t.note(2, n)
	}
	if u.Relation != nil {
		t.detail("relationship", u.Relation.name())
	}
	if u.Service != nil {
		t.detail("service", u.Service.Value)
	}
	t.detail("class", u.Class)
	t.privacy(u.Privacy)
	t.icons(u.Icons)
	t.input(u.UserInput)
	t.info(&u.Info)
	t.capabilities(u.Caps)
	for i := range u.Timed {
		s := &u.Timed[i]
		t.line(2, "at another time:", s.Basic, t.span(Span{From: s.From, Until: s.Until}), lexical.Visible(s.Note.Text))
	}
	t.detail("devices", u.DeviceIDs...)
	t.extensions(2, u.Status)
	t.extensions(2, u.Extensions)
}

func (t *text) person(p *Person) {
	t.line(1, "person", lexical.Visible(p.ID), t.since(p.Timestamp))
	t.enumerations("activities", p.Activities)
	t.enumerations("mood", p.Moods)
	for i := range p.Places {
		t.qualified("place", p.Places[i].words(), p.Places[i].Notes, p.Places[i].Span)
	}
	t.enumerations("place type", p.PlaceTypes)
	t.privacy(p.Privacy)
	for _, s := range p.Spheres {
		t.qualified("sphere", []string{s.Value}, nil, s.Span)
	}
	for _, o := range p.TimeOffsets {
		sign := '+'
		if o.Minutes < 0 {
			sign = '-'
		}
		zone := []string{fmt.Sprintf("UTC%c%02d:%02d", sign, abs(o.Minutes)/60, abs(o.Minutes)%60)}
		if o.Description != "" {
			zone = append(zone, o.Description)
		}
		t.qualified("time", zone, nil, o.Span)
	}
	t.input(p.UserInput)
	t.detail("class", p.Class)
	t.icons(p.Icons)
	t.info(&p.Info)
	for _, n := range p.Notes {
		t.note(2, n)
	}
	t.extensions(2, p.Extensions)
}

func (t *text) device(d *Device) {
	t.line(1, "device", lexical.Visible(d.ID), lexical.Visible(d.DeviceID), t.since(d.Timestamp))
	t.input(d.UserInput)
	t.detail("class", d.Class)
	t.capabilities(d.Caps)
	for _, n := range d.Notes {
		t.note(2, n)
	}
	t.extensions(2, d.Extensions)
}

// qualified writes values with what qualifies them.
func (t *text) qualified(name string, values []string, notes []Note, s Span) {
	parts := []string{name + ": " + lexical.Visible(strings.Join(values, ", ")), t.span(s)}
	for _, n := range notes {
		parts = append(parts, "("+lexical.Visible(n.Text)+language(n.Lang)+")")
	}
	t.line(2, parts...)
}

func (t *text) enumerations(name string, list []Enumeration) {
	for i := range list {
		e := &list[i]
		if names := e.Names(); len(names)+len(e.Notes) > 0 {
			t.qualified(name, names, e.Notes, e.Span)
		}
	}
}

func (t *text) privacy(list []Privacy) {
	for i := range list {
		t.qualified("privacy", list[i].names(), list[i].Notes, list[i].Span)
	}
}

func (t *text) icons(list []StatusIcon) {
	for _, icon := range list {
		t.qualified("status icon", []string{icon.URI}, nil, icon.Span)
	}
}

func (t *text) input(u *UserInput) {
	if u != nil {
		threshold := ""
		if u.Threshold > 0 {
			threshold = "after " + u.Threshold.String()
		}
		last := ""
		if !u.Last.IsZero() {
			last = "last " + t.time(u.Last)
		}
		t.line(2, "input: "+u.state(), threshold, last)
	}
}

func (t *text) info(i *ContactInfo) {
	for _, n := range i.Names {
		t.detail("name", n.Text+language(n.Lang))
	}
	t.detail("card", i.Card)
	t.detail("homepage", i.Homepage)
	t.detail("icon", i.Icon)
	t.detail("map", i.Map)
	t.detail("sound", i.Sound)
}

func (t *text) capabilities(c *Capabilities) {
	if c == nil {
		return
	}
	var flags []string
	for _, name := range sorted(c.Flags) {
		if !c.Flags[name] {
			name = "no " + name
		}
		flags = append(flags, name)
	}
	t.detail("capabilities", flags...)
	for _, name := range sorted(c.Support) {
		t.detail(name, c.Support[name].Yes...)
		t.detail("no "+name, c.Support[name].No...)
	}
	t.detail("types", c.Types...)
	for _, n := range c.Descriptions {
		t.detail("description", n.Text+language(n.Lang))
	}
	t.extensions(2, c.Extensions)
}

// extensions names what is not known; the whole of it is in JSON.
func (t *text) extensions(indent int, list []Raw) {
	for _, r := range list {
		t.line(indent, "extension: "+lexical.Visible(r.Local), lexical.Visible(r.Space))
	}
}

func word(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}

func (t *text) since(when time.Time) string {
	if when.IsZero() {
		return ""
	}
	return "since " + t.time(when)
}

func (t *text) span(s Span) string {
	var parts []string
	if !s.From.IsZero() {
		parts = append(parts, "from "+t.time(s.From))
	}
	if !s.Until.IsZero() {
		parts = append(parts, "until "+t.time(s.Until))
	}
	return strings.Join(parts, " ")
}

func (t *text) time(when time.Time) string {
	when = when.In(t.now.Location())
	if when.Format(time.DateOnly) == t.now.Format(time.DateOnly) {
		return when.Format(time.TimeOnly)
	}
	return when.Format(time.DateTime)
}

func abs(n int) int { return max(n, -n) }
