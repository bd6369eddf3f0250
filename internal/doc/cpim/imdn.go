package cpim

import (
	"crypto/rand"
	"encoding/base32"
	"io"
	"slices"
	"strings"
)

// The header fields of RFC 5438 section 6.
var (
	messageID   = Name{IMDNSpace, "Message-ID"}
	disposition = Name{IMDNSpace, "Disposition-Notification"}
	originalTo  = Name{IMDNSpace, "Original-To"}
	recordRoute = Name{IMDNSpace, "IMDN-Record-Route"}
	route       = Name{IMDNSpace, "IMDN-Route"}
)

// The notifications that a sender can request (RFC 5438 section 7.1.1.3).
const (
	PositiveDelivery = "positive-delivery"
	NegativeDelivery = "negative-delivery"
	Processing       = "processing"
	Display          = "display"
)

// NotificationType is the type of the documents that tell dispositions (RFC 5438 section 11), and NotificationDisposition their Content-Disposition.
const (
	NotificationType        = "message/imdn+xml"
	NotificationDisposition = "notification"
)

// Request asks for a notification (RFC 5438 section 6.2).
type Request struct {
	Name   string // one of the above, or that of an extension
	Params []Param
}

// MessageID is the Message-ID, "" when there is none or one that is no token (RFC 5438 section 6.3). It has nothing to do with that of MSRP.
func (m *Message) MessageID() string {
	if f := m.Get(messageID); f != nil && isToken(f.Value) {
		return f.Value
	}
	return ""
}

// Requests are the notifications that are asked for (RFC 5438 section 7.1.1.3). What is no request is left out, as are all of a message that is itself a
// notification (RFC 5438 section 7.2.1).
func (m *Message) Requests() (list []Request) {
	f := m.Get(disposition)
	if f == nil || m.IsNotification() {
		return nil
	}
	for rest := f.Value; rest != ""; {
		var item string
		item, rest = cutItem(rest)
		name, params := cutName(item)
		r := Request{Name: name}
		for strings.HasPrefix(params, ";") {
			n, p, why := parseParam(strings.TrimLeft(params[1:], " "))
			if why != "" {
				break
			}
			params = strings.TrimLeft(strings.TrimLeft(params[1:], " ")[n:], " ")
			r.Params = append(r.Params, p)
		}
		if isToken(r.Name) && len(list) < maxFields {
			list = append(list, r)
		}
	}
	return list
}

// cutItem cuts a list behind its first comma that is not in a string.
func cutItem(s string) (item, rest string) {
	inString := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && inString:
			i++
		case s[i] == '"':
			inString = !inString
		case s[i] == ',' && !inString:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func cutName(item string) (name, params string) {
	if i := strings.IndexByte(item, ';'); i >= 0 {
		return strings.Trim(item[:i], " "), item[i:]
	}
	return strings.Trim(item, " "), ""
}

// Wants reports whether a notification is asked for, and a recipient is able to answer: without Message-ID none is sent (RFC 5438 section 7.2.1).
func (m *Message) Wants(notification string) bool {
	return m.MessageID() != "" && slices.ContainsFunc(m.Requests(), func(r Request) bool { return r.Name == notification })
}

// OriginalTo is the recipient before an intermediary changed To, the zero Address when none did (RFC 5438 section 6.4).
func (m *Message) OriginalTo() Address { return m.address(originalTo) }

// RecordRoute are the intermediaries that want to see the notifications, the last one first (RFC 5438 section 6.5).
func (m *Message) RecordRoute() []Address { return m.addresses(recordRoute) }

// Route are the intermediaries that a notification still has to pass (RFC 5438 section 6.6).
func (m *Message) Route() []Address { return m.addresses(route) }

// IsNotification reports whether the content is a disposition notification or several, and not content for people (RFC 5438 section 9): a document of
// that type, or a multipart/mixed of them, with the disposition notification.
func (m *Message) IsNotification() bool { return m.Notifications() != nil }

// Notifications are the documents that the message notifies with, nil when it is no notification (RFC 5438 section 8.3). A multipart that has other parts
// too is none (RFC 5438 section 9).
func (m *Message) Notifications() (docs [][]byte) {
	c := &m.Content
	if c.Disposition() != NotificationDisposition {
		return nil
	}
	switch c.Type() {
	case NotificationType:
		return [][]byte{c.Body}
	case "multipart/mixed":
		parts, err := c.Parts()
		if err != nil {
			return nil
		}
		for i := range parts {
			if parts[i].Type() != NotificationType {
				return nil
			}
			docs = append(docs, parts[i].Body)
		}
	}
	return docs
}

// Notify makes the message that carries a document which tells a disposition of m: it goes to the sender of m by the way that intermediaries have asked
// for, and requests nothing (RFC 5438 section 7.2.1). The id is one of NewMessageID. It returns nil when m is a notification, has no Message-ID, or does not
// tell its sender.
func (m *Message) Notify(doc []byte, id string) *Message {
	if m.IsNotification() || m.MessageID() == "" || m.From().URI == "" {
		return nil
	}
	n := &Message{Content: Content{
		Header: []MIMEField{{"Content-Type", NotificationType}, {"Content-Disposition", NotificationDisposition}},
		Body:   doc,
	}}
	if to := m.To(); len(to) > 0 {
		n.Header = append(n.Header, FromField(to[0]))
	}
	n.Header = append(n.Header, ToField(m.From()), MessageIDField(id))
	for _, a := range m.RecordRoute() {
		n.Header = append(n.Header, RouteField(a))
	}
	return n
}

// NewMessageID makes a Message-ID of 125 random bits (RFC 5438 section 6.3) out of r, nil standing for that of the system.
func NewMessageID(r io.Reader) (string, error) {
	if r == nil {
		r = rand.Reader
	}
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", err
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))[:25], nil
}

// MessageIDField makes the header field of a Message-ID.
func MessageIDField(id string) Field { return Field{Name: messageID, Prefix: "imdn", Value: id} }

// RequestField makes the header field that asks for notifications.
func RequestField(names ...string) Field {
	return Field{Name: disposition, Prefix: "imdn", Value: strings.Join(names, ", ")}
}

// OriginalToField makes the header field of the recipient before To was changed.
func OriginalToField(a Address) Field {
	return Field{Name: originalTo, Prefix: "imdn", Value: a.String()}
}

// RecordRouteField makes the header field of an intermediary that wants to see the notifications; it goes before those that are there.
func RecordRouteField(a Address) Field {
	return Field{Name: recordRoute, Prefix: "imdn", Value: a.String()}
}

// RouteField makes the header field of an intermediary that a notification has to pass.
func RouteField(a Address) Field { return Field{Name: route, Prefix: "imdn", Value: a.String()} }
