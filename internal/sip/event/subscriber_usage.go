package event

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// usage is the subscription in one dialog (RFC 6665 section 4.1.2). It is
// guarded by the lock of its Subscription.
type usage struct {
	a      *attempt
	tag    string         // the notifier's
	etag   string         // of the state told last, "" without
	dialog *dialog.Dialog // nil when its first NOTIFY was its last

	lasts     time.Duration // as told last
	expires   time.Time     // when it ends unless it is refreshed
	refreshAt time.Time     // zero: not
	notifyBy  time.Time     // timer N, zero when it does not run

	asked      time.Duration // Expires of the SUBSCRIBE in flight
	inFlight   bool          // a SUBSCRIBE is unanswered
	confirmed  bool          // the last SUBSCRIBE has its 2xx
	told       bool          // a NOTIFY told the duration since the last SUBSCRIBE
	raised     bool          // asked was raised to Min-Expires
	challenges int
	condition  string // Suppress-If-Match of the SUBSCRIBE in flight, "" without

	leaving bool // ends with its next terminated NOTIFY
	again   bool // the full state is wanted after the SUBSCRIBE in flight
	missed  bool // a NOTIFY was refused for want of room
	ended   bool
}

// notified takes over an accepted NOTIFY and answers it (RFC 6665 section
// 4.1.3).
func (u *usage) notified(r *stack.Request, st header.SubscriptionState) *stack.Response {
	s := u.a.s
	terminated := st.State == "terminated"
	if !u.leaving {
		u.notifyBy = time.Time{}
	}
	if !terminated {
		u.prolong(st)
	}
	u.named(r)
	s.seq++
	s.put(SubscriptionEvent{Kind: OnNotify, Dialog: u.tag, Notification: &Notification{Seq: s.seq, Dialog: u.tag,
		CSeq: r.CSeq().SeqNo, State: st, ContentType: contentType(r), Body: body(r), Request: r.Request}})
	if !s.established {
		s.established = true
		close(s.notified)
	}
	res := stack.Answer(sip.StatusOK)
	if terminated {
		u.ended = true
		e := ending{reason: st.Reason, retryAfter: time.Duration(max(st.RetryAfter, 0)) * time.Second}
		res.Sent = func() {
			s.lock()
			defer s.unlock()
			u.gone(e)
		}
	} else if s.closing {
		u.leave()
	}
	return res
}

// named takes the entity-tag of a NOTIFY: byte for byte, whatever it means
// (RFC 5839 section 5.3). A NOTIFY without tag and body leaves the state as it
// is.
func (u *usage) named(r *stack.Request) {
	v, ok, err := header.Single(r.Request, "SIP-ETag")
	if ok && err == nil {
		v, err = header.ParseETag(v)
	}
	switch {
	case err != nil:
		u.etag = ""
	case ok || body(r) != nil:
		u.etag = v
	}
	s := u.a.s
	if s.opts.ETag != "*" && (s.opts.Conditional || s.opts.ETag != "") {
		s.etag = u.etag
		if s.opts.MultipleDialogs {
			s.etag = "" // each dialog may know its own
		}
	}
}

// known is the condition for a refresh, "" for none.
func (u *usage) known() string {
	s := u.a.s
	switch {
	case s.plain:
		return ""
	case s.opts.ETag == "*":
		return "*"
	case s.opts.Conditional || s.opts.ETag != "":
		return u.etag
	}
	return ""
}

// refuse notes a NOTIFY that there is no room for. It has come, all the same.
func (u *usage) refuse() {
	u.missed = true
	if !u.leaving {
		u.notifyBy = time.Time{}
	}
}

// prolong takes the duration from a NOTIFY that does not end the subscription.
// The first one without duration leaves that of the 2xx, or what was asked
// for (RFC 6665 section 4.2.2).
func (u *usage) prolong(st header.SubscriptionState) {
	first := u.expires.IsZero()
	if st.Expires > 0 {
		u.told = true
		u.last(time.Duration(st.Expires) * time.Second)
	} else if first {
		d := u.a.granted
		if d == noExpires {
			d = u.a.asked
		}
		if d == noExpires {
			d = usualExpires
		}
		u.last(d)
	}
	if first && !u.leaving {
		u.a.s.put(SubscriptionEvent{Kind: OnSubscribed, Dialog: u.tag, Expires: u.lasts})
	}
}

// last sets how long the subscription lasts from now.
func (u *usage) last(d time.Duration) {
	u.lasts = d
	u.expires = time.Now().Add(d)
	u.refreshAt = u.expires.Add(-uac.RefreshLead(d, u.a.s.b.timerN))
}

// grant takes the duration from a 2xx. When a NOTIFY told one since the
// SUBSCRIBE was sent, the shorter one counts: they may have crossed.
func (u *usage) grant(d time.Duration) {
	if !u.told || d < time.Until(u.expires) {
		u.last(d)
	}
}

// refresh sends a SUBSCRIBE in the dialog that asks for d, and to be told only
// what is not known.
func (u *usage) refresh(d time.Duration) { u.ask(d, u.known()) }

func (u *usage) ask(d time.Duration, condition string) {
	u.raised, u.challenges, u.condition = false, 0, condition
	u.subscribe(d)
}

func (u *usage) subscribe(d time.Duration) {
	s := u.a.s
	u.asked = d
	fields := appendExpires(append([]byte(nil), s.form.fields...), d)
	if u.condition != "" {
		fields = uac.AppendField(fields, "Suppress-If-Match", u.condition)
	}
	o := u.dialog.Request("SUBSCRIBE", fields, nil)
	o.Head = uac.AppendField(o.Head, "Contact", "<"+s.contact(o.Target)+">")
	u.transmit(o)
}

func (u *usage) transmit(o *stack.Outgoing) {
	u.inFlight, u.confirmed, u.told = true, false, false
	u.refreshAt = time.Time{}
	u.notifyBy = time.Now().Add(u.a.s.b.timerN)
	u.a.s.send(o, u.answered)
}

// leave unsubscribes (RFC 6665 section 4.1.2.3), after the SUBSCRIBE in flight.
func (u *usage) leave() {
	if u.ended || u.leaving || u.inFlight {
		return
	}
	u.leaving = true
	u.refresh(0)
}

// awake refreshes now, unless a SUBSCRIBE is in flight anyway.
func (u *usage) awake() {
	if !u.ended && !u.leaving && !u.inFlight && u.notifyBy.IsZero() {
		u.refresh(u.a.asked)
	}
}

// refetch asks for the full state, after the SUBSCRIBE in flight.
func (u *usage) refetch() {
	switch {
	case u.ended || u.leaving:
	case u.inFlight:
		u.again = true
	default:
		u.ask(max(time.Until(u.expires), time.Second), "")
	}
}

// answered handles the final response to a SUBSCRIBE in the dialog (RFC 6665
// section 4.1.2.2).
func (u *usage) answered(res *sip.Response, err error, re uac.Reaction) {
	if u.ended || u.a.closed {
		return
	}
	u.inFlight = false
	switch {
	case errors.Is(err, stack.ErrTimeout):
		if u.notifyBy.IsZero() {
			u.kept(err) // a NOTIFY came all the same
		} else {
			u.silent() // timer N has run as long
		}
	case err != nil:
		u.kept(err)
	case res.IsSuccess():
		u.accepted(res)
	case re.Retry != nil && u.challenges < uac.MaxChallenges:
		u.challenges++
		// The dialog counts requests as it renders them.
		u.dialog.Request("SUBSCRIBE", nil, nil)
		u.transmit(uac.Renumber(re.Retry, u.dialog.LocalSeq()))
	case u.raise(res):
		u.subscribe(u.asked)
	default:
		u.refused(res, re.Cause)
	}
	u.next()
}

// next does what had to wait for the SUBSCRIBE in flight.
func (u *usage) next() {
	if u.ended || u.a.closed || u.inFlight {
		return
	}
	if u.a.s.closing {
		u.leave()
	} else if u.again {
		u.again = false
		u.refetch()
	}
}

// accepted handles a 2xx.
func (u *usage) accepted(res *sip.Response) {
	u.confirmed = true
	if res.StatusCode == 204 { // there will be no NOTIFY (RFC 5839 section 6.3)
		u.notifyBy = time.Time{}
		if u.leaving {
			u.end(ending{})
			return
		}
	}
	if u.leaving {
		return
	}
	u.grant(grantedExpires(res, u.asked, usualExpires))
	u.a.s.put(SubscriptionEvent{Kind: OnRefreshed, Dialog: u.tag, Expires: u.lasts})
}

// raise takes over the Min-Expires of a 423, once for each refresh.
func (u *usage) raise(res *sip.Response) bool {
	d, ok := uac.Raised(res, u.asked)
	if !ok || u.raised || u.leaving {
		return false
	}
	u.asked, u.raised = d, true
	if u.a.asked != noExpires {
		u.a.asked = max(u.a.asked, d)
	}
	return true
}

// refused handles a response that refuses a SUBSCRIBE in the dialog: some end
// the subscription, after others it lives until it expires.
func (u *usage) refused(res *sip.Response, cause error) {
	err := uac.Refusal(res, cause)
	// 408 is not in the list of RFC 6665 section 4.1.2.2, unlike that for NOTIFY here.
	if res.StatusCode != sip.StatusRequestTimeout && endsSubscription(res.StatusCode) {
		e := ending{err: err}
		if u.leaving {
			e.err = nil // it is gone, as it should be
		}
		u.end(e)
		return
	}
	u.kept(err)
}

// kept handles a failure that leaves the subscription alive. Without it timer
// N would end what is still valid. There is another try while time is left.
func (u *usage) kept(err error) {
	u.notifyBy = time.Time{}
	if u.leaving {
		u.end(ending{err: err})
		return
	}
	u.a.s.put(SubscriptionEvent{Kind: OnRefreshFailed, Dialog: u.tag, Err: err})
	if u.unconditional(err) {
		return
	}
	left := time.Until(u.expires)
	pause := left / 2
	var refused *ResponseError
	if errors.As(err, &refused) {
		after, _ := refused.RetryAfter()
		pause = max(pause, after)
	}
	if uac.Transient(err) && pause >= time.Second && pause < left {
		u.refreshAt = time.Now().Add(pause)
	}
}

// unconditional asks again when it may have been the condition that was
// refused, by somebody in between who does not know of it, and uses none from
// then on (RFC 5839 section 5.8).
func (u *usage) unconditional(err error) bool {
	var refused *ResponseError
	if u.condition == "" || !errors.As(err, &refused) || uac.Transient(err) || refused.Cause != nil {
		return false
	}
	u.a.s.plain = true
	u.refresh(u.asked)
	return true
}

// deadline is when the usage must be looked at again.
func (u *usage) deadline() time.Time {
	switch {
	case u.ended:
		return time.Time{}
	case !u.notifyBy.IsZero():
		return u.notifyBy
	case u.inFlight:
		return time.Time{} // the transaction ends by itself
	}
	return earlier(u.expires, u.refreshAt)
}

func (u *usage) tick(now time.Time) {
	if !due(u.deadline(), now) {
		return
	}
	switch {
	case !u.notifyBy.IsZero():
		u.silent()
	case due(u.expires, now):
		u.end(ending{reason: "timeout"})
	default:
		u.refresh(u.a.asked)
	}
}

// silent is timer N: no NOTIFY came. A fetch whose state was told, though not
// in a NOTIFY that ends it, has succeeded.
func (u *usage) silent() {
	e := ending{}
	if !u.a.s.opts.Fetch {
		e.err = stack.ErrTimeout
		if u.confirmed {
			e.err = ErrNoNotify
		}
	}
	u.end(e)
}

// end ends the subscription of this dialog.
func (u *usage) end(e ending) {
	u.ended = true
	u.gone(e)
}

// gone tells the end, once its last NOTIFY is answered.
func (u *usage) gone(e ending) {
	a, s := u.a, u.a.s
	if a.closed {
		return
	}
	a.live--
	s.put(SubscriptionEvent{Kind: OnTerminated, Dialog: u.tag, Reason: e.reason, RetryAfter: e.retryAfter, Err: e.err})
	if a.live == 0 || s.opts.Fetch {
		s.over(e)
	}
}
