package presence

import (
	"bytes"
	"slices"
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/sip/event"
)

// ruled is what a presentity has more when there are documents of his in XCAP.
type ruled struct {
	documents userDocuments
	book      *rulebook   // nil without rules documents
	timer     *time.Timer // for when the verdicts of the book may be others
	plain     document    // the composed document that shown is made of
	shown     []shown     // one for each entity and permissions
}

// shown is what the rules leave of a composed document.
type shown struct {
	entity, permitted string
	bytes             []byte
	of                event.Mark // the version of the presentity it was made of
	since             event.Mark // the first one that it looked so
}

// maxAge is how many versions of a presentity what is shown is kept without
// anybody asking for it.
const maxAge = 8

// book is what the rules documents say, nil without any.
func (p *presentity) book() *rulebook {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ruled == nil {
		return nil
	}
	return p.ruled.book
}

// change takes over a change of documents by f, which reports whether there was
// one. A presentity that is being loaded will be read again.
func (p *presentity) change(f func(*userDocuments) bool) (c consequence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.loaded {
		p.changes++
		return c
	}
	d := userDocuments{}
	if p.ruled != nil {
		d = p.ruled.documents
	}
	if !f(&d) {
		return c
	}
	version := p.version
	p.hold(d)
	return consequence{rules: true, state: p.version != version}
}

// hold takes over documents; p.mu is held.
func (p *presentity) hold(d userDocuments) {
	if p.ruled == nil && len(d.rules) == 0 && d.state == nil {
		return
	}
	if p.ruled == nil {
		p.ruled = &ruled{}
	}
	p.ruled.documents = d
	if d.state != nil { // the oldest of all, as it says what holds when nobody says anything else
		p.set(event.Publication{ID: hardState, Body: d.state.body, Published: time.Unix(0, 0)})
	} else {
		p.unset(hardState)
	}
	p.settle(time.Now())
}

// leastWait is the least time between two looks at the clock: the bounds of periods
// may be as near to each other as somebody writes them.
const leastWait = 100 * time.Millisecond

// settle makes the rulebook anew; p.mu is held.
func (p *presentity) settle(now time.Time) {
	r := p.ruled
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	var next time.Time
	r.book, next = newRulebook(r.documents.rules, p.pubs, now)
	if next.IsZero() {
		return
	}
	r.timer = time.AfterFunc(max(next.Sub(now), leastWait), func() {
		p.mu.Lock()
		watched := p.refs > 0
		if watched {
			p.settle(time.Now())
		}
		p.mu.Unlock()
		if watched {
			p.owner.lapsed(p, consequence{rules: true})
		}
	})
}

// moved tells whether what is published now changes what the rules say; p.mu is
// held.
func (p *presentity) moved() bool {
	if p.ruled == nil || p.ruled.book == nil || !p.ruled.book.spheres || !p.loaded {
		return false
	}
	before := p.ruled.book.sphere
	p.settle(time.Now())
	return p.ruled.book.sphere != before
}

// permitted is what permissions leave of the document for entity, and the version
// since which it is so: what is hidden changes neither it nor its timestamps.
func (p *presentity) permitted(entity string, by *permitted, now time.Time) ([]byte, event.Mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ruled == nil {
		p.ruled = &ruled{}
	}
	r := p.ruled
	at := slices.IndexFunc(r.shown, func(s shown) bool { return s.entity == entity && s.permitted == by.name })
	if at >= 0 && r.shown[at].of == p.version {
		return r.shown[at].bytes, r.shown[at].since
	}
	doc, err := permit(p.fresh(entity, now), by.rules, p.endings())
	if err != nil {
		doc = pidf.Neutral(entity)
	}
	s := shown{entity, by.name, doc, p.version, p.version}
	if at < 0 {
		r.forget(p.version)
		r.shown = append(r.shown, s)
		return doc, s.since
	}
	last := r.shown[at]
	if s.bytes = pidf.Advance(last.bytes, doc, now); bytes.Equal(s.bytes, last.bytes) {
		s.since = last.since
	}
	r.shown[at] = s
	return s.bytes, s.since
}

// forget drops what nobody has asked for in some versions, and, beyond so many
// bytes, what nobody gets by the rules of now: they may change as often as they
// like while the version stays.
func (r *ruled) forget(version event.Mark) {
	size := 0
	r.shown = slices.DeleteFunc(r.shown, func(s shown) bool {
		if s.of+maxAge < version {
			return true
		}
		size += len(s.bytes) + len(s.permitted)
		return false
	})
	if size > rememberedBytes {
		r.shown = slices.DeleteFunc(r.shown, func(s shown) bool { return !r.book.gives(s.permitted) })
	}
}

// gives tells whether somebody was judged to have the permissions.
func (b *rulebook) gives(permitted string) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.permitted[permitted] != nil
}

// endings are what the composition has put behind ids; p.mu is held.
func (p *presentity) endings() (list []string) {
	for _, s := range p.pubs {
		if s.qualified {
			in := pidf.Input{Key: s.id, Qualified: true}
			list = append(list, in.Suffix())
		}
	}
	return list
}
