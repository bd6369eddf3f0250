package event

import (
	"cmp"
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
	dialog   *dialog.Dialog
	watcher  string
	id       string // the id parameter of Event, "" without
	fields   string // rendered Event and Contact
	view     View

	expires    time.Time
	lastSent   time.Time // when the last NOTIFY was started
	due        time.Time // when wake is called
	mark       Mark      // version the watcher has
	reason     string    // of a terminated one, with retryAfter
	retryAfter time.Duration
	at         int    // index in resource.subs
	dueAt      int    // index in the shard's heap, -1: not there
	number     uint32 // NOTIFYs sent, for bodies that are numbered
	answering  int32  // 2xx on their way to the watcher: NOTIFYs come after them

	state     State
	want      uint8
	fetch     bool // ends with the state, not with an empty NOTIFY
	queued    bool // stands in the ready queue
	busy      bool // a NOTIFY is being rendered or unanswered
	unreached bool // the last NOTIFY found no way to the watcher
	removed   bool // the shard does not know it any more
}

// tag is the local tag of the dialog, which is also the subscription's id.
func (s *subscription) tag() string { return s.dialog.LocalTag }

func (s *subscription) info() Info {
	return Info{ID: s.tag(), Package: s.resource.key.pkg, Resource: s.resource.key.name,
		Watcher: s.watcher, State: s.state, Reason: s.reason, Expires: s.expires}
}

// tell passes a lifecycle event on to the observers.
func (s *subscription) tell(cause string) {
	s.shard.n.news.put(Lifecycle{Info: s.info(), Cause: cause})
}

// enqueue puts the subscription into the ready queue unless it stands there,
// has a NOTIFY or the answer to a SUBSCRIBE under way, or has nothing to tell
// but a change that must wait.
func (s *subscription) enqueue() {
	if s.queued || s.busy || s.answering > 0 || s.want == 0 {
		return
	}
	if s.want == wantChange {
		if s.state == Pending {
			s.want = 0 // a pending watcher is told nothing (RFC 6665 section 4.2.2)
			return
		}
		if every := s.resource.interval; every > 0 {
			if free := s.lastSent.Add(every); time.Now().Before(free) {
				s.wakeBy(free)
				return
			}
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
		s.end("timeout", 0)
	} else {
		s.shard.wakeAt(s, s.expires)
	}
	s.enqueue()
}

// decide takes over a verdict of the package.
func (s *subscription) decide(d Decision) {
	switch {
	case d.State == Terminated:
		s.end(cmp.Or(d.Reason, "rejected"), d.RetryAfter)
	case d.State != s.state:
		s.state = d.State
		s.mark = 0
		s.want |= wantState
		if s.state == Active {
			s.tell("approved")
		} else {
			s.tell("subscribe")
		}
	}
}

// end terminates: one more NOTIFY, then the subscription is forgotten.
func (s *subscription) end(reason string, retryAfter time.Duration) {
	s.state, s.reason, s.retryAfter = Terminated, reason, retryAfter
	s.want |= wantState
	s.tell(reason)
}

// shows tells whether NOTIFYs carry state now.
func (s *subscription) shows() bool { return s.state == Active || s.state == Terminated && s.fetch }

// notice is what must be known of a NOTIFY when its answer comes.
type notice struct {
	view  View // nil when it shows nothing
	mark  Mark // version it brings the watcher to
	final bool // the subscription ends with it
}

// next gives the NOTIFY that is due, nil when there is none. It is called
// without a lock.
func (s *subscription) next() (*stack.Outgoing, notice) {
	sh := s.shard
	sh.lock()
	s.queued = false
	if s.removed {
		sh.unlock()
		return nil, notice{}
	}
	want, state, view, since, generation := s.want, s.state, s.view, s.mark, s.resource.generation
	if want&wantReply != 0 {
		since = 0
	}
	s.want, s.busy = 0, true
	if !s.shows() {
		defer sh.unlock()
		return s.start(Body{}, notice{final: state == Terminated})
	}
	sh.unlock()
	out, err := s.resource.render(view, since, generation)
	sh.lock()
	defer sh.unlock()
	switch {
	case s.removed:
		return nil, notice{}
	case s.state != state || s.view != view: // this is not for the watcher any more; what changed is told instead
		s.busy = false
		s.enqueue()
		return nil, notice{}
	case err != nil:
		return s.unrendered(err)
	case want == wantChange && out.mark == since: // nothing in this view changed
		s.busy = false
		s.enqueue()
		return nil, notice{}
	}
	return s.start(out.body, notice{view: view, mark: out.mark, final: state == Terminated})
}

// unrendered ends a subscription whose state cannot be shown.
func (s *subscription) unrendered(err error) (*stack.Outgoing, notice) {
	s.shard.n.cfg.Log.Error("rendering a NOTIFY body", "package", s.resource.key.pkg, "resource", s.resource.key.name, "error", err)
	if s.state != Terminated {
		s.end("giveup", 0)
	}
	return s.start(Body{}, notice{final: true})
}

// start makes the request of a NOTIFY.
func (s *subscription) start(body Body, n notice) (*stack.Outgoing, notice) {
	now := time.Now()
	s.lastSent = now
	var room [512]byte
	fields, bytes := s.notify(room[:0], body, now)
	return s.dialog.Request("NOTIFY", fields, bytes), n
}

// notify appends the header fields that differ from NOTIFY to NOTIFY to b, and
// numbers the body.
func (s *subscription) notify(b []byte, body Body, now time.Time) (fields, bytes []byte) {
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
func (s *subscription) answered(res *sip.Response, err error, n notice) {
	sh := s.shard
	sh.lock()
	if s.removed {
		sh.unlock()
		return
	}
	s.busy = false
	why := ""
	if !n.final {
		why = s.outcome(res, err, n)
	}
	if !n.final && why == "" {
		s.enqueue()
		sh.unlock()
		return
	}
	if s.state != Terminated {
		sh.n.cfg.Log.Info("subscription ended by a failed NOTIFY", "resource", s.resource.key.name, "watcher", s.watcher, "why", why)
		s.end("timeout", 0)
	}
	sh.remove(s)
	sh.unlock()
	s.view.Close(s.reason)
}

// outcome takes over the end of a NOTIFY that was not the last. It gives the
// reason why the subscription must go, "" when it stays.
func (s *subscription) outcome(res *sip.Response, err error, n notice) string {
	unreached := s.unreached
	s.unreached = errors.Is(err, stack.ErrTransport)
	switch {
	case errors.Is(err, stack.ErrClosed):
		return "" // nothing was learnt of the watcher
	case s.unreached && !unreached:
		return "" // as good as a 503 (RFC 3261 section 8.1.3.1), but not for ever
	case err != nil:
		return err.Error()
	case endsSubscription(res.StatusCode):
		return strconv.Itoa(res.StatusCode)
	case res.IsSuccess():
		s.dialog.Answered(res)
		if s.view == n.view {
			s.mark = n.mark
		}
	}
	return ""
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
