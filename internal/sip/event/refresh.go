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
	s, current, refusal := n.find(r, ev, watcher)
	if refusal != nil {
		return refusal
	}
	duration, accept, refusal := readTerms(r, s.resource.pkg)
	if refusal != nil {
		return refusal
	}
	if duration == 0 {
		return n.refresh(s, r, nil, nil, Decision{}, 0)
	}
	view, decision, err := s.resource.pkg.Open(ctx, Request{Resource: s.resource.key.name, URI: r.Recipient.String(), Watcher: watcher,
		Event: ev, Accept: accept, ContentType: contentType(r), Body: body(r), Duration: duration, Current: current})
	if refusal := refused(n, view, err, decision); refusal != nil {
		if view != nil && view != current {
			view.Close("rejected")
		}
		if refusal.Status == sip.StatusForbidden || refusal.Status == sip.StatusGlobalDecline {
			n.Decide(s.tag(), Decision{State: Terminated, Reason: cmp.Or(decision.Reason, "rejected"), RetryAfter: decision.RetryAfter})
		}
		return refusal
	}
	return n.refresh(s, r, current, view, decision, duration)
}

// find gives the subscription a request within a dialog is for, and its view:
// by the tag we chose, with Call-ID and remote tag compared. Some clients send
// it to the address of record, so the Request-URI does not count.
func (n *Notifier) find(r *stack.Request, ev header.Event, watcher string) (*subscription, View, *stack.Response) {
	toTag, _ := r.To().Params.Get("tag")
	fromTag, _ := r.From().Params.Get("tag")
	sh := n.shardOfTag(toTag)
	if sh == nil {
		return nil, nil, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	sh.lock()
	defer sh.unlock()
	s := sh.subs[toTag]
	if s == nil || s.dialog.CallID != r.CallID().Value() || s.dialog.RemoteTag != fromTag || s.state == Terminated {
		return nil, nil, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	if n.packages[ev.Package] == nil {
		return nil, nil, badEvent(n.allowEvents())
	}
	if ev.Package != s.resource.key.pkg || ev.ID != s.id {
		return nil, nil, &stack.Response{Status: sip.StatusForbidden, Reason: "Dialog Sharing Not Supported"}
	}
	if watcher != s.watcher {
		return nil, nil, stack.Answer(sip.StatusForbidden)
	}
	return s, s.view, nil
}

// refresh takes over a judged SUBSCRIBE of a subscription and answers it. It
// was judged with the view current and gets view; both are nil when the view
// does not matter.
func (n *Notifier) refresh(s *subscription, r *stack.Request, current, view View, d Decision, duration time.Duration) *stack.Response {
	user := ""
	if uri, err := header.ParseURI(s.resource.key.name); err == nil {
		user = uri.User
	}
	contact := n.cfg.Contact(r, user)
	s.shard.lock()
	res := s.accept(r, current, view)
	if res == nil {
		s.fields = notifyFields(s.resource.key.pkg, s.id, contact)
		s.extend(view, d, duration)
		res = n.accepted(s, contact, duration)
	}
	s.shard.unlock()
	switch {
	case view == current:
	case res.Status == sip.StatusOK:
		s.resource.closeView(current, "")
	default:
		view.Close("")
	}
	return res
}

// accept judges whether r still fits the subscription; the response refuses it
// and nothing has changed then. The shard is locked, as for extend.
func (s *subscription) accept(r *stack.Request, current, view View) *stack.Response {
	if s.removed || s.state == Terminated {
		return stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	if view != nil && current != s.view { // another SUBSCRIBE of the dialog was judged meanwhile
		return stack.Answer(sip.StatusInternalServerError, stack.Field{Name: "Retry-After", Value: "1"})
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
func (s *subscription) extend(view View, d Decision, duration time.Duration) {
	s.unreached = false
	if duration == 0 {
		s.end("timeout", 0)
		return
	}
	if view != s.view {
		s.view, s.mark = view, 0
	}
	s.expires = time.Now().Add(duration)
	s.decide(d)
	s.shard.wakeAt(s, s.expires)
}
