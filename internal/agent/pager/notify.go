package pager

import (
	"strings"
	"sync"

	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// maxNotified bounds the notifications that a recipient remembers to have made.
const maxNotified = 4096

// Recipient makes the disposition notifications that senders of messages ask
// for (RFC 5438 section 7.2): each once, and none that nobody asked for. The
// zero value is ready. Its methods are safe for concurrent use.
type Recipient struct {
	mu    sync.Mutex
	made  map[string]bool
	order []string // keys of made, the oldest first
}

// requests are what senders call the dispositions that a recipient tells.
var requests = map[imdn.Status]string{
	imdn.Delivered: cpim.PositiveDelivery,
	imdn.Failed:    cpim.NegativeDelivery,
	imdn.Displayed: cpim.Display,
}

// Wants tells whether the sender of a message asks to be told of a disposition:
// one that is delivered, failed or displayed. Nobody is told of notifications
// and status messages, nor is one who does not say who he is.
func Wants(m *Message, s imdn.Status) bool {
	c := m.Content()
	request := requests[s]
	return request != "" && c.CPIM != nil && c.Composing == nil && c.CPIM.Wants(request) && c.CPIM.From().URI != "" &&
		!Anonymous(m.From.URI) && !Anonymous(c.CPIM.From().URI)
}

// Anonymous tells whether a URI is that of somebody who does not say who he is
// (RFC 3323 section 4.1.1.3).
func Anonymous(uri string) bool {
	u, err := header.ParseURI(uri)
	return err == nil && (strings.EqualFold(u.User, "anonymous") || strings.HasSuffix(strings.ToLower(u.Host), ".invalid"))
}

// Notification makes the message that tells the sender of m a disposition. ok
// is false when he does not want to know, or was told of the delivery or the
// display before (RFC 5438 section 7.2.1).
func (r *Recipient) Notification(m *Message, s imdn.Status) (out Outgoing, ok bool) {
	if !Wants(m, s) {
		return Outgoing{}, false
	}
	in := m.Content().CPIM
	id, err := cpim.NewMessageID(nil)
	if err != nil || !r.first(strings.Join([]string{string(imdn.KindOf(s)), in.MessageID(), m.From.URI}, " ")) {
		return Outgoing{}, false
	}
	view := in.View()
	d := imdn.Document{MessageID: view.MessageID, DateTime: view.DateTime, Kind: imdn.KindOf(s), Status: s}
	if len(view.To) > 0 {
		d.Recipient = view.To[0].URI
	}
	if view.OriginalTo != nil {
		d.OriginalRecipient = view.OriginalTo.URI
	}
	if len(view.Subjects) > 0 {
		d.Subject = view.Subjects[0].Text
	}
	out = Outgoing{To: m.From.URI, Type: cpim.MediaType, Body: in.Notify(d.Bytes(), id).Bytes(), Fields: []stack.Field{{Name: "Priority", Value: "non-urgent"}}}
	if route := in.RecordRoute(); len(route) > 0 {
		out.To = route[0].URI
	}
	return out, true
}

// first tells whether a notification was not made yet, and remembers it.
func (r *Recipient) first(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made[key] {
		return false
	}
	if r.made == nil {
		r.made = make(map[string]bool)
	}
	if len(r.order) == maxNotified {
		delete(r.made, r.order[0])
		r.order = r.order[1:]
	}
	r.made[key] = true
	r.order = append(r.order, key)
	return true
}
