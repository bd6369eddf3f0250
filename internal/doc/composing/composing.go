// Package composing implements the indication of message composition (RFC 3994): the documents, and the states of both sides. Time is an argument; the
// package knows no timers and sends nothing.
package composing

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 3994 section 8.1).
const MediaType = "application/im-iscomposing+xml"

// Space is the namespace of the elements (RFC 3994 section 8.2). The im-composing in schema locations of its examples is none.
const Space = "urn:ietf:params:xml:ns:im-iscomposing"

// The states (RFC 3994 section 3.1).
const (
	Active = "active"
	Idle   = "idle"
)

// Error tells where a document was refused and why.
type Error = tree.Error

// Document is a status message (RFC 3994 section 3.4).
type Document struct {
	State       string        // Active or Idle
	LastActive  time.Time     // of the composer; zero: not told
	ContentType string        // of what is composed: a media type or its first part; "" is text
	Refresh     time.Duration // until the next status message, in whole seconds; 0: not told
}

// limits bound the work that a document can cause.
var limits = tree.Options{Limits: tree.Limits{Depth: 64, Size: 1 << 16, Attributes: 64, Declarations: 64}}

// maxRefresh bounds what a composer can have a receiver believe without hearing from it again.
const maxRefresh = 24 * time.Hour

// Check reports what the schema of RFC 3994 section 6.1 refuses. The error is an *Error.
func Check(src []byte) error {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return err
	}
	g, _ := grammar.For(Space, "isComposing")
	return g.Validate(t)
}

// Parse reads a document leniently: in any order, any state but active being idle (RFC 3994 section 3.5), and values that are not right as if they were not
// told. It refuses what is not well-formed, has another root, or no state. The error is an *Error.
func Parse(src []byte) (*Document, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if err := lexical.WantRoot(t, Space, "isComposing"); err != nil {
		return nil, err
	}
	state := root.Element(Space, "state")
	if !state.Valid() {
		return nil, lexical.ErrorIn(root, "no state in the document")
	}
	d := &Document{State: Idle}
	if strings.TrimSpace(state.Text()) == Active {
		d.State = Active
	}
	d.LastActive, _ = time.Parse(time.RFC3339Nano, strings.TrimSpace(root.Element(Space, "lastactive").Text()))
	d.ContentType = strings.Join(strings.Fields(root.Element(Space, "contenttype").Text()), " ")
	d.Refresh = readRefresh(strings.TrimSpace(root.Element(Space, "refresh").Text()))
	return d, nil
}

// readRefresh reads a positive number of seconds, 0 for anything else.
func readRefresh(s string) time.Duration {
	s = strings.TrimLeft(strings.TrimPrefix(s, "+"), "0")
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n <= int64(maxRefresh/time.Second) {
		return time.Duration(n) * time.Second
	}
	return maxRefresh
}

// Bytes writes the document in the order of the schema. A refresh below a second is not written.
func (d *Document) Bytes() []byte {
	b := append(make([]byte, 0, 256), `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<isComposing xmlns="`+Space+`">`+"\n"...)
	element := func(name, text string) {
		b = append(b, "  <"+name+">"...)
		b = tree.AppendText(b, lexical.Legal(text))
		b = append(b, "</"+name+">\n"...)
	}
	state := Idle
	if d.State == Active {
		state = Active
	}
	element("state", state)
	if last := d.LastActive.UTC(); !last.IsZero() && last.Year() > 0 && last.Year() < 10000 {
		element("lastactive", last.Format(time.RFC3339))
	}
	if d.ContentType != "" {
		element("contenttype", d.ContentType)
	}
	if seconds := int64(d.Refresh / time.Second); seconds > 0 {
		element("refresh", strconv.FormatInt(seconds, 10))
	}
	return append(b, "</isComposing>\n"...)
}

// View is the document as JSON shows it; its names are those that scripts use.
type View struct {
	State       string `json:"state" doc:"active or idle"`
	LastActive  string `json:"last_active,omitempty" doc:"when the composer was last active"`
	ContentType string `json:"content_type,omitempty" doc:"media type of what is composed, or its first part"`
	Refresh     int    `json:"refresh,omitempty" doc:"seconds until the next status message"`
}

// View returns the document as JSON shows it.
func (d *Document) View() View {
	v := View{State: d.State, ContentType: d.ContentType, Refresh: int(d.Refresh / time.Second)}
	if !d.LastActive.IsZero() {
		v.LastActive = d.LastActive.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return v
}

// MarshalJSON implements json.Marshaler with the fields of View.
func (d Document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(d.View())
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// WriteText shows the document to a person in a line. The time is that of the location, nil standing for UTC; the date is left out when it is the one of now. No
// control character of the document comes through. The error is that of w.
func (d *Document) WriteText(w io.Writer, now time.Time, in *time.Location) error {
	if in == nil {
		in = time.UTC
	}
	text := d.State
	if d.ContentType != "" {
		text += "  " + lexical.Visible(d.ContentType)
	}
	if last := d.LastActive.In(in); !d.LastActive.IsZero() {
		form := time.DateTime
		if last.Format(time.DateOnly) == now.In(in).Format(time.DateOnly) {
			form = time.TimeOnly
		}
		text += "  last active " + last.Format(form)
	}
	if d.Refresh > 0 {
		text += "  refreshed in " + d.Refresh.String()
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}
