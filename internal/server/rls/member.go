package rls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"time"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// member is a resource in the list of a watcher: a virtual subscription (RFC
// 4662 section 3). The view guards all of it but what uri, names and v are.
type member struct {
	v       *view
	uri     string
	names   []rlmi.Name
	serial  int
	changed event.Mark // of the view
	gone    bool       // not in the list any more
	state   state
	sum     [32]byte // hash of all of it
	local   *event.Local
	foreign *foreign
	nested  *view // of a member that is a list
}

// state is what is known of a member. The zero state is that nothing is.
type state struct {
	known  bool
	is     rlmi.State
	reason string
	typ    string
	body   []byte
}

func (s state) same(t state) bool {
	return s.known == t.known && s.is == t.is && s.reason == t.reason && s.typ == t.typ && bytes.Equal(s.body, t.body)
}

// stateOf is what a notice, or a NOTIFY, tells of a member. An active one
// without a document tells nothing that could be shown: RFC 4662 section 5.5
// wants one.
func stateOf(is event.State, reason, typ string, body []byte) state {
	switch {
	case is == event.Terminated:
		if reason == "" {
			reason = "giveup"
		}
		return state{known: true, is: rlmi.Terminated, reason: reason}
	case is == event.Pending:
		return state{known: true, is: rlmi.Pending}
	case typ == "" || len(body) == 0:
		return state{}
	}
	return state{known: true, is: rlmi.Active, typ: typ, body: body}
}

// refused is the state of a member whose subscription was refused (RFC 6665
// section 4.1.3).
func refused(status int) state {
	reason := "giveup"
	switch status {
	case 401, 403, 406, 407, 433, 489, 603:
		reason = "rejected"
	case 400, 404, 410, 414, 416, 484, 604:
		reason = "noresource"
	}
	return state{known: true, is: rlmi.Terminated, reason: reason}
}

// hash makes the hash of what a watcher is shown.
func (m *member) hash() {
	h := sha256.New()
	for _, s := range []string{m.uri, m.state.is.String(), m.state.reason, m.state.typ} {
		h.Write(append([]byte(s), 0))
	}
	if m.state.known {
		h.Write([]byte{1})
	}
	for _, n := range m.names {
		h.Write(append([]byte(n.Text+"\x00"+n.Lang), 0))
	}
	h.Write(m.state.body)
	h.Sum(m.sum[:0])
}

// tell puts a member into a document (RFC 4662 sections 5.3 and 5.5). There is
// one instance at most: what is served here does not fork.
func (m *member) tell(b *rlmi.Body) {
	r := rlmi.Resource{URI: m.uri, Names: m.names}
	if s := m.state; s.known {
		in := rlmi.Instance{ID: "1", State: s.is, Reason: s.reason}
		if s.is == rlmi.Active {
			in.CID = m.contentID()
			p := rlmi.Part{ID: in.CID, Type: s.typ, Content: s.body}
			if m.nested != nil {
				p = rlmi.Part{ID: in.CID, Nested: m.nested.whole()}
			}
			b.Parts = append(b.Parts, p)
		}
		r.Instances = []rlmi.Instance{in}
	}
	b.List.Resources = append(b.List.Resources, r)
}

// start watches a member: in this process where it is one of ours, else by SIP.
func (m *member) start(ctx context.Context, budget *int) {
	u, err := header.ParseURI(m.uri)
	switch {
	case err != nil || u.Scheme != "sip" && u.Scheme != "sips" && u.Scheme != "pres":
		m.v.set(m, refused(404))
	case !m.v.s.home(u):
		m.startForeign(budget)
	case m.nest(ctx, u):
	default:
		m.startLocal(ctx)
	}
}

// startLocal watches in the name of the watcher, so that his rights count (RFC
// 4662 section 7.1.1).
func (m *member) startLocal(ctx context.Context) {
	v := m.v
	l, err := v.s.notifier.Local(ctx, event.LocalRequest{Package: v.pkg, URI: m.uri, Watcher: v.watcher, Accept: v.accept,
		Duration: v.life()}, m.told)
	if err != nil {
		m.v.set(m, refused(event.Status(err)))
		return
	}
	if !m.take(l, nil, nil) {
		l.Close()
	}
}

// life is how long a member is to be watched.
func (v *view) life() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.duration + slack
}

// take keeps the subscription of a member, unless that has left the list.
func (m *member) take(l *event.Local, f *foreign, n *view) bool {
	m.v.mu.Lock()
	defer m.v.mu.Unlock()
	if m.gone || m.v.closed {
		return false
	}
	m.local, m.foreign, m.nested = l, f, n
	return true
}

// told takes over what the notifier tells of a member of ours.
func (m *member) told(n event.Notice) {
	if m.v.set(m, stateOf(n.State, n.Reason, n.Body.Type, n.Body.Bytes)) {
		m.v.s.notifier.Touch(m.v.id)
	}
}

// extend prolongs the subscription to a member, or makes one anew where that
// has ended.
func (m *member) extend(ctx context.Context, d time.Duration, budget *int) {
	m.v.mu.Lock()
	ended := m.state.known && m.state.is == rlmi.Terminated
	l, f, n := m.local, m.foreign, m.nested
	m.v.mu.Unlock()
	switch {
	case n != nil:
		n.refresh(ctx, d)
	case f != nil && !f.over():
	case ended:
		m.start(ctx, budget)
	case l != nil:
		l.Extend(d + slack)
	}
}

// close ends the subscription to a member.
func (m *member) close() {
	m.v.mu.Lock()
	l, f, n := m.local, m.foreign, m.nested
	m.local, m.foreign, m.nested = nil, nil, nil
	m.v.mu.Unlock()
	if n != nil {
		n.Close("")
	}
	if l != nil {
		l.Close()
	}
	if f != nil {
		f.close()
	}
}
