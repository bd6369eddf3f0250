package pidf

import (
	"slices"
	"strconv"
	"strings"

	"imp/internal/xml/tree"
)

// appendNote appends the text of a note, unless it is blank.
func appendNote(list []Note, n tree.Node) []Note {
	if text := trim(n.Text()); text != "" {
		return append(list, Note{langOf(n), text})
	}
	return list
}

func readSpan(n tree.Node) Span {
	return Span{trim(attr(n, "id")), readTime(attr(n, "from")), readTime(attr(n, "until"))}
}

// readValues reads an enumeration. Names that the model does not have, and text, are taken for values too.
func readValues(n tree.Node, m *model) Enumeration {
	e := Enumeration{Span: readSpan(n)}
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		in := spaceOf(c.Space())
		switch {
		case c.Kind() == tree.Text && !c.Blank():
			e.add(m, collapse(c.Text()))
		case c.Kind() != tree.Element:
		case in == inRPID && c.Local() == "note":
			e.Notes = appendNote(e.Notes, c)
		case c.Local() == "other" && (in == inRPID || in == inLocationType):
			e.Other = append(e.Other, Note{langOf(c), trim(c.Text())})
		case in == inLocationType && in == m.choice:
			e.Values = append(e.Values, c.Local()) // the registry grows
		case in == inRPID:
			e.add(m, c.Local())
		default:
			e.Raw = append(e.Raw, rawOf(c))
		}
	}
	return e
}

func (e *Enumeration) add(m *model, name string) {
	if m.choices[name] != nil || m.misprints[name] != "" {
		e.Values = append(e.Values, name)
		return
	}
	e.Other = append(e.Other, Note{Text: name})
}

// value is the one of an enumeration that has one, as a standard name; text is other.
func (e *Enumeration) value() string {
	switch {
	case len(e.Values) > 0:
		return e.Values[0]
	case len(e.Other) > 0:
		return "other"
	case len(e.Raw) > 0:
		return e.Raw[0].Local
	}
	return ""
}

func (e *Enumeration) firstOther() Note {
	if len(e.Values) > 0 || len(e.Other) == 0 {
		return Note{}
	}
	return e.Other[0]
}

func readPrivacy(n tree.Node) Privacy {
	e := readValues(n, privacyModel)
	return Privacy{Span: e.Span, Notes: e.Notes, Values: e.Values, Raw: e.Raw}
}

func readSphere(n tree.Node) Sphere {
	e := readValues(n, sphereModel)
	s := Sphere{Span: e.Span, Raw: e.Raw}
	if names := e.Names(); len(names) > 0 {
		s.Value = names[0]
	}
	return s
}

func readPlace(n tree.Node) PlaceIs {
	p := PlaceIs{Span: readSpan(n)}
	for c := range n.Elements() {
		if c.Space() != RPIDSpace {
			continue
		}
		switch c.Local() {
		case "note":
			p.Notes = appendNote(p.Notes, c)
		case "audio":
			p.Audio = placeValue(c, audioPlaces)
		case "video":
			p.Video = placeValue(c, videoPlaces)
		case "text":
			p.Text = placeValue(c, textPlaces)
		}
	}
	return p
}

func placeValue(n tree.Node, allowed []string) string {
	value := collapse(n.Text())
	for c := range n.Elements() {
		value = c.Local()
		break
	}
	if slices.Contains(allowed, value) {
		return value
	}
	return ""
}

func readInput(n tree.Node) *UserInput {
	u := &UserInput{ID: trim(attr(n, "id")), Last: readTime(attr(n, "last-input"))}
	switch strings.ToLower(trim(n.Text())) {
	case "idle":
		u.Idle = true
	case "active":
	default:
		return nil
	}
	if threshold := trim(attr(n, "idle-threshold")); isPositive(threshold) {
		s, _ := strconv.Atoi(threshold)
		u.Threshold = seconds(s)
	}
	return u
}

// read takes over an element of RFC 4482.
func (i *ContactInfo) read(n tree.Node) bool {
	if n.Space() != CIPIDSpace {
		return false
	}
	if n.Local() == "display-name" {
		i.Names = appendNote(i.Names, n)
		return true
	}
	field := i.field(n.Local())
	if field != nil {
		*field = trim(n.Text())
	}
	return field != nil
}

// field returns the URI of an element of RFC 4482.
func (i *ContactInfo) field(name string) *string {
	switch name {
	case "card":
		return &i.Card
	case "homepage":
		return &i.Homepage
	case "icon":
		return &i.Icon
	case "map":
		return &i.Map
	case "sound":
		return &i.Sound
	}
	return nil
}

func readTimed(n tree.Node) TimedStatus {
	t := TimedStatus{From: readTime(attr(n, "from")), Until: readTime(attr(n, "until"))}
	for c := range n.Elements() {
		switch basic := strings.ToLower(trim(c.Text())); {
		case c.Local() == "basic" && (c.Space() == TimedSpace || c.Space() == Space):
			if basic == Open || basic == Closed {
				t.Basic = basic
			}
		case c.Local() == "note" && (c.Space() == TimedSpace || c.Space() == Space):
			t.Note = Note{langOf(c), trim(c.Text())}
		case c.Space() != TimedSpace:
			t.Extensions = append(t.Extensions, rawOf(c))
		}
	}
	return t
}

func readCaps(n tree.Node) *Capabilities {
	caps := &Capabilities{}
	for c := range n.Elements() {
		name := c.Local()
		switch _, listed := capsSupport[name]; {
		case c.Space() != CapsSpace:
			caps.Extensions = append(caps.Extensions, rawOf(c))
		case slices.Contains(capsFlags, name):
			if value := trim(c.Text()); isBoolean(value) {
				set(&caps.Flags, name, value == "true" || value == "1")
			}
		case name == "description":
			caps.Descriptions = appendNote(caps.Descriptions, c)
		case name == "type":
			caps.Types = append(caps.Types, strings.ToLower(trim(c.Text())))
		case name == "priority":
			caps.Priorities = append(caps.Priorities, readPriorities(c)...)
		case listed:
			set(&caps.Support, name, readSupport(c, capsToken(name)))
		}
	}
	return caps
}

func set[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[key] = value
}

// readSupport reads the containers of names, or of strings in elements called token.
func readSupport(n tree.Node, token string) (s Support) {
	read := func(container string) (list []string) {
		for c := range n.Element(CapsSpace, container).Elements() {
			value := optionTag(c.Local())
			if token != "" {
				value = trim(c.Text())
			}
			list = append(list, value)
		}
		return list
	}
	s.Yes = read("supported")
	s.No = slices.DeleteFunc(read("notsupported"), func(name string) bool { return slices.Contains(s.Yes, name) })
	return s
}

func readPriorities(n tree.Node) (list []PriorityRange) {
	number := func(n tree.Node, name string) (value int, ok bool) {
		value, err := strconv.Atoi(trim(attr(n, name)))
		return value, err == nil
	}
	for _, container := range []string{"supported", "notsupported"} {
		for c := range n.Element(CapsSpace, container).Elements() {
			r := PriorityRange{Supported: container == "supported", Kind: c.Local()}
			var low, high bool
			r.Min, low = number(c, "minvalue")
			r.Max, high = number(c, "maxvalue")
			switch r.Kind {
			case "equals":
				r.Min, low = number(c, "value")
				r.Max, high = r.Min, low
			case "higherthan", "higherhan":
				r.Kind, high = "higherthan", true
			case "lowerthan":
				low = true
			case "range":
			default:
				continue
			}
			if low && high {
				list = append(list, r)
			}
		}
	}
	return list
}
