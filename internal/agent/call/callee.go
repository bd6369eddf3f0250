package call

import (
	"context"
	"errors"
	"strings"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/sdp"
	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Incoming is an INVITE that begins a call. Accept or Refuse is to be called once.
type Incoming struct {
	From    header.Address // what the caller says of himself
	To      string         // URI of To
	CallID  string
	Subject string
	Offer   *sdp.Description
	Icons   []sdp.Icon

	a *Agent
	d *dialog.Dialog
	v *stack.Invited
	// contact is our URI for the caller.
	contact string
	seq     uint32
}

// ErrCancelled is returned by Accept when the caller has given up.
var ErrCancelled = errors.New("the caller has given up")

// invite takes an INVITE: within a call, or one that begins another. The order of refusals is that of RFC 3261 sections
// 8.2 and 13.3.
func (a *Agent) invite(_ context.Context, r *stack.Request) *stack.Response {
	if r.ToTag() != "" {
		if c := a.find(r); c != nil {
			return c.reinvite(r)
		}
		return noCall()
	}
	offer, icons, refused := description(contentType(r.Request), r.Body())
	if refused != nil {
		return refused
	}
	if a.cfg.Invited == nil {
		return stack.Answer(sip.StatusTemporarilyUnavailable)
	}
	if offer == nil {
		return refusal(sip.StatusNotAcceptableHere, "an offer is needed in the INVITE")
	}
	from, err := address(r.Request, "From")
	if err != nil {
		return refusal(sip.StatusBadRequest, err.Error())
	}
	to, err := address(r.Request, "To")
	if err != nil {
		return refusal(sip.StatusBadRequest, err.Error())
	}
	tag := stack.NewTag()
	d, err := dialog.FromRequest(r, tag, 0)
	if err != nil {
		return refusal(sip.StatusBadRequest, err.Error())
	}
	if !a.admit(1) {
		return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "5"})
	}
	in := &Incoming{From: from, To: to.URI, CallID: strings.Clone(r.CallID().Value()), Subject: strings.Clone(value(r.Request, "Subject")),
		Offer: offer, Icons: icons, a: a, d: d, seq: r.CSeq().SeqNo,
		contact: a.cfg.User.Contact(stack.Target{Flow: r.Flow, Transport: r.Flow.Transport(), Addr: r.Flow.Remote().String()})}
	in.v = r.Invited(tag)
	go a.cfg.Invited(in)
	return nil
}

// admit counts the INVITEs that wait for a decision.
func (a *Agent) admit(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n > 0 && a.asked >= maxAsked {
		return false
	}
	a.asked += n
	return true
}

// Ring tells the caller that somebody is asked.
func (in *Incoming) Ring() {
	res := stack.Answer(sip.StatusRinging, stack.Field{Name: "Contact", Value: "<" + in.contact + ">"})
	res.RecordRoute = true
	in.v.Provisional(res)
}

// Cancelled is closed when the caller gives up.
func (in *Incoming) Cancelled() <-chan struct{} { return in.v.Cancelled() }

// Accept answers with a description. The call is there at once; that no ACK comes ends it.
func (in *Incoming) Accept(answer *sdp.Description) (*Call, error) {
	defer in.a.admit(-1)
	select {
	case <-in.v.Cancelled():
		in.v.Answer(stack.Answer(sip.StatusRequestTerminated), nil)
		return nil, ErrCancelled
	default:
	}
	c := in.a.newCall(in.d, in.From, in.contact)
	c.local, c.remote = answer, in.Offer
	in.a.add(c)
	if !c.answer(in.v, in.seq, answer, true) {
		c.end(ErrCancelled)
		return nil, ErrCancelled
	}
	return c, nil
}

// Refuse answers with a status from 300 on and, in Warning, with why: 488 for a session that cannot be, 486 when busy,
// 480 when nobody is there, 603 when it is not wanted. A caller that has given up gets 487.
func (in *Incoming) Refuse(status int, why string) {
	defer in.a.admit(-1)
	select {
	case <-in.v.Cancelled():
		status, why = sip.StatusRequestTerminated, ""
	default:
	}
	in.v.Answer(refusal(status, why), nil)
}
