package pidf

import (
	"slices"
	"strconv"
	"time"

	"imp/internal/xml/tree"
)

// Bytes writes the document, valid by the schemas and in their order, indented. What cannot be written so is put right as Compose does: lunch
// becomes meal, a value without a name becomes other, ids that are no NCName or taken are changed, and what makes no sense is left out, among it a
// tuple without any status. Only the namespaces used are declared. The same document gives the same bytes.
func (d *Document) Bytes() []byte {
	c := composers.Get().(*composer)
	defer c.release()
	c.w.indent, c.w.depth = true, 1
	var plain draft
	plain.document(d)
	c.read(&Input{Doc: plain.buf})
	c.write()
	return c.w.document(d.Entity)
}

// draft writes a document as it comes, well-formed and no more.
type draft struct{ buf []byte }

func (w *draft) document(d *Document) {
	w.buf = append(w.buf, `<presence entity="-" xmlns="`+Space+`"`...)
	for i, prefix := range prefixes {
		if prefix != "" {
			w.buf = append(w.buf, ` xmlns:`+prefix[:len(prefix)-1]+`="`+spaceNames[i]+`"`...)
		}
	}
	w.buf = append(w.buf, '>')
	for i := range d.Tuples {
		w.tuple(&d.Tuples[i])
	}
	w.notes("note", d.Notes)
	for i := range d.Persons {
		w.person(&d.Persons[i])
	}
	for i := range d.Devices {
		w.device(&d.Devices[i])
	}
	w.raws(d.Extensions)
	w.close("presence")
}

// open writes a start tag. Attributes are names and values, those without value are left out.
func (w *draft) open(name string, attrs ...string) {
	w.buf = append(append(w.buf, '<'), name...)
	for i := 0; i < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			w.buf = append(append(append(w.buf, ' '), attrs[i]...), `="`...)
			w.buf = append(appendEscaped(w.buf, attrs[i+1], true), '"')
		}
	}
	w.buf = append(w.buf, '>')
}

func (w *draft) close(name string) {
	w.buf = append(append(append(w.buf, "</"...), name...), '>')
}

func (w *draft) leaf(name, text string, attrs ...string) {
	w.open(name, attrs...)
	w.buf = appendEscaped(w.buf, text, false)
	w.close(name)
}

// some writes an element if there is text for it.
func (w *draft) some(name, text string, attrs ...string) {
	if text != "" {
		w.leaf(name, text, attrs...)
	}
}

func (w *draft) notes(name string, list []Note) {
	for _, n := range list {
		w.leaf(name, n.Text, "xml:lang", n.Lang)
	}
}

// rawLimits leave room for the elements and the declarations around an extension.
var rawLimits = tree.Options{Limits: tree.Limits{Depth: limits.Depth - 16, Declarations: limits.Declarations - 16}}

// raws writes what is well-formed of elements that may come from anywhere.
func (w *draft) raws(list []Raw) {
	for _, r := range list {
		if t, err := tree.Parse(r.XML, rawLimits); err == nil {
			w.buf = append(w.buf, t.Root().Bytes()...)
		}
	}
}

func instant(t time.Time) string {
	if t.IsZero() || !writable(t) {
		return ""
	}
	return formatTime(t)
}

func (s Span) attributes(more ...string) []string {
	return append([]string{"id", s.ID, "from", instant(s.From), "until", instant(s.Until)}, more...)
}

func (w *draft) tuple(t *Tuple) {
	w.open("tuple", "id", t.ID)
	w.open("status")
	w.some("basic", t.Basic)
	w.raws(t.Status)
	w.close("status")
	for _, id := range t.DeviceIDs {
		w.leaf("dm:deviceID", id)
	}
	if r := t.Relation; r != nil {
		w.single("rpid:relationship", r.Notes, r.Value, r.Other, r.Raw)
	}
	if s := t.Service; s != nil {
		w.single("rpid:service-class", s.Notes, s.Value, Note{}, s.Raw)
	}
	w.some("rpid:class", t.Class)
	w.privacy(t.Privacy)
	w.icons(t.Icons)
	w.input(t.UserInput)
	w.info(&t.Info)
	if t.Caps != nil {
		w.caps("caps:servcaps", t.Caps)
	}
	for i := range t.Timed {
		w.timed(&t.Timed[i])
	}
	w.raws(t.Extensions)
	if t.Contact.URI != "" {
		w.leaf("contact", t.Contact.URI, "priority", t.Contact.Priority)
	}
	w.notes("note", t.Notes)
	w.some("timestamp", instant(t.Timestamp))
	w.close("tuple")
}

func (w *draft) person(p *Person) {
	w.open("dm:person", "id", p.ID)
	w.enumerations("rpid:activities", "rpid:", p.Activities)
	w.enumerations("rpid:mood", "rpid:", p.Moods)
	for i := range p.Places {
		w.place(&p.Places[i])
	}
	w.enumerations("rpid:place-type", "lt:", p.PlaceTypes)
	w.privacy(p.Privacy)
	for i := range p.Spheres {
		w.sphere(&p.Spheres[i])
	}
	w.icons(p.Icons)
	for _, o := range p.TimeOffsets {
		w.leaf("rpid:time-offset", strconv.Itoa(o.Minutes), o.attributes("description", o.Description)...)
	}
	w.input(p.UserInput)
	w.some("rpid:class", p.Class)
	w.info(&p.Info)
	w.raws(p.Extensions)
	w.notes("dm:note", p.Notes)
	w.some("dm:timestamp", instant(p.Timestamp))
	w.close("dm:person")
}

func (w *draft) device(d *Device) {
	w.open("dm:device", "id", d.ID)
	w.input(d.UserInput)
	w.some("rpid:class", d.Class)
	if d.Caps != nil {
		w.caps("caps:devcaps", d.Caps)
	}
	w.raws(d.Extensions)
	w.some("dm:deviceID", d.DeviceID)
	w.notes("dm:note", d.Notes)
	w.some("dm:timestamp", instant(d.Timestamp))
	w.close("dm:device")
}

// value writes an empty element by its name, or text where that is no name.
func (w *draft) value(prefix, name string) {
	if isNCName(name) && name != "other" && name != "note" {
		w.leaf(prefix+name, "")
	} else {
		w.leaf("rpid:other", name)
	}
}

func (w *draft) enumerations(name, prefix string, list []Enumeration) {
	for i := range list {
		e := &list[i]
		w.open(name, e.attributes()...)
		w.notes("rpid:note", e.Notes)
		for _, value := range e.Values {
			w.value(prefix, value)
		}
		w.notes("rpid:other", e.Other)
		w.raws(e.Raw)
		w.close(name)
	}
}

// single writes an element with one value.
func (w *draft) single(name string, notes []Note, value string, other Note, raw []Raw) {
	w.open(name)
	w.notes("rpid:note", notes)
	switch {
	case value == "other" || value == "" && other.Text != "":
		w.notes("rpid:other", []Note{other})
	case len(raw) > 0:
		w.raws(raw)
	case value != "":
		w.value("rpid:", value)
	}
	w.close(name)
}

func (w *draft) place(p *PlaceIs) {
	w.open("rpid:place-is", p.attributes()...)
	w.notes("rpid:note", p.Notes)
	for _, medium := range [...][2]string{{"rpid:audio", p.Audio}, {"rpid:video", p.Video}, {"rpid:text", p.Text}} {
		if medium[1] != "" {
			w.open(medium[0])
			w.value("rpid:", medium[1])
			w.close(medium[0])
		}
	}
	w.close("rpid:place-is")
}

func (w *draft) privacy(list []Privacy) {
	for i := range list {
		p := &list[i]
		w.open("rpid:privacy", p.attributes()...)
		w.notes("rpid:note", p.Notes)
		for _, value := range p.Values {
			w.value("rpid:", value)
		}
		w.raws(p.Raw)
		w.close("rpid:privacy")
	}
}

func (w *draft) sphere(s *Sphere) {
	w.open("rpid:sphere", s.attributes()...)
	if w.raws(s.Raw); len(s.Raw) == 0 && s.Value != "" {
		w.value("rpid:", s.Value)
	}
	w.close("rpid:sphere")
}

func (w *draft) icons(list []StatusIcon) {
	for _, icon := range list {
		w.leaf("rpid:status-icon", icon.URI, icon.attributes()...)
	}
}

func (w *draft) input(u *UserInput) {
	if u == nil {
		return
	}
	state, threshold := "active", ""
	if u.Idle {
		state = "idle"
	}
	if u.Threshold >= time.Second {
		threshold = strconv.Itoa(int(u.Threshold / time.Second))
	}
	w.leaf("rpid:user-input", state, "idle-threshold", threshold, "last-input", instant(u.Last), "id", u.ID)
}

func (w *draft) info(i *ContactInfo) {
	w.some("c:card", i.Card)
	w.notes("c:display-name", i.Names)
	w.some("c:homepage", i.Homepage)
	w.some("c:icon", i.Icon)
	w.some("c:map", i.Map)
	w.some("c:sound", i.Sound)
}

func (w *draft) timed(t *TimedStatus) {
	w.open("ts:timed-status", "from", instant(t.From), "until", instant(t.Until))
	w.some("ts:basic", t.Basic)
	if t.Note.Text != "" {
		w.notes("ts:note", []Note{t.Note})
	}
	w.raws(t.Extensions)
	w.close("ts:timed-status")
}

func (w *draft) caps(name string, c *Capabilities) {
	w.open(name)
	for _, flag := range sorted(c.Flags) {
		if slices.Contains(capsFlags, flag) {
			w.leaf("caps:"+flag, strconv.FormatBool(c.Flags[flag]))
		}
	}
	w.notes("caps:description", c.Descriptions)
	for _, list := range sorted(c.Support) {
		w.support(list, c.Support[list])
	}
	w.priorities(c.Priorities)
	for _, media := range c.Types {
		w.leaf("caps:type", media)
	}
	w.raws(c.Extensions)
	w.close(name)
}

// support writes the values that the schema has names for.
func (w *draft) support(name string, s Support) {
	allowed, known := capsSupport[name]
	token := capsToken(name)
	if !known {
		return
	}
	write := func(container string, list []string) {
		list = slices.DeleteFunc(slices.Clone(list), func(value string) bool { return token == "" && !slices.Contains(allowed, capsName(value)) })
		if len(list) == 0 {
			return
		}
		w.open(container)
		for _, value := range list {
			if token != "" {
				w.leaf("caps:"+token, value)
			} else {
				w.leaf("caps:"+capsName(value), "")
			}
		}
		w.close(container)
	}
	w.open("caps:" + name)
	write("caps:supported", s.Yes)
	write("caps:notsupported", s.No)
	w.close("caps:" + name)
}

func (w *draft) priorities(list []PriorityRange) {
	write := func(container string, supported bool) {
		if !slices.ContainsFunc(list, func(r PriorityRange) bool { return r.Supported == supported }) {
			return
		}
		w.open(container)
		for _, r := range list {
			low, high := strconv.Itoa(r.Min), strconv.Itoa(r.Max)
			switch {
			case r.Supported != supported:
			case r.Kind == "equals":
				w.leaf("caps:equals", "", "value", low)
			case r.Kind == "higherthan":
				w.leaf("caps:higherthan", "", "minvalue", low)
			case r.Kind == "lowerthan":
				w.leaf("caps:lowerthan", "", "maxvalue", high)
			case r.Kind == "range":
				w.leaf("caps:range", "", "minvalue", low, "maxvalue", high)
			}
		}
		w.close(container)
	}
	if len(list) > 0 {
		w.open("caps:priority")
		write("caps:supported", true)
		write("caps:notsupported", false)
		w.close("caps:priority")
	}
}
