package event

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
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
	wantPulse                    // the watcher wants to hear of it again: RFC 6446 section 6.2
)

// subscription is one subscription at the notifier. All fields are guarded by
// the lock of its shard.
type subscription struct {
	shard    *shard
	resource *resource
	dialog   *dialog.Dialog
	watcher  string
	fields   string // rendered Event and Contact
	view     View
	*seldom

	begun     instant
	expires   instant
	lastSent  instant // when the last NOTIFY was started
	due       instant // when wake is called
	mark      Mark    // version the watcher has
	over      *ending // of a terminated one
	rates     *rates  // nil: the last SUBSCRIBE had no rate control
	at        int32   // index in resource.subs
	dueAt     int32   // index in the shard's heap, -1: not there
	number    uint32  // NOTIFYs sent, for bodies that are numbered
	answering int32   // 2xx on their way to the watcher: NOTIFYs come after them

	etag        entityTag // version the watcher has: acknowledged, or claimed when conditional
	conditional bool      // what the watcher has is not told again, as long as it is current
	quenched    bool      // Suppress-If-Match: *

	state     State
	want      uint8
	fetch     bool // ends with the state, not with an empty NOTIFY
	queued    bool // stands in the ready queue
	busy      bool // a NOTIFY is being rendered or unanswered
	approved  bool // it was pending before it was active
	unreached bool // the last NOTIFY found no way to the watcher
	removed   bool // the shard does not know it any more
}

// seldom is what few subscriptions have, and does not change.
type seldom struct {
	id    string // the id parameter of Event, "" without
	name  string // of the watcher, as From displays it
	local *Local // nil: the watcher is reached by SIP
}

// ordinary are the subscriptions that have nothing of it.
var ordinary = new(seldom)

func newSeldom(id, name string) *seldom {
	if id == "" && name == "" {
		return ordinary
	}
	return &seldom{id: strings.Clone(id), name: name}
}

// tag is the local tag of the dialog, which is also the subscription's id.
func (s *subscription) tag() string { return s.dialog.LocalTag() }

// reason is that of a terminated subscription.
func (s *subscription) reason() string {
	if s.over == nil {
		return ""
	}
	return s.over.reason
}

func (s *subscription) info() Info {
	return Info{ID: s.tag(), Package: s.resource.key.pkg.name, Resource: s.resource.key.name,
		Watcher: s.watcher, State: s.state, Reason: s.reason(), Expires: s.shard.n.time(s.expires),
		Since: s.shard.n.time(s.begun), Name: s.name, Approved: s.approved}
}

// tell passes a lifecycle event on to the observers. was is the state before.
func (s *subscription) tell(cause string, was State) {
	s.shard.n.news.put(Lifecycle{Info: s.info(), Cause: cause, Was: was, Fetch: s.begun == s.expires})
}

// enqueue puts the subscription into the ready queue unless it stands there,
// has a NOTIFY or the answer to a SUBSCRIBE under way, or has nothing to tell
// but a change that must wait.
func (s *subscription) enqueue() {
	if s.queued || s.busy || s.answering > 0 || s.want == 0 {
		return
	}
	if s.want&^(wantChange|wantPulse) == 0 && (s.state == Pending || s.quenched) {
		s.want = 0 // such a watcher is told nothing (RFC 6665 section 4.2.2, RFC 5839 section 5.2)
		return
	}
	if every := s.interval(); every > 0 {
		if free := s.lastSent.add(every); s.lastSent != 0 && s.shard.n.now() < free {
			s.wakeBy(free)
			return
		}
	}
	s.queued = true
	s.shard.n.ready.put(s)
}

// interval is how long after the last NOTIFY the next one may come. A change
// waits for the pacing of the package and of max-rate; of what else there is to
// tell only the fall back to pending is no exception (RFC 6446 section 5.2).
func (s *subscription) interval() time.Duration {
	least := time.Duration(0)
	if s.local != nil {
		return 0 // whoever shows it on has a pace of his own
	}
	if s.rates != nil {
		least = s.rates.least
	}
	switch {
	case s.want == wantChange:
		return max(s.resource.key.pkg.interval, least)
	case s.state == Pending && s.want&wantReply == 0:
		return least
	}
	return 0
}

// wakeBy has wake called at t, or at expiry or when the watcher wants to hear
// of the state again, when that comes first.
func (s *subscription) wakeBy(t instant) {
	if s.state != Terminated {
		t = min(t, s.expires)
		if s.rates != nil {
			t = min(t, s.pulseAt())
		}
	}
	s.shard.wakeAt(s, t)
}

// has tells whether v is the view of the subscription.
func (s *subscription) has(v View) bool {
	s.shard.lock()
	defer s.shard.unlock()
	return s.view == v && !s.removed
}

// wake is the timer of the subscription.
func (s *subscription) wake(now instant) {
	if s.state == Terminated {
		return
	}
	if now >= s.expires {
		s.end("timeout", 0)
	} else {
		if s.rates != nil && s.pulseAt() <= now {
			s.want |= wantPulse
		}
		s.wakeBy(s.expires)
	}
	s.enqueue()
}

// decide takes over a verdict of the package.
func (s *subscription) decide(d Decision) {
	switch {
	case d.State == Terminated:
		s.end(cmp.Or(d.Reason, "rejected"), d.RetryAfter)
	case d.State != s.state:
		was := s.state
		s.state, s.approved = d.State, d.State == Active
		s.mark = 0
		s.want |= wantState
		if s.approved {
			s.tell("approved", was)
		} else {
			s.tell("subscribe", was)
		}
	}
}

// end terminates: one more NOTIFY, then the subscription is forgotten.
func (s *subscription) end(reason string, retryAfter time.Duration) {
	was := s.state
	s.state, s.over = Terminated, &ending{reason: reason, retryAfter: retryAfter}
	s.want |= wantState
	s.tell(reason, was)
}

// shows tells whether NOTIFYs carry state now.
func (s *subscription) shows() bool { return s.state == Active || s.state == Terminated && s.fetch }

// notice is what must be known of a NOTIFY when its answer comes.
type notice struct {
	view  View // nil when it shows nothing
	mark  Mark // version it brings the watcher to
	tag   entityTag
	final bool    // the subscription ends with it
	again bool    // its number is for the next one unless it is delivered
	local *Notice // in place of the NOTIFY
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
	if want&(wantReply|wantPulse) != 0 || s.local != nil {
		since = 0 // a local watcher is told all there is each time
	}
	s.want, s.busy = 0, true
	if !s.shows() {
		defer sh.unlock()
		return s.start(Body{}, notice{tag: s.unshown(want), final: state == Terminated})
	}
	sh.unlock()
	out, err := s.resource.render(s, view, since, generation)
	sh.lock()
	defer sh.unlock()
	switch {
	case s.removed:
		return nil, notice{}
	case s.state != state || s.view != view: // this is not for the watcher any more; what changed is told instead
		s.want |= want & wantReply
		return s.nothing()
	case err != nil:
		return s.unrendered(err)
	case want == wantChange && out.mark == since: // nothing in this view changed
		return s.nothing()
	case want == wantChange && since == 0 && out.tag == s.etag: // nothing in what another view shows
		s.mark = out.mark
		return s.nothing()
	}
	n := notice{view: view, mark: out.mark, tag: out.tag, final: state == Terminated}
	if s.suppresses(out.tag) {
		if want&(wantReply|wantState) == 0 {
			return s.nothing()
		}
		out.body, n.view = Body{}, nil
	}
	return s.start(out.body, n)
}

// nothing gives no NOTIFY after all.
func (s *subscription) nothing() (*stack.Outgoing, notice) {
	s.busy = false
	s.enqueue()
	return nil, notice{}
}

// suppresses tells whether the state with the given tag is not to be told (RFC
// 5839 sections 6.2 and 6.3). A condition that was false once is void.
func (s *subscription) suppresses(tag entityTag) bool {
	if s.quenched {
		return true
	}
	s.conditional = s.conditional && s.etag == tag
	return s.conditional
}

// unshown is the tag of a NOTIFY that shows no state: when it is the last one,
// that of the state the watcher has.
func (s *subscription) unshown(want uint8) entityTag {
	claimed := s.conditional && want&wantReply != 0 // and never compared
	if s.state == Terminated && !claimed && s.etag != (entityTag{}) {
		return s.etag
	}
	s.conditional = s.conditional && s.etag == noEntity
	return noEntity
}

// unrendered ends a subscription whose state cannot be shown.
func (s *subscription) unrendered(err error) (*stack.Outgoing, notice) {
	s.shard.n.cfg.Log.Error("rendering a NOTIFY body", "package", s.resource.key.pkg.name, "resource", s.resource.key.name, "error", err)
	if s.state != Terminated {
		s.end("giveup", 0)
	}
	return s.start(Body{}, notice{tag: s.unshown(wantState), final: true})
}

// start makes the request of a NOTIFY.
func (s *subscription) start(body Body, n notice) (*stack.Outgoing, notice) {
	now := s.shard.n.now()
	s.lastSent = now
	if s.rates != nil {
		s.rates.sent(now)
		s.wakeBy(s.expires)
	}
	n.again = body.NumberDelivered && body.NumberAt > 0
	if s.local != nil {
		n.local = s.notice(body)
		return nil, n
	}
	var room [512]byte
	fields, bytes := s.notify(room[:0], body, n.tag, now)
	return s.dialog.Request("NOTIFY", fields, bytes), n
}

// notify appends the header fields that differ from NOTIFY to NOTIFY to b, and
// numbers the body.
func (s *subscription) notify(b []byte, body Body, tag entityTag, now instant) (fields, bytes []byte) {
	b = append(b, s.fields...)
	b = append(b, "Subscription-State: "...)
	b = append(b, s.state.String()...)
	if s.state == Terminated {
		if s.over.reason != "" {
			b = append(append(b, ";reason="...), s.over.reason...)
		}
		if s.over.retryAfter > 0 {
			b = strconv.AppendInt(append(b, ";retry-after="...), seconds(s.over.retryAfter), 10)
		}
	} else {
		b = strconv.AppendInt(append(b, ";expires="...), seconds(s.expires.sub(now)), 10)
	}
	if s.rates != nil {
		b = append(b, s.rates.told...)
	}
	b = append(appendTag(append(b, "\r\nSIP-ETag: "...), tag, s.id), "\r\n"...)
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
	if why != "" && (s.answering > 0 || s.want&wantReply != 0) {
		why = "" // a SUBSCRIBE was accepted since: the refusal is of what was before
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
	s.resource.closeView(s.view, s.reason())
}

// outcome takes over the end of a NOTIFY that was not the last. It gives the
// reason why the subscription must go, "" when it stays.
func (s *subscription) outcome(res *sip.Response, err error, n notice) string {
	unreached := s.unreached
	s.unreached = errors.Is(err, stack.ErrTransport)
	if n.again && (err != nil || !res.IsSuccess()) {
		s.number--
	}
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
		if !s.conditional {
			s.etag = n.tag
		}
		if s.rates != nil {
			s.updateRates(res)
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
