package rls

import (
	"context"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// maxDepth is how many lists may be in each other.
const maxDepth = 7

// root is the view of the list that is subscribed to.
func (v *view) root() *view {
	for v.parent != nil {
		v = v.parent.v
	}
	return v
}

// room is how many members the list may have.
func (v *view) room() int {
	v.mu.Lock()
	own := len(v.members)
	v.mu.Unlock()
	return v.s.cfg.MaxMembers - int(v.root().total.Load()) + own
}

// within tells whether a service is the list or one that it is in, or whether
// there are too many of these: it is not shown then (RFC 4662 section 7.4).
func (v *view) within(service string) bool {
	depth := 1
	for ; v.parent != nil; v = v.parent.v {
		if v.service == service {
			return true
		}
		depth++
	}
	return v.service == service && !v.brought || depth >= maxDepth
}

// nest makes the list of a member who is a list service himself, with documents
// and versions of its own (RFC 4662 section 4.6); false when he is none.
func (m *member) nest(ctx context.Context, u header.URI) bool {
	v := m.v
	if v.s.isUser(u) {
		return false
	}
	found, err := v.s.lookup(ctx, m.uri)
	switch {
	case err != nil:
		v.s.cfg.Log.Error("looking for a list service", "uri", m.uri, "error", err)
		return false
	case found == nil:
		return false
	case v.within(found.uri):
		v.set(m, refused(404))
		return true
	}
	inner := &view{s: v.s, pkg: v.pkg, id: v.id, watcher: v.watcher, service: found.uri, accept: v.accept, duration: v.life() - slack,
		fetch: v.fetch, parent: m}
	inner.updating.Lock()
	err = v.s.resolve(ctx, inner)
	inner.updating.Unlock()
	if err != nil {
		inner.Close("")
		v.set(m, refused(event.Status(err)))
		return true
	}
	if !m.take(nil, nil, inner) {
		inner.Close("")
	}
	inner.report()
	return true
}

// report tells the list around this one that it has changed.
func (v *view) report() {
	if v.parent != nil {
		v.parent.v.set(v.parent, state{known: true, is: rlmi.Active, typ: rlmi.BodyType, body: []byte(v.State(0))})
	}
}

// lose ends a list in a list which is none any more.
func (m *member) lose(inner *view, status int) {
	m.v.mu.Lock()
	if m.nested == inner {
		m.nested = nil
	}
	m.v.mu.Unlock()
	inner.Close("")
	if m.v.set(m, refused(status)) {
		m.v.s.notifier.Touch(m.v.id)
	}
}

// whole is the document of a list in a list, always all of it, with the state of
// its members.
func (v *view) whole() *rlmi.Body {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := &rlmi.Body{List: &rlmi.List{URI: v.service, Version: v.version, FullState: true, Names: v.title}}
	v.version++
	for _, m := range v.members {
		m.tell(b)
	}
	return b
}

// size is about how many bytes the state of a member takes.
func (m *member) size() int {
	if m.nested == nil {
		return len(m.state.body)
	}
	m.nested.mu.Lock()
	defer m.nested.mu.Unlock()
	n := 0
	for _, inner := range m.nested.members {
		n += 256 + inner.size()
	}
	return n
}
