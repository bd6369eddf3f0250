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

// attempt is one initial SUBSCRIBE with what comes of it. It is guarded by the
// lock of its Subscription.
type attempt struct {
	s       *Subscription
	chain   *uac.Chain
	started time.Time

	asked      time.Duration // Expires of the next SUBSCRIBE, noExpires for none
	granted    time.Duration // by the 2xx, noExpires until it came
	toTag      string        // of the 2xx
	confirmed  bool
	raised     bool // asked was raised to Min-Expires
	challenges int
	notifyBy   time.Time // timer N, zero when it does not run: then no dialogs are made

	usages map[string]*usage // by the notifier's tag; those that ended stay, so that nothing revives them
	live   int               // usages that have not ended
	closed bool
}

// maxDialogs bounds the dialogs that one SUBSCRIBE may lead to.
const maxDialogs = 32

func (a *attempt) key() attemptKey { return attemptKey{a.chain.CallID, a.chain.Tag} }

// open makes the subscriber accept NOTIFYs for the attempt.
func (a *attempt) open() {
	b := a.s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts[a.key()] = a
}

// close forgets the attempt.
func (a *attempt) close() {
	a.closed = true
	b := a.s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.attempts, a.key())
}

// subscribe sends the initial SUBSCRIBE.
func (a *attempt) subscribe() {
	s := a.s
	fields := append([]byte(nil), s.form.fields...)
	fields = appendExpires(fields, a.asked)
	if s.etag != "" && !s.plain {
		fields = uac.AppendField(fields, "Suppress-If-Match", s.etag)
	}
	fields = uac.AppendField(fields, "Contact", "<"+s.contact(a.chain.Hop)+">")
	a.transmit(a.chain.Request(append(fields, s.form.initial...), s.opts.Body))
}

func (a *attempt) transmit(o *stack.Outgoing) {
	a.notifyBy = time.Now().Add(a.s.b.timerN)
	a.s.send(o, a.answered)
}

// answered handles the final response (RFC 6665 section 4.1.2.1).
func (a *attempt) answered(res *sip.Response, err error, re uac.Reaction) {
	if a.closed {
		return
	}
	switch {
	case err != nil:
		if len(a.usages) == 0 {
			a.s.failed(err)
		}
	case res.StatusCode == 204:
		a.silent(res)
	case res.IsSuccess():
		a.accepted(res)
	case len(a.usages) > 0:
		a.contradicted(res)
	case re.Retry != nil && a.challenges < uac.MaxChallenges:
		a.challenges++
		a.transmit(a.chain.Repeat(re.Retry))
	case a.raise(res):
		a.subscribe()
	default:
		a.s.failed(uac.Refusal(res, re.Cause))
	}
}

// raise takes over the Min-Expires of a 423, once.
func (a *attempt) raise(res *sip.Response) bool {
	d, ok := uac.Raised(res, a.asked)
	if !ok || a.raised || a.s.opts.Fetch {
		return false
	}
	a.asked, a.raised = d, true
	return true
}

// accepted takes the duration from a 2xx. One that belongs to another dialog
// than the NOTIFYs is ignored (RFC 6665 section 5.4.9).
func (a *attempt) accepted(res *sip.Response) {
	a.confirmed = true
	a.granted = grantedExpires(res, a.asked, usualExpires)
	if v, _, err := header.Single(res, "To"); err == nil {
		if to, err := header.ParseAddress(v); err == nil {
			a.toTag = to.Tag()
		}
	}
	if u := a.usages[a.toTag]; u != nil && !u.ended {
		u.grant(a.granted)
	}
}

// usualExpires is the duration until the notifier tells one, when none was
// asked for: the default of all packages of this suite.
const usualExpires = time.Hour

// silent handles a 204: there will be no NOTIFY (RFC 5839 section 6.3).
func (a *attempt) silent(res *sip.Response) {
	a.notifyBy = time.Time{}
	switch {
	case len(a.usages) > 0:
	case a.s.opts.Fetch:
		a.s.finish(ending{})
	default:
		a.s.failed(uac.Refusal(res, nil))
	}
}

// contradicted handles a refusal that comes after a NOTIFY had made a dialog.
// It counts as that of a refresh: the NOTIFY proves that there was something.
func (a *attempt) contradicted(res *sip.Response) {
	for _, u := range a.usages {
		if !u.ended {
			u.refused(res, nil)
		}
		if a.closed {
			return
		}
	}
}

// deadline is when the attempt must be looked at again.
func (a *attempt) deadline() time.Time {
	first := a.notifyBy
	for _, u := range a.usages {
		first = earlier(first, u.deadline())
	}
	return first
}

func (a *attempt) tick(now time.Time) {
	if due(a.notifyBy, now) {
		a.notifyBy = time.Time{}
		if len(a.usages) == 0 {
			a.s.failed(a.silence())
			return
		}
	}
	for _, u := range a.usages {
		u.tick(now)
		if a.closed {
			return
		}
	}
}

// silence is the error of a SUBSCRIBE without NOTIFY.
func (a *attempt) silence() error {
	if a.confirmed {
		return ErrNoNotify
	}
	return stack.ErrTimeout
}

// notify answers a NOTIFY that belongs to the attempt.
func (a *attempt) notify(r *stack.Request, tag string, st header.SubscriptionState) *stack.Response {
	u := a.usages[tag]
	if a.closed || u == nil && !a.admits() || u != nil && u.ended {
		return noSubscription()
	}
	terminated := st.State == "terminated"
	if a.s.full() && !terminated {
		if u != nil {
			u.refuse()
		}
		return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "5"})
	}
	if u == nil {
		d, err := dialog.FromRequest(r, a.chain.Tag, a.chain.Seq)
		if err != nil && !terminated { // the last NOTIFY of a dialog makes none
			return badRequest(err)
		}
		u = a.add(tag, d)
	} else if err := u.dialog.Accept(r); errors.Is(err, dialog.ErrOutOfOrder) {
		return stack.Answer(sip.StatusInternalServerError)
	} else if err != nil {
		return badRequest(err)
	}
	return u.notified(r, st)
}

// admits tells whether a NOTIFY may make another dialog: until timer N fires,
// and for packages without multiple dialogs until there was one (RFC 6665
// sections 4.1.2.4 and 5.4.9).
func (a *attempt) admits() bool {
	if len(a.usages) > 0 && !a.s.opts.MultipleDialogs {
		return false
	}
	return !a.notifyBy.IsZero() && len(a.usages) < maxDialogs
}

// add makes the subscription of a dialog.
func (a *attempt) add(tag string, d *dialog.Dialog) *usage {
	u := &usage{a: a, tag: tag, dialog: d}
	a.usages[tag] = u
	a.live++
	if a.s.opts.Fetch {
		u.leaving, u.notifyBy = true, a.notifyBy // until its last NOTIFY
	}
	return u
}
