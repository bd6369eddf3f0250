package pidf

import (
	"strings"
	"time"
)

func noteViews(notes []Note) (list []NoteView) {
	for _, n := range notes {
		list = append(list, NoteView{n.Text, n.Lang})
	}
	return list
}

func extensionViews(raws []Raw) (list []ExtensionView) {
	for _, r := range raws {
		list = append(list, ExtensionView{r.Space, r.Local, string(r.XML)})
	}
	return list
}

// qualified collects the elements that have more to them than a value.
type qualified []QualifiedView

func (q *qualified) add(element string, values []string, notes []Note, s Span) {
	if len(notes) > 0 || s != (Span{}) {
		*q = append(*q, QualifiedView{element, values, noteViews(notes), jsonTime(s.From), jsonTime(s.Until), s.ID})
	}
}

func (q *qualified) enumerations(element string, list []Enumeration) (all []string) {
	for i := range list {
		names := list[i].Names()
		all = append(all, names...)
		q.add(element, names, list[i].Notes, list[i].Span)
	}
	return all
}

func (q *qualified) privacy(list []Privacy) (all []string) {
	for _, p := range list {
		values := p.names()
		all = append(all, values...)
		q.add("privacy", values, p.Notes, p.Span)
	}
	return all
}

func (p *Privacy) names() []string {
	e := Enumeration{Values: p.Values, Raw: p.Raw}
	return e.Names()
}

func (q *qualified) icons(list []StatusIcon) (first string) {
	for _, icon := range list {
		first = orDefault(first, icon.URI)
		q.add("status_icon", []string{icon.URI}, nil, icon.Span)
	}
	return first
}

func (u *UserInput) view() *InputView {
	if u == nil {
		return nil
	}
	return &InputView{u.state(), int(u.Threshold / time.Second), jsonTime(u.Last)}
}

func (u *UserInput) state() string {
	if u.Idle {
		return "idle"
	}
	return "active"
}

func (i *ContactInfo) view() *InfoView {
	if i.empty() {
		return nil
	}
	return &InfoView{noteViews(i.Names), i.Card, i.Homepage, i.Icon, i.Map, i.Sound}
}

func (t *TimedStatus) view() TimedView {
	v := TimedView{From: jsonTime(t.From), Until: jsonTime(t.Until), Basic: t.Basic, Extensions: extensionViews(t.Extensions)}
	if t.Note.Text != "" {
		v.Note = &NoteView{t.Note.Text, t.Note.Lang}
	}
	return v
}

func (c *Capabilities) view() *CapabilitiesView {
	if c == nil {
		return nil
	}
	v := &CapabilitiesView{Flags: c.Flags, Descriptions: noteViews(c.Descriptions), Types: c.Types, Extensions: extensionViews(c.Extensions)}
	for _, name := range sorted(c.Support) {
		s, key := c.Support[name], strings.ReplaceAll(name, "-", "_")
		if len(s.Yes) > 0 {
			set(&v.Supported, key, s.Yes)
		}
		if len(s.No) > 0 {
			set(&v.NotSupported, key, s.No)
		}
	}
	for _, r := range c.Priorities {
		p := CapabilitiesPriority{Supported: r.Supported}
		if r.Kind != "lowerthan" {
			p.Min = &r.Min
		}
		if r.Kind != "higherthan" {
			p.Max = &r.Max
		}
		v.Priorities = append(v.Priorities, p)
	}
	return v
}
