package event

import (
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
	ev, refusal := readEvent(r, n.allowEvents())
	if refusal != nil {
		return refusal
	}
	watcher, refusal := n.cfg.Identify(r)
	if refusal != nil {
		return refusal
	}
	s, refusal := n.find(r, ev, watcher)
	if refusal != nil {
		return refusal
	}
	pkg := s.resource.pkg
	asked, given, err := readExpires(r)
	if err != nil {
		return badRequest(err)
	}
	duration, refusal := grant(pkg.Defaults(), asked, given)
	if refusal != nil {
		return refusal
	}
	accept, refusal := readAccept(r, pkg.Types())
	if refusal != nil {
		return refusal
	}
	s.shard.lock()
	current := s.view
	s.shard.unlock()
	if duration == 0 {
		return n.refresh(s, r, current, Decision{}, 0)
	}
	view, decision, err := pkg.Open(ctx, Request{Resource: s.resource.key.name, URI: r.Recipient.String(), Watcher: watcher,
		Event: ev, Accept: accept, ContentType: contentType(r), Body: body(r), Duration: duration, Current: current})
	if refusal := refused(n, err, decision); refusal != nil {
		if view != nil && view != current {
			view.Close("rejected")
		}
		if refusal.Status == sip.StatusForbidden {
			n.Decide(s.tag, Decision{State: Terminated, Reason: "rejected"})
		}
		return refusal
	}
	return n.refresh(s, r, view, decision, duration)
}

// find gives the subscription a request within a dialog is for: by the tag we
// chose, with Call-ID and remote tag compared. Some clients send it to the
// address of record, so the Request-URI does not count.
func (n *Notifier) find(r *stack.Request, ev header.Event, watcher string) (*subscription, *stack.Response) {
	toTag, _ := r.To().Params.Get("tag")
	fromTag, _ := r.From().Params.Get("tag")
	sh := n.shardOfTag(toTag)
	if sh == nil {
		return nil, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	sh.lock()
	defer sh.unlock()
	s := sh.subs[toTag]
	if s == nil || s.dialog.CallID != r.CallID().Value() || s.dialog.RemoteTag != fromTag || s.state == Terminated {
		return nil, stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	if ev.Package != s.resource.key.pkg || ev.HasID != s.hasID || ev.ID != s.id {
		return nil, &stack.Response{Status: sip.StatusForbidden, Reason: "Dialog Sharing Not Supported"}
	}
	if watcher != s.watcher {
		return nil, stack.Answer(sip.StatusForbidden)
	}
	return s, nil
}

// refresh takes over a judged SUBSCRIBE of a live subscription and answers it.
func (n *Notifier) refresh(s *subscription, r *stack.Request, view View, d Decision, duration time.Duration) *stack.Response {
	sh := s.shard
	sh.lock()
	defer sh.unlock()
	stale := func(res *stack.Response) *stack.Response {
		if view != s.view {
			view.Close("")
		}
		return res
	}
	if sh.subs[s.tag] != s || s.state == Terminated {
		return stale(stack.Answer(sip.StatusCallTransactionDoesNotExists))
	}
	switch err := s.dialog.Accept(r); {
	case errors.Is(err, dialog.ErrOutOfOrder):
		return stale(stack.Answer(sip.StatusInternalServerError))
	case err != nil:
		return stale(badRequest(err))
	}
	user := ""
	if uri, err := header.ParseURI(s.resource.key.name); err == nil {
		user = uri.User
	}
	contact := n.cfg.Contact(r, user)
	s.fields = notifyFields(header.Event{Package: s.resource.key.pkg, ID: s.id, HasID: s.hasID}, contact)
	if view != s.view {
		s.view.Close("")
		s.view, s.mark = view, 0
	}
	if duration == 0 {
		s.end("timeout", 0, "timeout")
	} else {
		s.expires = time.Now().Add(duration)
		s.decide(d, "")
		sh.wakeAt(s, s.expires)
	}
	return n.accepted(s, contact, duration)
}
