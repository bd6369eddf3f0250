package event

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
)

// LocalRequest says what is watched by somebody in this process.
type LocalRequest struct {
	Package  string
	URI      string        // of the resource, as it is known to the watcher
	Watcher  string        // canonical identity
	Accept   header.Accept // empty: the package's default type
	Duration time.Duration // needed
}

// Notice is what a NOTIFY would tell.
type Notice struct {
	State  State
	Reason string // of State Terminated
	// Body is without Type when there is nothing to tell of the resource, or the
	// watcher may not know.
	Body Body
}

// Local is a subscription whose watcher is in this process, such as that of a
// resource list server (a virtual subscription of RFC 4662). It is judged,
// counted and observed as any other; its NOTIFYs are calls and are not paced.
type Local struct {
	s    *subscription
	tell func(Notice)
	done bool // under the lock of the shard
}

// Local makes a subscription for a watcher in this process, who is told the full
// state each time. The first call of
// tell comes before Local returns, others one at a time from the senders of the
// notifier, whom it must not keep; the last has State Terminated. A *Refusal as
// error is what SUBSCRIBE would be answered with.
func (n *Notifier) Local(ctx context.Context, q LocalRequest, tell func(Notice)) (*Local, error) {
	uri, err := header.ParseURI(q.URI)
	if err != nil {
		return nil, &Refusal{Status: sip.StatusBadRequest}
	}
	name, ok := n.cfg.Resources.Resource(uri)
	if !ok {
		return nil, &Refusal{Status: sip.StatusNotFound}
	}
	pkg := n.packages[q.Package]
	switch {
	case pkg == nil:
		return nil, &Refusal{Status: 489}
	case n.draining.Load(), int(n.live.Load()) >= n.cfg.MaxSubscriptions:
		return nil, &Refusal{Status: sip.StatusServiceUnavailable}
	}
	if _, ok := q.Accept.Choose(pkg.Types()); len(q.Accept) > 0 && !ok {
		return nil, &Refusal{Status: sip.StatusNotAcceptable}
	}
	sh := n.shard(name)
	tag := sh.newTag()
	reviews := sh.reviews.Load()
	view, decision, err := pkg.Open(ctx, Request{ID: tag, Resource: name, URI: q.URI, Watcher: q.Watcher,
		Event: header.Event{Package: q.Package}, Accept: q.Accept, Duration: q.Duration})
	if refusal := refused(n, view, err, decision); refusal != nil {
		if view != nil {
			view.Close("rejected")
		}
		return nil, &Refusal{Status: refusal.Status, Phrase: refusal.Reason, Fields: refusal.Fields}
	}
	now := n.now()
	s := &subscription{shard: sh, dialog: dialog.Internal(tag), watcher: q.Watcher, view: view, state: decision.State, begun: now,
		expires: now.add(q.Duration), dueAt: -1}
	s.seldom = &seldom{local: &Local{s: s, tell: tell}}
	sh.lock()
	if !sh.add(s, pkg, name) {
		sh.unlock()
		view.Close("giveup")
		return nil, &Refusal{Status: sip.StatusServiceUnavailable}
	}
	s.tell("subscribe", s.state)
	sh.wakeAt(s, s.expires)
	s.want, s.queued = wantReply, true // not by a sender
	sh.unlock()
	s.reviewSince(reviews)
	if _, notice := s.next(); notice.local != nil {
		s.deliver(notice)
	}
	return s.local, nil
}

// Extend gives the subscription another duration from now.
func (l *Local) Extend(d time.Duration) {
	s := l.s
	s.shard.lock()
	defer s.shard.unlock()
	if !s.removed && s.state != Terminated {
		s.expires = s.shard.n.now().add(d)
		s.wakeBy(s.expires)
	}
}

// Close ends the subscription; nothing is told any more but what is being told
// at this moment.
func (l *Local) Close() {
	s := l.s
	s.shard.lock()
	defer s.shard.unlock()
	l.done = true
	if !s.removed && s.state != Terminated {
		s.end("timeout", 0)
		s.enqueue()
	}
}

// notice is what the local watcher is told. The shard is locked.
func (s *subscription) notice(body Body) *Notice {
	n := &Notice{State: s.state, Reason: s.reason(), Body: body}
	if at := body.NumberAt; at > 0 && at <= len(body.Bytes) {
		numbered := append(make([]byte, 0, len(body.Bytes)+10), body.Bytes[:at]...)
		numbered = strconv.AppendUint(numbered, uint64(body.NumberFrom+s.number), 10)
		n.Body.Bytes, n.Body.NumberAt = append(numbered, body.Bytes[at:]...), 0
		s.number++
	}
	return n
}

// deliver hands a notice over, which is as good as an answer of 200.
func (s *subscription) deliver(n notice) {
	s.shard.lock()
	done := s.local.done
	s.shard.unlock()
	if !done {
		s.local.tell(*n.local)
	}
	s.answered(&sip.Response{StatusCode: sip.StatusOK}, nil, n)
}

// Status is that of the response which refuses, 0 for an error that is no
// refusal.
func Status(err error) int {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}
