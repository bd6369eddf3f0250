package cli

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/imdn"
)

// messageEvent is one MESSAGE as commands print it.
type messageEvent struct {
	kit.Head
	From         string      `json:"from" doc:"the URI of the sender, as he says"`
	FromName     string      `json:"from_name,omitempty" doc:"his name, as he says"`
	To           string      `json:"to" doc:"the URI that it was sent to"`
	Subject      string      `json:"subject,omitempty" doc:"what it is about"`
	BodyType     string      `json:"body_type,omitempty" doc:"the media type of the body; absent without one"`
	Body         string      `json:"body" doc:"the body as text; what is no text has U+FFFD in it"`
	BodyBase64   string      `json:"body_base64,omitempty" doc:"the body in base64, when it is no text"`
	Part         string      `json:"text,omitempty" doc:"what a person reads, where that is only a part of the body, as in message/cpim"`
	MessageID    string      `json:"message_id,omitempty" doc:"what disposition notifications about it name; of the message/cpim that it is in"`
	Receipts     []string    `json:"receipts,omitempty" doc:"what its sender is told of it: delivered and displayed; imp listen only"`
	Notification *imdn.View  `json:"notification,omitempty" doc:"a disposition notification that is the body, or in it"`
	Further      []imdn.View `json:"further_notifications,omitempty" doc:"those after it, where several came together"`
	CallID       string      `json:"call_id" doc:"what a reply names"`
	InReplyTo    string      `json:"in_reply_to,omitempty" doc:"the Call-ID of what it answers"`
	ReplyTo      string      `json:"reply_to,omitempty" doc:"where an answer is to go"`
	Priority     string      `json:"priority,omitempty" doc:"emergency, urgent or non-urgent; absent when normal"`
	Organization string      `json:"organization,omitempty" doc:"of the sender, as he says"`
	Disposition  string      `json:"disposition,omitempty" doc:"what the body is for; absent when it is for reading"`
	Sent         kit.Time    `json:"sent,omitzero" doc:"when it was sent, as the sender says"`
	Expired      bool        `json:"expired,omitempty" doc:"it was of use only until some time before it came"`

	raw     []byte
	content pager.Content
	wall    time.Time
}

func newMessageEvent(m *pager.Message) *messageEvent {
	c := m.Content()
	e := &messageEvent{Head: kit.Head{Event: "message", Time: kit.Time(m.Time)}, From: m.From.URI, FromName: m.From.Display, To: m.To,
		Subject: c.Subject, BodyType: m.ContentType.MediaType, CallID: m.CallID, InReplyTo: m.InReplyTo, ReplyTo: m.ReplyTo,
		Priority: m.Priority, Organization: m.Organization, Disposition: m.Disposition, Sent: kit.Time(m.Date), Expired: m.Expired,
		raw: m.Body, content: c, wall: m.Time}
	if c.CPIM != nil {
		e.MessageID = c.CPIM.MessageID()
	}
	e.Body = c.Text
	if m.BodyIsText() {
		return e
	}
	e.Body = strings.ToValidUTF8(string(m.Body), "\uFFFD")
	for i, d := range c.Notifications {
		view := d.View()
		if i == 0 {
			e.Notification = &view
			continue
		}
		e.Further = append(e.Further, view)
	}
	if c.Text != e.Body {
		e.Part = c.Text
	}
	if !utf8.Valid(m.Body) {
		e.BodyBase64 = base64.StdEncoding.EncodeToString(m.Body)
	}
	return e
}

// messageKeys are the keys of --until for messages.
var messageKeys = []string{"from", "to", "subject", "body", "text", "body_type", "call_id", "message_id", "in_reply_to", "priority"}

// Fact implements kit.Facts.
func (e *messageEvent) Fact(key string) []string {
	values := map[string]string{"from": e.From, "to": e.To, "subject": e.Subject, "body": e.Body, "text": e.content.Text,
		"body_type": e.BodyType, "call_id": e.CallID, "message_id": e.MessageID, "in_reply_to": e.InReplyTo, "priority": e.Priority}
	if v := values[key]; v != "" {
		return []string{v}
	}
	return nil
}

// XML implements kit.Facts.
func (e *messageEvent) XML() []byte {
	if !looksLikeXML(e.BodyType) {
		return nil
	}
	return e.raw
}

// Raw implements kit.Rawer.
func (e *messageEvent) Raw() []byte { return e.raw }

// Text implements kit.Texter: who wrote, and what; further lines are indented.
func (e *messageEvent) Text(w io.Writer, s *kit.Style) error {
	fmt.Fprintf(w, "%s %s  ", s.Dim(s.Time(e.wall, e.wall)), s.Name(kit.CleanLine(e.From)))
	for _, mark := range []string{e.Priority, map[bool]string{true: "expired"}[e.Expired]} {
		if mark != "" {
			fmt.Fprintf(w, "%s ", s.Busy("("+kit.CleanLine(mark)+")"))
		}
	}
	if e.Subject != "" {
		fmt.Fprintf(w, "%s ", s.Bold("["+kit.CleanLine(e.Subject)+"]"))
	}
	text := e.content.Text
	if all := e.content.Notifications; all != nil {
		var b strings.Builder
		for _, n := range all {
			n.WriteText(&b, e.wall, s.Zone)
		}
		text = b.String()
	}
	text = kit.Clean(strings.TrimRight(text, "\r\n"))
	_, err := fmt.Fprintln(w, strings.ReplaceAll(text, "\n", "\n  "))
	return err
}
