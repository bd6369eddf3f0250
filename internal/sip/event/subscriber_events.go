package event

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// SubscriptionEventKind tells SubscriptionEvents apart.
type SubscriptionEventKind uint8

// What happens to a subscription.
const (
	// OnSubscribed: a NOTIFY made the subscription; Dialog and Expires, as far
	// as it is known by then.
	OnSubscribed SubscriptionEventKind = iota
	// OnNotify: a NOTIFY was accepted; Dialog and Notification.
	OnNotify
	// OnRefreshed: a refresh was accepted; Dialog and Expires.
	OnRefreshed
	// OnRefreshFailed: a refresh failed with Err, the subscription lives on
	// until it expires; Dialog.
	OnRefreshFailed
	// OnTerminated: the subscription of Dialog ended, by a NOTIFY with Reason
	// and RetryAfter, or for Err.
	OnTerminated
	// OnResubscribe: a new subscription will be made after Delay; Reason or Err
	// is why.
	OnResubscribe
	// OnEnd is always the last: Reason or Err is why, where there is a why.
	OnEnd
)

// SubscriptionEvent is one thing that happened to a subscription. Kind tells
// which fields are set.
type SubscriptionEvent struct {
	Kind         SubscriptionEventKind
	Dialog       string // the notifier's tag, which names the dialog
	Notification *Notification
	Expires      time.Duration
	Reason       string        // of Subscription-State
	RetryAfter   time.Duration // of Subscription-State, 0 without
	Delay        time.Duration
	// Err is a *ResponseError, ErrNoNotify, the error of the context that gave
	// up Close, or what the stack gave: stack.ErrTimeout, stack.ErrClosed or an
	// error wrapping stack.ErrTransport.
	Err error
}

// Notification is one accepted NOTIFY.
type Notification struct {
	Seq         int // counts the NOTIFYs of the Subscription from 1, over all dialogs and resubscriptions
	Dialog      string
	CSeq        uint32
	State       header.SubscriptionState
	ContentType string
	Body        []byte // nil without: what was told before stays in force
	Request     *sip.Request
}

// Next waits for the next event. The error is io.EOF after OnEnd, or that of
// ctx.
func (s *Subscription) Next(ctx context.Context) (SubscriptionEvent, error) {
	for {
		s.lock()
		if len(s.queue) > 0 {
			e := s.queue[0]
			s.queue[0] = SubscriptionEvent{}
			s.queue = s.queue[1:]
			s.drained()
			s.unlock()
			return e, nil
		}
		ended := s.ended
		s.unlock()
		if ended {
			return SubscriptionEvent{}, io.EOF
		}
		select {
		case <-s.some:
		case <-s.done:
		case <-ctx.Done():
			return SubscriptionEvent{}, ctx.Err()
		}
	}
}

// All gives the events until the last one has been given or ctx is done. It
// can be called again.
func (s *Subscription) All(ctx context.Context) iter.Seq[SubscriptionEvent] {
	return func(yield func(SubscriptionEvent) bool) {
		for {
			e, err := s.Next(ctx)
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

// spare is the room in the queue for what is not refused when it is full:
// last NOTIFYs of a dialog, and events that come of themselves. What does not
// fit even there has no reader, and is forgotten.
const spare = 64

// full tells whether NOTIFYs must be refused.
func (s *Subscription) full() bool { return len(s.queue) >= s.b.cfg.Queue }

// put gives an event to the reader.
func (s *Subscription) put(e SubscriptionEvent) {
	if len(s.queue) >= s.b.cfg.Queue+spare && e.Kind != OnEnd {
		return
	}
	s.queue = append(s.queue, e)
	select {
	case s.some <- struct{}{}:
	default:
	}
}

// drained is called after each event that was read. When the reader has made
// room, dialogs that had a NOTIFY refused are asked for their full state.
func (s *Subscription) drained() {
	if len(s.queue) > 0 {
		select {
		case s.some <- struct{}{}: // another reader may wait
		default:
		}
	}
	if s.cur == nil || len(s.queue) > s.b.cfg.Queue/2 {
		return
	}
	for _, u := range s.cur.usages {
		if u.missed {
			u.missed = false
			u.refetch()
		}
	}
}
