package event

import (
	"errors"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/stack"
)

// What a subscription has to tell.
const (
	wantReply  uint8 = 1 << iota // a SUBSCRIBE was answered 2xx: full state, at once
	wantState                    // the subscription state changed: at once
	wantChange                   // the resource changed: as pacing allows
)

// subscription is one subscription at the notifier. All fields are guarded by
// the lock of its shard.
type subscription struct {
	shard    *shard
	resource *resource
	at       int // index in resource.subs
	dialog   *dialog.Dialog
	tag      string // local tag, also its id
	watcher  string
	event    string // Event as NOTIFY repeats it
	id       string // the id parameter of Event
	hasID    bool
	fields   []byte // rendered Event and Contact
	view     View
	interval time.Duration // pacing

	state      State
	reason     string
	retryAfter time.Duration
	expires    time.Time
	fetch      bool // ends with the state, not with an empty NOTIFY

	want     uint8
	queued   bool      // stands in the ready queue
	inFlight bool      // a NOTIFY is unanswered
	lastSent time.Time // of the last NOTIFY started
	mark     Mark      // version the watcher has
	number   uint32    // NOTIFYs sent, for bodies that are numbered
	due      time.Time
	dueAt    int // index in the shard's heap, -1: not there
}

func (s *subscription) info() Info {
	return Info{ID: s.tag, Package: s.resource.key.pkg, Resource: s.resource.key.name,
		Watcher: s.watcher, State: s.state, Reason: s.reason, Expires: s.expires}
}

// tell passes a lifecycle event on to the observers.
func (s *subscription) tell(cause string) {
	s.shard.n.news.put(Lifecycle{Info: s.info(), Cause: cause})
}

// enqueue puts the subscription into the ready queue unless it stands there,
// has a NOTIFY in flight, or has nothing to tell but a change that must wait.
func (s *subscription) enqueue() {
	if s.queued || s.inFlight || s.want == 0 {
		return
	}
	if s.want == wantChange {
		if s.state == Pending {
			s.want = 0 // a pending watcher is told nothing (RFC 6665 section 4.2.2)
			return
		}
		if free := s.lastSent.Add(s.interval); time.Now().Before(free) {
			s.wakeBy(free)
			return
		}
	}
	s.queued = true
	s.shard.n.ready.put(s)
}

// wakeBy has wake called at t, or at expiry when that comes first.
func (s *subscription) wakeBy(t time.Time) {
	if s.state != Terminated && s.expires.Before(t) {
		t = s.expires
	}
	s.shard.wakeAt(s, t)
}

// wake is the timer of the subscription.
func (s *subscription) wake(now time.Time) {
	if s.state == Terminated {
		return
	}
	if !now.Before(s.expires) {
		s.end("timeout", 0, "timeout")
	} else {
		s.shard.wakeAt(s, s.expires)
	}
	s.enqueue()
}

// decide takes over a verdict of the package. cause, when not empty, replaces
// the lifecycle event that follows from it.
func (s *subscription) decide(d Decision, cause string) {
	switch {
	case d.State == Terminated:
		s.end(d.Reason, d.RetryAfter, cause)
	case d.State != s.state:
		if cause == "" && d.State == Active {
			cause = "approved"
		}
		s.state = d.State
		s.mark = 0
		s.want |= wantState
		s.tell(cause)
	}
}

// end terminates: one more NOTIFY, then the subscription is forgotten.
func (s *subscription) end(reason string, retryAfter time.Duration, cause string) {
	s.state, s.reason, s.retryAfter = Terminated, reason, retryAfter
	s.want |= wantState
	if cause == "" {
		cause = reason
	}
	s.tell(cause)
}

// next renders the NOTIFY that is due, or gives nil. final tells that the
// subscription ends with it; mark is the version it carries.
func (s *subscription) next(now time.Time) (o *stack.Outgoing, final bool, mark Mark) {
	if s.want == 0 || s.inFlight || s.shard.subs[s.tag] != s {
		return nil, false, 0
	}
	since := s.mark
	if s.want&wantReply != 0 {
		since = 0
	}
	onlyChange := s.want == wantChange
	s.want = 0
	final = s.state == Terminated
	body, mark := Body{}, s.mark
	if s.state == Active || (final && s.fetch) {
		var err error
		if body, mark, err = s.render(since); err != nil {
			s.shard.n.cfg.Log.Error("rendering a NOTIFY body", "package", s.resource.key.pkg, "resource", s.resource.key.name, "error", err)
			body = Body{}
			if !final {
				s.end("giveup", 0, "giveup")
				s.want, final = 0, true
			}
		}
		if onlyChange && mark == since {
			return nil, false, 0 // nothing in this view changed
		}
	}
	fields, bytes := s.notify(body, now)
	s.inFlight = true
	s.lastSent = now
	return s.dialog.Request("NOTIFY", fields, bytes), final, mark
}

// render gives the body of the view, shared with equal views of the resource.
func (s *subscription) render(since Mark) (Body, Mark, error) {
	key := s.view.Key()
	if key == "" {
		return s.view.Render(since)
	}
	r := s.resource
	k := renderingKey{key, since}
	got, ok := r.renderings[k]
	if !ok {
		got.body, got.mark, got.err = s.view.Render(since)
		if r.renderings == nil {
			r.renderings = map[renderingKey]rendering{}
		}
		r.renderings[k] = got
	}
	return got.body, got.mark, got.err
}

// notify renders the header fields that differ from NOTIFY to NOTIFY and
// numbers the body.
func (s *subscription) notify(body Body, now time.Time) (fields, bytes []byte) {
	b := make([]byte, 0, len(s.fields)+128)
	b = append(b, s.fields...)
	b = append(b, "Subscription-State: "...)
	b = append(b, s.state.String()...)
	if s.state == Terminated {
		if s.reason != "" {
			b = append(append(b, ";reason="...), s.reason...)
		}
		if s.retryAfter > 0 {
			b = strconv.AppendInt(append(b, ";retry-after="...), seconds(s.retryAfter), 10)
		}
	} else {
		b = strconv.AppendInt(append(b, ";expires="...), seconds(s.expires.Sub(now)), 10)
	}
	b = append(b, "\r\n"...)
	for _, f := range body.Fields {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	if body.Type == "" {
		return b, nil
	}
	b = append(append(append(b, "Content-Type: "...), body.Type...), "\r\n"...)
	bytes = body.Bytes
	if at := body.NumberAt; at > 0 && at <= len(bytes) {
		numbered := make([]byte, 0, len(bytes)+10)
		numbered = append(numbered, bytes[:at]...)
		numbered = strconv.AppendUint(numbered, uint64(body.NumberFrom+s.number), 10)
		bytes = append(numbered, bytes[at:]...)
		s.number++
	}
	return b, bytes
}

// seconds rounds up, so that time left is never told as none and never longer
// than granted.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Second - 1) / time.Second)
}

// answered handles the end of a NOTIFY transaction (RFC 6665 section 4.2.2).
func (s *subscription) answered(res *sip.Response, err error, final bool, mark Mark) {
	sh := s.shard
	sh.lock()
	defer sh.unlock()
	s.inFlight = false
	if sh.subs[s.tag] != s {
		return
	}
	switch {
	case final:
		sh.remove(s)
		return
	case err != nil:
		if errors.Is(err, stack.ErrClosed) {
			return
		}
		s.lost(err.Error())
		return
	case res.IsSuccess():
		s.mark = mark
	case endsSubscription(res.StatusCode):
		s.lost(strconv.Itoa(res.StatusCode))
		return
	}
	s.enqueue()
}

// lost forgets a subscription whose watcher is gone, without a further NOTIFY.
func (s *subscription) lost(why string) {
	s.shard.n.cfg.Log.Info("subscription ended by a failed NOTIFY", "resource", s.resource.key.name, "watcher", s.watcher, "why", why)
	s.state, s.reason = Terminated, "timeout"
	s.tell("timeout")
	s.shard.remove(s)
}

// endsSubscription lists the responses to NOTIFY that destroy the usage or the
// dialog (RFC 5057 section 5.1 as adopted by RFC 6665 section 4.2.2). 408
// counts as a timeout.
func endsSubscription(status int) bool {
	switch status {
	case 404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604:
		return true
	}
	return false
}
