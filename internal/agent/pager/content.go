package pager

import (
	"strings"
	"time"

	"golang.org/x/text/encoding/ianaindex"

	"imp/internal/doc/composing"
	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
)

// Content is what a message says, taken out of the formats it may be in.
type Content struct {
	Text          string              // what a person reads, in UTF-8
	Subject       string              // that of the message/cpim, or else of the MESSAGE
	Notifications []*imdn.Document    // disposition notifications, of which there is no Text
	Composing     *composing.Document // a status message, which nobody reads
	Binary        bool                // Text is not all of what the body holds
	// CPIM is the message/cpim that it was in, nil when it was in none.
	CPIM *cpim.Message
}

// Content reads the body. What cannot be read as what it says it is is taken
// as text.
func (m *Message) Content() Content {
	c := Content{Subject: m.Subject}
	c.read(m.ContentType, m.Body)
	return c
}

func (c *Content) read(t header.ContentType, body []byte) {
	switch t.MediaType {
	case cpim.MediaType:
		if in, err := cpim.Parse(body); err == nil {
			c.unwrap(in)
			return
		}
	case imdn.MediaType:
		if d, err := imdn.Parse(body); err == nil {
			c.Notifications = append(c.Notifications, d)
			return
		}
	case composing.MediaType:
		if d, err := composing.Parse(body); err == nil {
			c.Composing = d
			return
		}
	}
	charset, _ := t.Params.Get("charset")
	c.Text, c.Binary = decode(body, charset)
}

// unwrap reads what is in a message/cpim. Of notifications those are read that
// their disposition tells to be some (RFC 5438 section 9).
func (c *Content) unwrap(in *cpim.Message) {
	c.CPIM = in
	for _, s := range in.Subjects() {
		c.Subject = s.Text
		break
	}
	for _, doc := range in.Notifications() {
		if d, err := imdn.Parse(doc); err == nil {
			c.Notifications = append(c.Notifications, d)
		}
	}
	if c.Notifications != nil {
		return
	}
	inner, err := header.ParseContentType(in.Content.Get("Content-Type"))
	if err != nil {
		inner = header.ContentType{MediaType: "text/plain"}
	}
	switch inner.MediaType {
	case cpim.MediaType, imdn.MediaType: // once is enough; and it is no notification
		inner.MediaType = "text/plain"
	}
	c.read(inner, in.Content.Body)
}

// decode makes UTF-8 of a text; lossy when there was something else in it.
func decode(body []byte, charset string) (text string, lossy bool) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
	default:
		if e, err := ianaindex.IANA.Encoding(charset); err == nil && e != nil {
			if out, err := e.NewDecoder().Bytes(body); err == nil {
				body = out
			}
		}
	}
	text = strings.ToValidUTF8(string(body), "\uFFFD")
	return text, text != string(body)
}

// BodyIsText tells whether the text is all of the body.
func (m *Message) BodyIsText() bool {
	switch m.ContentType.MediaType {
	case cpim.MediaType, imdn.MediaType, composing.MediaType:
		return false
	}
	return !m.Content().Binary
}

// Sent is the time of sending that the message tells, else the one when it
// came.
func (m *Message) Sent() time.Time {
	if m.Date.IsZero() {
		return m.Time
	}
	return m.Date
}
