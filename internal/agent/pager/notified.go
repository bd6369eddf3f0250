package pager

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
)

// ErrAnonymous is returned for a request by somebody who does not say who he is.
var ErrAnonymous = errors.New("who is anonymous asks for no notifications")

// Ask puts a message into a message/cpim that asks for disposition
// notifications, by the names that cpim has for them (RFC 5438 section 7.1.1).
// The id is one of cpim.NewMessageID; at is the time of sending.
func (m Outgoing) Ask(from header.Address, id string, at time.Time, notifications ...string) (Outgoing, error) {
	if Anonymous(from.URI) {
		return m, ErrAnonymous
	}
	w := cpim.Message{Content: cpim.Content{Header: []cpim.MIMEField{{Name: "Content-Type", Value: m.Type}}, Body: m.Body}}
	w.Header = append(w.Header, cpim.FromField(cpim.Address{Name: from.Display, URI: from.URI}), cpim.ToField(cpim.Address{URI: m.To}), cpim.DateTimeField(at))
	for _, f := range m.Fields {
		if strings.EqualFold(f.Name, "Subject") {
			w.Header = append(w.Header, cpim.SubjectField(cpim.Subject{Text: f.Value}))
		}
	}
	w.Header = append(w.Header, cpim.MessageIDField(id), cpim.RequestField(notifications...))
	if err := w.Check(); err != nil {
		return m, err
	}
	m.Type, m.Body = cpim.MediaType, w.Bytes()
	return m, nil
}

// Awaited are the disposition notifications that a sender waits for. They come
// in any order, more than once, late or never (RFC 5438 section 7.1.2). The
// zero value waits for none. Its methods are safe for concurrent use.
type Awaited struct {
	mu   sync.Mutex
	of   map[string]*awaited // by Message-ID
	left int
	over chan struct{} // closed while left is 0; nil: nobody has asked for it
}

// awaited are those of a message.
type awaited struct {
	wanted []imdn.Kind
	told   []imdn.Kind
	over   bool
}

// Await waits for notifications of these kinds about the message with an id.
func (a *Awaited) Await(id string, kinds ...imdn.Kind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = make(map[string]*awaited)
	}
	if len(a.of) >= maxNotified { // late copies of theirs are not known then
		maps.DeleteFunc(a.of, func(_ string, m *awaited) bool { return m.over })
	}
	if a.of[id] == nil {
		a.of[id] = &awaited{wanted: kinds}
		a.left++
	}
}

// Forget waits no longer for those about a message.
func (a *Awaited) Forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.of[id]; m != nil {
		a.finish(m)
		delete(a.of, id)
	}
}

func (a *Awaited) finish(m *awaited) {
	if m.over {
		return
	}
	m.over = true
	if a.left--; a.left == 0 && a.over != nil {
		close(a.over)
		a.over = nil
	}
}

// Knows tells whether a message with that id was waited for at any time.
func (a *Awaited) Knows(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[id] != nil
}

// Told takes a notification, and tells whether it is news: about a message that
// was waited for, and the first of its kind. What was displayed or failed, and
// what nobody is to know, is waited for no longer.
func (a *Awaited) Told(d *imdn.Document) (news bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of[d.MessageID]
	if m == nil || slices.Contains(m.told, d.Kind) || !slices.Contains(imdn.Kinds(), d.Kind) {
		return false
	}
	m.told = append(m.told, d.Kind)
	complete := !slices.ContainsFunc(m.wanted, func(k imdn.Kind) bool { return !slices.Contains(m.told, k) })
	if complete || d.Kind == imdn.Display || d.Kind == imdn.Delivery && d.Status != imdn.Delivered {
		a.finish(m)
	}
	return true
}

// Missing are the kinds that are still waited for about a message, nil when
// nothing is.
func (a *Awaited) Missing(id string) []imdn.Kind {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.of[id]
	if m == nil || m.over {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.wanted), func(k imdn.Kind) bool { return slices.Contains(m.told, k) })
}

// Done is closed when nothing is waited for.
func (a *Awaited) Done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over == nil {
		a.over = make(chan struct{})
		if a.left == 0 {
			done := a.over
			a.over = nil
			close(done)
			return done
		}
	}
	return a.over
}
