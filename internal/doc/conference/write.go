package conference

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Bytes writes the document. It is valid whatever the fields hold: URIs are escaped where they have to be, and characters that XML cannot hold become
// U+FFFD. Values of the wrong kind, an endpoint's status for example, are left out.
func (d *Document) Bytes() []byte { return d.Append(nil) }

// Append appends what Bytes returns.
func (d *Document) Append(dst []byte) []byte {
	w := &writer{dst: append(dst, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"...)}
	w.open("conference-info", "xmlns", Space, "entity", lexical.FixURI(d.Entity), "state", d.State.value(), "version", strconv.FormatUint(uint64(d.Version), 10))
	if c := d.Description; c != nil {
		w.description(c)
	}
	if h := d.Host; h != nil {
		w.open("host-info")
		w.text("display-text", h.Display)
		w.uri("web-page", h.WebPage)
		w.entries("uris", h.URIs)
		w.close()
	}
	if s := d.Status; s != nil {
		w.open("conference-state")
		w.count("user-count", s.UserCount)
		w.flag("active", s.Active)
		w.flag("locked", s.Locked)
		w.close()
	}
	if d.Users != nil {
		w.open("users", "state", d.Users.State.value())
		for i := range d.Users.Users {
			w.user(&d.Users.Users[i])
		}
		w.close()
	}
	w.close()
	return w.dst
}

// value is what is written: nothing for a state that is none.
func (s State) value() string {
	switch s {
	case Full, Partial, Deleted:
		return string(s)
	}
	return ""
}

// writer writes elements with two blanks for each level.
type writer struct {
	dst   []byte
	names []string
}

func (w *writer) indent() {
	for range w.names {
		w.dst = append(w.dst, "  "...)
	}
}

// open begins an element with attributes, name and value in turn; those without a value are left out.
func (w *writer) open(name string, attrs ...string) {
	w.indent()
	w.dst = append(append(w.dst, '<'), name...)
	for i := 0; i < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			w.dst = lexical.AppendAttribute(w.dst, attrs[i], attrs[i+1])
		}
	}
	w.dst = append(w.dst, ">\n"...)
	w.names = append(w.names, name)
}

func (w *writer) close() {
	last := len(w.names) - 1
	name := w.names[last]
	w.names = w.names[:last]
	w.indent()
	w.dst = append(append(append(w.dst, "</"...), name...), ">\n"...)
}

func (w *writer) text(name, value string) {
	if value == "" {
		return
	}
	w.indent()
	w.dst = append(append(append(w.dst, '<'), name...), '>')
	w.dst = tree.AppendText(w.dst, lexical.Legal(value))
	w.dst = append(append(append(w.dst, "</"...), name...), ">\n"...)
}

func (w *writer) uri(name, value string) { w.text(name, lexical.FixURI(value)) }

func (w *writer) count(name string, n *uint32) {
	if n != nil {
		w.text(name, strconv.FormatUint(uint64(*n), 10))
	}
}

func (w *writer) flag(name string, b *bool) {
	if b != nil {
		w.text(name, strconv.FormatBool(*b))
	}
}

// oneOf writes a value that has to be one of some.
func (w *writer) oneOf(name, value, values string) {
	if value != "" && strings.Contains(" "+values+" ", " "+value+" ") {
		w.text(name, value)
	}
}

const (
	statuses   = "pending dialing-out dialing-in alerting on-hold connected muted-via-focus disconnecting disconnected"
	joinings   = "dialed-in dialed-out focus-owner"
	leavings   = "departed booted failed busy"
	directions = "recvonly sendonly sendrecv inactive"
)

func (w *writer) description(d *Description) {
	w.open("conference-description")
	w.text("display-text", d.Display)
	w.text("subject", d.Subject)
	w.text("free-text", d.FreeText)
	w.text("keywords", strings.Join(d.Keywords, " "))
	w.entries("conf-uris", d.URIs)
	w.entries("service-uris", d.ServiceURIs)
	w.count("maximum-user-count", d.MaximumUsers)
	if len(d.Media) > 0 {
		w.open("available-media")
		for _, m := range d.Media {
			w.medium("entry", m, "label", m.Label)
		}
		w.close()
	}
	w.close()
}

func (w *writer) entries(name string, all []Entry) {
	if len(all) == 0 {
		return
	}
	w.open(name)
	for _, e := range all {
		w.open("entry")
		w.uri("uri", e.URI)
		w.text("display-text", e.Display)
		w.text("purpose", e.Purpose)
		w.close()
	}
	w.close()
}

func (w *writer) medium(element string, m Medium, key, value string) {
	w.indent()
	w.dst = lexical.AppendAttribute(append(append(w.dst, '<'), element...), key, value)
	w.dst = append(w.dst, ">\n"...)
	w.names = append(w.names, element)
	w.text("display-text", m.Display)
	w.text("type", m.Type)
	if element == "media" {
		w.text("label", m.Label)
		w.text("src-id", m.Source)
	}
	w.oneOf("status", m.Status, directions)
	w.close()
}

func (w *writer) user(u *User) {
	w.open("user", "entity", lexical.FixURI(u.Entity), "state", u.State.value())
	defer w.close()
	if u.State == Deleted {
		return
	}
	w.text("display-text", u.Display)
	w.entries("associated-aors", u.AORs)
	if len(u.Roles) > 0 {
		w.open("roles")
		for _, r := range u.Roles {
			w.text("entry", r)
		}
		w.close()
	}
	var languages []string
	for _, l := range u.Languages {
		if lexical.IsLanguage(l) {
			languages = append(languages, l)
		}
	}
	w.text("languages", strings.Join(languages, " "))
	w.uri("cascaded-focus", u.Focus)
	for i := range u.Endpoints {
		w.endpoint(&u.Endpoints[i])
	}
}

func (w *writer) endpoint(e *Endpoint) {
	w.open("endpoint", "entity", e.Entity, "state", e.State.value())
	defer w.close()
	if e.State == Deleted {
		return
	}
	w.text("display-text", e.Display)
	w.execution("referred", e.Referred)
	w.oneOf("status", e.Status, statuses)
	w.oneOf("joining-method", e.Joining, joinings)
	w.execution("joining-info", e.JoiningInfo)
	w.oneOf("disconnection-method", e.Disconnection, leavings)
	w.execution("disconnection-info", e.LeavingInfo)
	for _, m := range e.Media {
		w.medium("media", m, "id", m.ID)
	}
	if c := e.Call; c != nil {
		w.open("call-info")
		w.open("sip")
		w.text("display-text", c.Display)
		w.always("call-id", c.CallID)
		w.always("from-tag", c.FromTag)
		w.always("to-tag", c.ToTag)
		w.close()
		w.close()
	}
}

// always writes an element that has to be there.
func (w *writer) always(name, value string) {
	if value != "" {
		w.text(name, value)
		return
	}
	w.indent()
	w.dst = append(append(append(w.dst, '<'), name...), "/>\n"...)
}

func (w *writer) execution(name string, e *Execution) {
	if e == nil {
		return
	}
	w.open(name)
	if !e.When.IsZero() {
		w.text("when", e.When.UTC().Format(time.RFC3339))
	}
	w.text("reason", e.Reason)
	w.uri("by", e.By)
	w.close()
}

// WriteText shows the document to people: a line for the conference and one for each user.
func (d *Document) WriteText(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s %d", lexical.Visible(d.Entity), d.State, d.Version)
	if d.Description != nil && d.Description.Subject+d.Description.Display != "" {
		fmt.Fprintf(&b, "  %s", lexical.Visible(strings.TrimSpace(d.Description.Display+" "+d.Description.Subject)))
	}
	b.WriteByte('\n')
	if d.Users != nil {
		for _, u := range d.Users.Users {
			fmt.Fprintf(&b, "  %s", lexical.Visible(u.Entity))
			if u.Display != "" {
				fmt.Fprintf(&b, " (%s)", lexical.Visible(u.Display))
			}
			if u.State != Full {
				fmt.Fprintf(&b, "  %s", u.State)
			}
			for _, e := range u.Endpoints {
				fmt.Fprintf(&b, "  %s", lexical.Visible(strings.TrimSpace(e.Status+" "+e.Entity)))
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
