package presence

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/sip/event"
	"imp/internal/store"
)

// presentity is the presence state of one user as watchers share it. It is in
// memory only while somebody watches.
type presentity struct {
	name  string
	owner *presentities

	mu        sync.Mutex
	refs      int // views open
	loaded    bool
	gone      map[string]bool // publications that went while loading
	pubs      []source
	version   event.Mark  // counts changes of state, from 1
	documents []document  // one for each entity that was asked for, where it is kept
	timer     *time.Timer // for what ends or begins by itself
	changes   int         // of documents of XCAP, while loading
	ruled     *ruled      // nil: there are no such documents
	told      *history    // nil: nobody is told changes
}

// source is of a publication what the composition takes. There are many.
type source struct {
	id        string
	body      []byte
	published int64 // Unix time in nanoseconds
	qualified bool  // its ids are written qualified, see pidf.Input
}

// document is the composed document for one entity and the version it shows.
// One in which nothing has a timestamp is not kept: it is the same when it is
// composed again, and what comes next does not depend on it.
type document struct {
	entity  string
	bytes   []byte
	version event.Mark
}

// presentities holds the watched presentities, by their form in store keys.
type presentities struct {
	lapsed func(*presentity, consequence) // told what changes by time alone
	mu     sync.Mutex
	byKey  map[string]*presentity
}

// loaded is what was read of a presentity.
type loaded struct {
	pubs      []event.Publication
	documents userDocuments
}

// open gives the presentity with a reference held; load reads what there is of
// it when nobody has watched it so far.
func (ps *presentities) open(ctx context.Context, name string, load func(context.Context, string) (loaded, error)) (*presentity, error) {
	key := store.Key(name)
	ps.mu.Lock()
	p := ps.byKey[key]
	if p == nil {
		p = &presentity{name: name, owner: ps, version: 1}
		ps.byKey[key] = p
	}
	p.mu.Lock()
	ps.mu.Unlock()
	p.refs++
	known, changes := p.loaded, p.changes
	p.mu.Unlock()
	for !known {
		// Changes of publications that the watch delivers meanwhile win over what
		// is read here; documents are read again then.
		read, err := load(ctx, name)
		if err != nil {
			ps.release(p)
			return nil, err
		}
		known, changes = p.take(read, changes)
	}
	return p, nil
}

// take takes over what was read when so many changes of documents had been
// delivered. It is not done when there are more by now; another watcher may have
// been faster, and the watch has gone on since.
func (p *presentity) take(read loaded, changes int) (done bool, now int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded || p.changes != changes {
		return p.loaded, p.changes
	}
	for _, pub := range read.pubs {
		if p.source(pub.ID) == nil && !p.gone[pub.ID] {
			p.set(pub)
		}
	}
	p.loaded, p.gone = true, nil
	p.hold(read.documents)
	return true, changes
}

// retain holds one more reference for somebody who has one.
func (p *presentity) retain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refs++
}

// release gives a reference back.
func (ps *presentities) release(p *presentity) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refs--; p.refs == 0 {
		if key := store.Key(p.name); ps.byKey[key] == p {
			delete(ps.byKey, key)
		}
		if p.timer != nil {
			p.timer.Stop()
		}
		if p.ruled != nil && p.ruled.timer != nil {
			p.ruled.timer.Stop()
		}
	}
}

// find gives a presentity that is in memory, nil for another.
func (ps *presentities) find(key string) *presentity {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.byKey[key]
}

// watched lists the presentities in memory.
func (ps *presentities) watched() []*presentity {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	list := make([]*presentity, 0, len(ps.byKey))
	for _, p := range ps.byKey {
		list = append(list, p)
	}
	return list
}

// consequence is what a change means for the watchers.
type consequence struct {
	rules bool // they are to be judged again
	state bool // there is something to tell
}

// apply takes over a change. It has no consequence when nobody watches, or
// nothing that a watcher could see changed, as with a refresh.
func (ps *presentities) apply(c event.Change) (*presentity, consequence) {
	p := ps.find(c.Resource)
	if p == nil {
		return nil, consequence{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	if c.Publication != nil {
		changed = p.set(*c.Publication)
	} else {
		changed = p.unset(c.ID)
	}
	return p, consequence{rules: changed && p.moved(), state: changed}
}

// replace puts the publications pubs in place of all there were.
func (p *presentity) replace(pubs []event.Publication) consequence {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	live := map[string]bool{hardState: true} // which is no publication
	for _, pub := range pubs {
		live[pub.ID] = true
		changed = p.set(pub) || changed
	}
	for i := len(p.pubs) - 1; i >= 0; i-- {
		if id := p.pubs[i].id; !live[id] {
			changed = p.unset(id) || changed
		}
	}
	p.gone = nil
	return consequence{rules: changed && p.moved(), state: changed}
}

// source finds a publication, nil when it is not there; p.mu is held.
func (p *presentity) source(id string) *source {
	for i := range p.pubs {
		if p.pubs[i].id == id {
			return &p.pubs[i]
		}
	}
	return nil
}

// set adds or replaces a publication; p.mu is held.
func (p *presentity) set(pub event.Publication) bool {
	published := pub.Published.UnixNano()
	old := p.source(pub.ID)
	if old == nil {
		p.pubs = append(p.pubs, source{id: pub.ID, body: pub.Body, published: published})
		p.version++
		return true
	}
	same := bytes.Equal(old.body, pub.Body) && old.published == published
	old.body, old.published = pub.Body, published
	if !same {
		p.version++
	}
	return !same
}

// unset removes a publication; p.mu is held.
func (p *presentity) unset(id string) bool {
	if !p.loaded {
		if p.gone == nil {
			p.gone = map[string]bool{}
		}
		p.gone[id] = true
	}
	at := slices.IndexFunc(p.pubs, func(s source) bool { return s.id == id })
	if at < 0 {
		return false
	}
	p.pubs = slices.Delete(p.pubs, at, at+1)
	p.version++
	return true
}

// document is the composed document for entity and its version.
func (p *presentity) document(entity string, now time.Time) ([]byte, event.Mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last []byte
	at := slices.IndexFunc(p.documents, func(d document) bool { return d.entity == entity })
	if at >= 0 {
		if last = p.documents[at].bytes; p.documents[at].version == p.version {
			return last, p.version
		}
	}
	doc := pidf.Advance(last, p.fresh(entity, now), now)
	p.keep(at, document{entity, doc, p.version})
	return doc, p.version
}

// keep keeps a document in its place, -1 = it has none yet, where that is needed.
func (p *presentity) keep(at int, d document) {
	needed := bytes.Contains(d.bytes, []byte("timestamp"))
	if needed {
		d.bytes = bytes.Clone(d.bytes) // without the room that is left there
	}
	switch {
	case needed && at < 0:
		p.documents = append(p.documents, d)
	case needed:
		p.documents[at] = d
	case at >= 0:
		p.documents = slices.Delete(p.documents, at, at+1)
	}
}

// fresh is what all publications together say now. It is kept where several
// documents are made of it.
func (p *presentity) fresh(entity string, now time.Time) []byte {
	if p.ruled != nil && p.ruled.plain.version == p.version && p.ruled.plain.entity == entity {
		return p.ruled.plain.bytes
	}
	doc, next := p.compose(entity, now)
	p.wakeAt(next, now)
	if p.ruled != nil {
		p.ruled.plain = document{entity, doc, p.version}
	}
	return doc
}

// compose merges the publications, the oldest first. Without any it is what a
// watcher who may see nothing gets too (RFC 3856 section 6.6.2).
func (p *presentity) compose(entity string, now time.Time) (doc []byte, next time.Time) {
	if len(p.pubs) == 0 {
		return pidf.Neutral(entity), time.Time{}
	}
	slices.SortFunc(p.pubs, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.published, b.published), cmp.Compare(a.id, b.id))
	})
	inputs := make([]pidf.Input, len(p.pubs))
	for i, s := range p.pubs {
		inputs[i] = pidf.Input{Key: s.id, Doc: s.body, Published: time.Unix(0, s.published), Qualified: s.qualified}
	}
	doc, next = pidf.Compose(entity, inputs, now, pidf.Policy{})
	for i := range inputs {
		p.pubs[i].qualified = inputs[i].Qualified
	}
	return doc, next
}

// wakeAt has watchers told at next, when the same publications make another
// document (RFC 4480 section 3.1, RFC 4481 section 3).
func (p *presentity) wakeAt(next, now time.Time) {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if next.IsZero() {
		return
	}
	p.timer = time.AfterFunc(next.Sub(now), func() {
		p.mu.Lock()
		p.version++
		watched := p.refs > 0
		p.mu.Unlock()
		if watched {
			p.owner.lapsed(p, consequence{state: true})
		}
	})
}
