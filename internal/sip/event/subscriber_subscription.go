package event

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Subscription is what a watcher asked for, through all dialogs and
// resubscriptions that it takes. Its events are read with Next or All.
//
// One attempt is current at a time: an initial SUBSCRIBE with all dialogs that
// came of it. One lock guards everything, one timer serves all deadlines, and
// what is to be sent is sent after unlocking.
type Subscription struct {
	b    *Subscriber
	opts SubscribeOptions
	form form

	mu    sync.Mutex
	out   []func() // to be run without the lock
	timer *time.Timer
	armed time.Time // when timer fires; zero: it does not

	cur         *attempt  // nil between attempts and after the end
	resumeAt    time.Time // when the next attempt begins; zero: it does not
	short       int       // attempts in a row that did not last
	established bool      // there was a NOTIFY
	closing     bool      // Close was called
	ended       bool
	last        ending // why it ended
	seq         int    // NOTIFYs accepted
	etag        string // of the state told last, at the beginning that of the options; "" is not known
	plain       bool   // conditions did harm

	queue    []SubscriptionEvent
	some     chan struct{} // told when queue is not empty
	notified chan struct{} // closed at the first NOTIFY
	done     chan struct{} // closed at the end
}

// ending is why a dialog, or the whole subscription, ended.
type ending struct {
	reason     string        // of Subscription-State
	retryAfter time.Duration // of Subscription-State
	err        error
}

func (s *Subscription) lock() { s.mu.Lock() }

// unlock sets the timer for what is due next, and sends what is to be sent.
func (s *Subscription) unlock() {
	s.arm()
	out := s.out
	s.out = nil
	s.mu.Unlock()
	for _, f := range out {
		f()
	}
}

// send starts a transaction once the lock is free. answered is called with
// the lock held; to a challenge there is a reaction. That may take time, so the
// stack does not wait for it.
func (s *Subscription) send(o *stack.Outgoing, answered func(res *sip.Response, err error, re uac.Reaction)) {
	s.out = append(s.out, func() {
		s.b.cfg.Wire.Send(o, func(res *sip.Response, err error) {
			tell := func(re uac.Reaction) {
				s.lock()
				defer s.unlock()
				answered(res, err, re)
			}
			if auth := s.b.cfg.Authenticate; auth.Asked(res) {
				go func() { tell(auth.React(res, o)) }()
				return
			}
			tell(uac.Reaction{})
		})
	})
}

// arm sets the timer for the earliest deadline.
func (s *Subscription) arm() {
	first := s.resumeAt
	if s.cur != nil {
		first = earlier(first, s.cur.deadline())
	}
	if first.Equal(s.armed) {
		return
	}
	s.armed = first
	switch {
	case first.IsZero():
		s.timer.Stop()
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(first), s.tick)
	default:
		s.timer.Reset(time.Until(first))
	}
}

// earlier is the earlier of two times, of which zero ones do not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due tells whether a deadline has come.
func due(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// tick does all that is due.
func (s *Subscription) tick() {
	s.lock()
	defer s.unlock()
	s.armed = time.Time{}
	now := time.Now()
	if due(s.resumeAt, now) {
		s.attempt()
	}
	if s.cur != nil {
		s.cur.tick(now)
	}
}

// Refetch asks for the full state in the dialog, or in all when it is "", with
// a SUBSCRIBE for the time that is left (RFC 6665 sections 4.4.3 and 5.3.2).
func (s *Subscription) Refetch(dialog string) {
	s.lock()
	defer s.unlock()
	if s.cur == nil {
		return
	}
	for tag, u := range s.cur.usages {
		if dialog == "" || dialog == tag {
			u.refetch()
		}
	}
}

// Close unsubscribes: SUBSCRIBE with Expires 0 in every dialog, then it waits
// until the last NOTIFY is answered. An attempt that has no dialog yet is
// waited for, since only a dialog can be unsubscribed. The error is
// ErrNoNotify, what refused the SUBSCRIBE, or that of ctx; in any case the
// subscription is over and NOTIFYs still to come are answered 481. Events that
// came before stay to be read.
func (s *Subscription) Close(ctx context.Context) error {
	s.lock()
	if !s.closing && !s.ended {
		s.closing = true
		s.leave()
	}
	s.unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.abandon(ctx.Err())
		return ctx.Err()
	}
	s.lock()
	defer s.unlock()
	if !s.closing {
		return nil // it had ended before
	}
	return s.last.err
}

// leave begins to unsubscribe.
func (s *Subscription) leave() {
	if s.cur == nil {
		s.finish(ending{})
		return
	}
	for _, u := range s.cur.usages {
		u.leave()
	}
}

// abandon ends the subscription without a word.
func (s *Subscription) abandon(err error) {
	s.lock()
	defer s.unlock()
	if !s.ended {
		s.finish(ending{err: err})
	}
}

// finish is the end of the subscription.
func (s *Subscription) finish(e ending) {
	if s.cur != nil {
		s.cur.close()
	}
	s.cur, s.resumeAt = nil, time.Time{}
	s.ended, s.last = true, e
	s.put(SubscriptionEvent{Kind: OnEnd, Reason: e.reason, RetryAfter: e.retryAfter, Err: e.err})
	close(s.done)
}

// attempt begins a subscription: new Call-ID, new From tag (RFC 6665 section
// 4.1.2.2), no route set but the preset one.
func (s *Subscription) attempt() {
	s.resumeAt = time.Time{}
	chain, err := uac.NewChain(s.opts.chain())
	if err != nil {
		s.finish(ending{err: err}) // the options were checked, so this does not happen
		return
	}
	s.cur = &attempt{s: s, chain: chain, started: time.Now(), asked: s.form.asked, granted: noExpires, usages: map[string]*usage{}}
	s.cur.open()
	s.cur.subscribe()
}

// over is called when nothing is left of the current attempt. It decides
// whether there is another one.
func (s *Subscription) over(e ending) {
	lasted := time.Since(s.cur.started)
	s.cur.close()
	s.cur = nil
	if s.closing || s.opts.Fetch || !s.opts.Resubscribe {
		s.finish(e)
		return
	}
	if s.short++; lasted >= s.b.timerN {
		s.short = 0
	}
	delay, again := s.policy(e)
	if !again {
		s.finish(e)
		return
	}
	s.resume(max(delay, backoff(s.short)), e)
}

// failed is called when the current attempt did not lead to a subscription.
func (s *Subscription) failed(err error) {
	s.cur.close()
	s.cur = nil
	switch {
	case s.closing:
		s.finish(ending{}) // there is nothing to unsubscribe
	case s.opts.Fetch || !s.opts.Resubscribe || !s.established || !uac.Transient(err):
		s.finish(ending{err: err})
	default:
		s.short++
		delay := backoff(s.short + 1)
		var refused *ResponseError
		if errors.As(err, &refused) {
			after, _ := refused.RetryAfter()
			delay = max(delay, after)
		}
		s.resume(delay, ending{err: err})
	}
}

// resume begins the next attempt after delay.
func (s *Subscription) resume(delay time.Duration, e ending) {
	s.put(SubscriptionEvent{Kind: OnResubscribe, Delay: delay, Reason: e.reason, RetryAfter: e.retryAfter, Err: e.err})
	if delay > 0 {
		s.resumeAt = time.Now().Add(delay)
		return
	}
	s.attempt()
}

// probation is the wait after reason probation without retry-after, which
// says no more than "later".
const probation = 30 * time.Second

// policy is RFC 6665 section 4.1.3: whether to subscribe again, and when. A
// reason that is not known counts as none.
func (s *Subscription) policy(e ending) (delay time.Duration, again bool) {
	if e.err != nil {
		var refused *ResponseError
		if errors.As(e.err, &refused) {
			delay, _ = refused.RetryAfter()
		}
		return delay, true
	}
	switch e.reason {
	case "rejected", "noresource", "invariant":
		return 0, false
	case "badfilter":
		return 0, len(s.opts.Body) == 0 // the filter would be the same (RFC 4660 section 5.4)
	case "deactivated", "timeout":
		return 0, true
	case "probation":
		if e.retryAfter == 0 {
			return probation, true
		}
	}
	return e.retryAfter, true
}
