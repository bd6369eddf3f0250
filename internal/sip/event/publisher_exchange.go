package event

import (
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// exchange sends one PUBLISH and takes over what is answered. It is called in
// turn.
func (p *Publisher) exchange(op Operation, d Doc) (Published, error) { return p.exchangeOf(op, d, d) }

// exchangeOf is exchange with a document that leads to the state d.
func (p *Publisher) exchangeOf(op Operation, sent, d Doc) (Published, error) {
	if err := p.turn.free(); err != nil {
		return Published{}, err
	}
	asked := p.asked
	if op == OpRemove {
		asked = 0
	}
	res, cause, err := p.send(p.request(op, sent, asked))
	if err != nil {
		p.unsure(d)
		return Published{}, err
	}
	if raised, ok := uac.Raised(res, asked); ok && op != OpRemove {
		p.asked, asked = raised, raised
		if res, cause, err = p.send(p.request(op, sent, asked)); err != nil {
			p.unsure(d)
			return Published{}, err
		}
	}
	if !res.IsSuccess() {
		return Published{}, p.refused(res, cause)
	}
	return p.accepted(res, op, d, asked)
}

// request renders a PUBLISH (RFC 3903 sections 4.2 to 4.5).
func (p *Publisher) request(op Operation, d Doc, asked time.Duration) *stack.Outgoing {
	fields := append([]byte(nil), p.fields...)
	if op != OpInitial {
		fields = uac.AppendField(fields, "SIP-If-Match", p.Tag())
	}
	fields = appendExpires(fields, asked)
	if op == OpRefresh || op == OpRemove {
		return p.chain.Request(fields, nil)
	}
	return p.chain.Request(uac.AppendField(fields, "Content-Type", d.Type), d.Body)
}

// send waits for the final response. No route set is made of what comes
// (RFC 3903 section 4).
func (p *Publisher) send(o *stack.Outgoing) (res *sip.Response, cause, err error) {
	return p.chain.Exchange(p.cfg.Wire, p.cfg.Authenticate, o)
}

// refused takes over a final response other than 2xx: a 412 discards the tag
// (RFC 3903 section 5), a 503 may say when to try again (section 9).
func (p *Publisher) refused(res *sip.Response, cause error) error {
	err := uac.Refusal(res, cause)
	switch res.StatusCode {
	case 412:
		p.set("", nil, time.Time{})
	case sip.StatusServiceUnavailable:
		if after, ok := err.RetryAfter(); ok && after > 0 {
			return p.turn.hold(after, err)
		}
	}
	return err
}

// accepted takes over a 2xx: every one brings a new tag and the true lifetime
// (RFC 3903 sections 4.2, 4.3 and 8.2).
func (p *Publisher) accepted(res *sip.Response, op Operation, d Doc, asked time.Duration) (Published, error) {
	if op == OpRemove {
		p.set("", &Doc{}, time.Time{})
		return Published{Operation: op}, nil
	}
	v, _, err := header.Single(res, "SIP-ETag")
	if err == nil && v == "" {
		err = fmt.Errorf("%d %s", res.StatusCode, res.Reason)
	}
	tag := ""
	if err == nil {
		tag, err = header.ParseETag(v)
	}
	if err != nil {
		p.set("", nil, time.Time{})
		return Published{}, fmt.Errorf("%w, so the publication cannot be refreshed, modified or removed: %w", ErrNoETag, err)
	}
	lasts := grantedExpires(res, asked, usualExpires)
	accepted := &d
	if op == OpRefresh {
		accepted = nil
	}
	wait := max(lasts-uac.RefreshLead(lasts, p.transaction), time.Second/2)
	p.set(tag, accepted, time.Now().Add(wait))
	return Published{Operation: op, Tag: tag, Expires: lasts}, nil
}

// unsure notes that d may have been published or not: if the tag turns out to
// be stale, d is what is to be published anew.
func (p *Publisher) unsure(d Doc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Body != nil {
		p.doc = d
	}
}

// set changes the state of the publication; doc is left as it is when nil.
func (p *Publisher) set(tag string, doc *Doc, refreshAt time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tag, p.refreshAt = tag, refreshAt
	if doc != nil {
		p.doc = *doc
	}
	p.tell()
}

// tell wakes Run; the publisher is locked.
func (p *Publisher) tell() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}
