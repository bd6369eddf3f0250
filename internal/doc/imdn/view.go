package imdn

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"imp/internal/xml/lexical"
)

// View is the document as JSON shows it; its names are those that scripts use.
type View struct {
	MessageID         string          `json:"message_id" doc:"Message-ID of the message that it is about"`
	DateTime          string          `json:"date_time,omitempty" doc:"when that message was sent, as its sender wrote it"`
	Kind              Kind            `json:"kind,omitempty" doc:"delivery, processing or display"`
	Status            Status          `json:"status,omitempty" doc:"delivered, failed, processed, stored, displayed, forbidden or error"`
	Recipient         string          `json:"recipient,omitempty" doc:"who the message was for when the notification was made"`
	OriginalRecipient string          `json:"original_recipient,omitempty" doc:"who the sender wrote to"`
	Subject           string          `json:"subject,omitempty" doc:"subject of that message"`
	Extensions        []ExtensionView `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// ExtensionView is an element of another namespace.
type ExtensionView struct {
	Namespace string `json:"namespace" doc:"namespace"`
	Name      string `json:"name" doc:"local name"`
}

// View returns the document as JSON shows it.
func (d *Document) View() View {
	v := View{
		MessageID: d.MessageID, DateTime: d.DateTime, Kind: d.Kind, Status: d.Status, Recipient: d.Recipient, OriginalRecipient: d.OriginalRecipient, Subject: d.Subject,
	}
	for _, e := range d.Extensions {
		v.Extensions = append(v.Extensions, ExtensionView{e.Space, e.Local})
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

// WriteText shows the document to a person: a line with the disposition and the message, then details. It says what its sender claims: that a message was
// displayed is no proof that somebody has read it (RFC 5438 section 14.3). The time is that of the location, nil standing for UTC; the date is left out when it
// is the one of now. No control character of the document comes through. The error is that of w.
func (d *Document) WriteText(w io.Writer, now time.Time, in *time.Location) error {
	if in == nil {
		in = time.UTC
	}
	var b strings.Builder
	words := []string{"no notification"}
	if d.Kind != "" {
		words = []string{string(d.Kind) + ":", string(d.Status)}
	}
	b.WriteString(strings.Join(append(words, "", "message", lexical.Visible(d.MessageID)), " ") + "\n")
	line := func(name, value string) {
		if value = lexical.Visible(value); value != "" {
			b.WriteString("  " + name + ": " + value + "\n")
		}
	}
	line("sent", shownTime(d.DateTime, now, in))
	line("recipient", d.Recipient)
	if d.OriginalRecipient != d.Recipient {
		line("original recipient", d.OriginalRecipient)
	}
	line("subject", d.Subject)
	for _, e := range d.Extensions {
		line("extension", e.Local+" "+e.Space)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shownTime is the time of RFC 3339, or what stands in its place.
func shownTime(s string, now time.Time, in *time.Location) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	t = t.In(in)
	if t.Format(time.DateOnly) == now.In(in).Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
