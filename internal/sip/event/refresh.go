package event

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// within handles a SUBSCRIBE inside a dialog: refresh, fetch of the current
// state, or unsubscription (RFC 6665 section 4.2.1.4).
func (n *Notifier) within(ctx context.Context, r *stack.Request) *stack.Response {
	watcher, refusal := n.cfg.Identify(r)
	if refusal != nil {
		return refusal
	}
	ev, refusal := readEvent(r, n.allowEvents())
	if refusal != nil {
		return refusal
	}
	for range 3 {
		if res := n.refresh(ctx, r, ev, watcher); res != nil {
			return res
		}
	}
	return stack.Answer(sip.StatusInternalServerError, stack.Field{Name: "Retry-After", Value: "1"})
}

// refresh judges a SUBSCRIBE within a dialog and takes it over; nil when the
// subscription got another view meanwhile, by a review or another SUBSCRIBE.
func (n *Notifier) refresh(ctx context.Context, r *stack.Request, ev header.Event, watcher string) *stack.Response {
	s, current, state, refusal := n.find(r, ev, watcher)
	if refusal != nil {
		return refusal
	}
	duration, accept, refusal := readTerms(r, s.resource.key.pkg)
	if refusal != nil {
		return refusal
	}
	cond, refusal := readCondition(r, ev.ID)
	if refusal != nil {
		return refusal
	}
	if duration == 0 {
		return n.renew(s, r, renewal{condition: cond, met: cond.holds(s, current, false, state)})
	}
	reviews := s.shard.reviews.Load()
	view, decision, err := s.resource.key.pkg.Open(ctx, Request{Message: r, ID: s.tag(), Resource: s.resource.key.name, URI: r.URI(), Watcher: watcher,
		Event: ev, Accept: accept, ContentType: contentType(r), Disposition: disposition(r), Body: body(r), Duration: duration, Current: current})
	if refusal := refused(n, view, err, decision); refusal != nil {
		if view != nil && view != current {
			view.Close("rejected")
		}
		if refusal.Status == sip.StatusForbidden || refusal.Status == sip.StatusGlobalDecline {
			n.Decide(s.tag(), Decision{State: Terminated, Reason: cmp.Or(decision.Reason, "rejected"), RetryAfter: decision.RetryAfter})
		}
		return refusal
	}
	rates, any := ReadRates(ev.Params)
	res := n.renew(s, r, renewal{judged: current, view: view, decision: decision, duration: duration, rates: rates, paced: any,
		condition: cond, met: cond.holds(s, view, view != current, decision.State)})
	s.reviewSince(reviews)
	return res
}

// renewal is what a SUBSCRIBE within a dialog brings.
type renewal struct {
	judged, view View // it was judged with the one and gets the other; both nil when it ends the subscription
	decision     Decision
	duration     time.Duration // 0 ends the subscription
	rates        Rates
	paced        bool // rates were asked for
	condition    condition
	met          bool // it was true of what would be told
}

// find gives the subscription a request within a dialog is for, and its view:
// by the tag we chose, with Call-ID and remote tag compared. Some clients send
// it to the address of record, so the Request-URI does not count.
func (n *Notifier) find(r *stack.Request, ev header.Event, watcher string) (*subscription, View, State, *stack.Response) {
	toTag, fromTag := r.ToTag(), r.FromTag()
	sh := n.shardOfTag(toTag)
	if sh == nil {
		return nil, nil, 0, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	sh.lock()
	defer sh.unlock()
	s := sh.subs[toTag]
	if s == nil || s.local != nil || s.dialog.CallID() != r.CallID().Value() || s.dialog.RemoteTag() != fromTag || s.state == Terminated {
		return nil, nil, 0, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	if n.packages[ev.Package] == nil {
		return nil, nil, 0, badEvent(n.allowEvents())
	}
	if ev.Package != s.resource.key.pkg.name || ev.ID != s.id {
		return nil, nil, 0, &stack.Response{Status: sip.StatusForbidden, Reason: "Dialog Sharing Not Supported"}
	}
	if watcher != s.watcher {
		return nil, nil, 0, stack.Answer(sip.StatusForbidden)
	}
	return s, s.view, s.state, nil
}

// renew takes over a judged SUBSCRIBE of a subscription and answers it; nil when
// it was judged with another view than the subscription has by now.
func (n *Notifier) renew(s *subscription, r *stack.Request, w renewal) *stack.Response {
	user := ""
	if uri, err := header.ParseURI(s.resource.key.name); err == nil {
		user = uri.User
	}
	contact := n.cfg.Contact(r, user)
	s.shard.lock()
	if w.view != nil && w.judged != s.view && !s.removed && s.state != Terminated {
		s.shard.unlock()
		if w.view != w.judged {
			w.view.Close("")
		}
		return nil
	}
	res := s.accept(r)
	over := false
	if res == nil {
		s.fields = notifyFields(s.resource.key.pkg, s.id, contact)
		s.extend(w)
		reply := uint8(wantReply)
		if w.met {
			reply = 0
		}
		if over = w.met && w.duration == 0; over {
			s.shard.remove(s) // without a last NOTIFY
		}
		res = n.accepted(s, contact, w.duration, reply)
	}
	s.shard.unlock()
	switch {
	case over:
		s.resource.closeView(s.view, s.reason())
	case w.view == w.judged:
	case res.Status/100 == 2:
		s.resource.closeView(w.judged, "")
	default:
		w.view.Close("")
	}
	return res
}

// accept judges whether r still fits the subscription; the response refuses it
// and nothing has changed then. The shard is locked, as for extend.
func (s *subscription) accept(r *stack.Request) *stack.Response {
	if s.removed || s.state == Terminated {
		return stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	switch err := s.dialog.Accept(r); {
	case errors.Is(err, dialog.ErrOutOfOrder):
		return stack.Answer(sip.StatusInternalServerError)
	case err != nil:
		return badRequest(err)
	}
	return nil
}

// extend gives the subscription a new duration and what goes with it; none
// ends it.
func (s *subscription) extend(w renewal) {
	s.unreached = false
	if w.duration == 0 {
		s.fetch = w.condition.given && s.state == Active // the state is not what the watcher has
		s.setCondition(condition{})
		s.end("timeout", 0)
		return
	}
	if w.view != s.view {
		s.view, s.mark = w.view, 0
	}
	s.setCondition(w.condition)
	s.expires = s.shard.n.now().add(w.duration)
	s.decide(w.decision)
	s.setRates(w.rates, w.paced)
	s.wakeBy(s.expires)
}

// setCondition takes over the condition of the most recent SUBSCRIBE.
func (s *subscription) setCondition(c condition) {
	s.quenched = c.always
	if s.conditional = c.given && c.tag != (entityTag{}); s.conditional {
		s.etag = c.tag
	}
}
