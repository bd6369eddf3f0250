package cpim

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"imp/internal/xml/lexical"
)

// View is the message as JSON shows it; its names are those that scripts use.
type View struct {
	From        *AddressView  `json:"from,omitempty" doc:"the sender"`
	To          []AddressView `json:"to,omitempty" doc:"the recipients"`
	CC          []AddressView `json:"cc,omitempty" doc:"who gets a copy"`
	DateTime    string        `json:"date_time,omitempty" doc:"when it was sent, as the sender wrote it"`
	Subjects    []SubjectView `json:"subjects,omitempty" doc:"topics"`
	Required    []string      `json:"required,omitempty" doc:"features that the receiver has to understand and imp does not"`
	MessageID   string        `json:"message_id,omitempty" doc:"id that disposition notifications refer to"`
	Requests    []string      `json:"requests,omitempty" doc:"disposition notifications that are asked for: positive-delivery, negative-delivery, processing, display"`
	OriginalTo  *AddressView  `json:"original_to,omitempty" doc:"the recipient before an intermediary changed it"`
	RecordRoute []AddressView `json:"record_route,omitempty" doc:"intermediaries that want to see the notifications"`
	Route       []AddressView `json:"route,omitempty" doc:"intermediaries that this notification has to pass"`
	Extensions  []FieldView   `json:"extensions,omitempty" doc:"header fields that imp does not know"`
	ContentType string        `json:"content_type" doc:"media type of the content, with its parameters"`
	Disposition string        `json:"disposition,omitempty" doc:"Content-Disposition of the content"`
	Size        int           `json:"size" doc:"bytes of the content"`
	Text        string        `json:"text,omitempty" doc:"the content, when it is text or XML in UTF-8"`
}

// AddressView is a URI with a name.
type AddressView struct {
	Name string `json:"name,omitempty" doc:"formal name"`
	URI  string `json:"uri" doc:"address"`
}

// SubjectView is a topic.
type SubjectView struct {
	Lang string `json:"lang,omitempty" doc:"language"`
	Text string `json:"text" doc:"the topic"`
}

// FieldView is a header field.
type FieldView struct {
	Namespace string `json:"namespace,omitempty" doc:"namespace, none when its prefix was not declared"`
	Name      string `json:"name" doc:"name without prefix"`
	Value     string `json:"value" doc:"value without escapes"`
}

// MarshalJSON implements json.Marshaler with the fields of View.
func (m Message) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(m.View())
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// View returns the message as JSON shows it.
func (m *Message) View() View {
	v := View{
		From: addressView(m.From()), To: addressViews(m.To()), CC: addressViews(m.CC()), MessageID: m.MessageID(), OriginalTo: addressView(m.OriginalTo()),
		RecordRoute: addressViews(m.RecordRoute()), Route: addressViews(m.Route()),
		ContentType: m.Content.Get("Content-Type"), Disposition: m.Content.Get("Content-Disposition"), Size: len(m.Content.Body), Text: m.Content.text(),
	}
	if f := m.Get(core("DateTime")); f != nil {
		v.DateTime = f.Value
	}
	for _, s := range m.Subjects() {
		v.Subjects = append(v.Subjects, SubjectView(s))
	}
	for _, n := range m.NotUnderstood() {
		v.Required = append(v.Required, strings.TrimPrefix(n.Space+" "+n.Local, " "))
	}
	for _, r := range m.Requests() {
		v.Requests = append(v.Requests, r.Name)
	}
	for i := range m.Header {
		if f := &m.Header[i]; !ours[f.Name] {
			v.Extensions = append(v.Extensions, FieldView{f.Space, f.Local, f.Text()})
		}
	}
	return v
}

func addressView(a Address) *AddressView {
	if a.URI == "" {
		return nil
	}
	v := AddressView(a)
	return &v
}

func addressViews(list []Address) (views []AddressView) {
	for _, a := range list {
		views = append(views, AddressView(a))
	}
	return views
}

// text is content that people can read, "" for any other.
func (c *Content) text() string {
	typ := c.Type()
	if !strings.HasPrefix(typ, "text/") && !strings.HasSuffix(typ, "+xml") || !utf8.Valid(c.Body) {
		return ""
	}
	return string(c.Body)
}

// WriteText shows the message to a person: who to whom and when, the topics, what is asked for, then an empty line and the content if it is text. The time is
// that of the location, nil standing for UTC; the date is left out when it is the one of now. No control character of the message comes through but line ends
// and tabs of the content. The error is that of w.
func (m *Message) WriteText(w io.Writer, now time.Time, in *time.Location) error {
	if in == nil {
		in = time.UTC
	}
	var b strings.Builder
	line := func(name, value string) {
		if value = lexical.Visible(value); value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	line("from", m.From().show())
	for _, a := range m.To() {
		line("to", a.show())
	}
	for _, a := range m.CC() {
		line("cc", a.show())
	}
	line("original to", m.OriginalTo().show())
	line("sent", shownTime(m.DateTime(), now, in))
	for _, s := range m.Subjects() {
		if s.Lang != "" {
			s.Text += " [" + s.Lang + "]"
		}
		line("subject", s.Text)
	}
	line("id", m.MessageID())
	v := m.View()
	line("wants", strings.Join(v.Requests, ", "))
	line("requires", strings.Join(v.Required, ", "))
	for _, f := range v.Extensions {
		b.WriteString("extension: " + lexical.Visible(f.Name+": "+f.Value+"  "+f.Namespace) + "\n")
	}
	line("content", m.Content.Get("Content-Type"))
	if v.Text != "" {
		b.WriteString("\n")
		for l := range strings.Lines(v.Text) {
			b.WriteString(printable(strings.TrimRight(l, "\r\n")) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// show is the address for a person, "" for none.
func (a Address) show() string {
	if a.URI == "" || a.Name == "" {
		return a.URI
	}
	return a.Name + " <" + a.URI + ">"
}

func shownTime(t, now time.Time, in *time.Location) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(in)
	if t.Format(time.DateOnly) == now.In(in).Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// printable makes control and format characters, which could move the cursor or turn the direction of writing, U+FFFD.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) && r != '\u200D' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
