package call

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/sdp"
	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Reoffer answers an offer that came within a call (RFC 3261 section 14.2): with a description, or with an error, which
// is answered 488 and changes nothing.
type Reoffer func(offer *sdp.Description) (*sdp.Description, error)

// Call is a session from its 2xx to its BYE. Its methods are safe for concurrent use.
type Call struct {
	Peer   header.Address // the other side, as it says
	Caller bool           // we have called

	a       *Agent
	contact []byte // rendered, as is Allow

	mu            sync.Mutex
	d             *dialog.Dialog
	local, remote *sdp.Description // as agreed last
	reoffer       Reoffer
	waiting       *stack.Invited // our 2xx waits for its ACK
	waitingSeq    uint32
	offering      bool // an INVITE of ours is on its way
	err           error
	done          chan struct{}
}

// newCall makes a call; contact is the rendered Contact.
func (a *Agent) newCall(d *dialog.Dialog, peer header.Address, contact string) *Call {
	c := &Call{Peer: peer, a: a, d: d, done: make(chan struct{})}
	c.contact = uac.AppendField(uac.AppendField(nil, "Contact", "<"+contact+">"), "Allow", allow)
	return c
}

func (c *Call) id() id { return id{c.d.CallID(), c.d.LocalTag(), c.d.RemoteTag()} }

// CallID names the call.
func (c *Call) CallID() string { return c.d.CallID() }

// Remote is the description of the peer that counts.
func (c *Call) Remote() *sdp.Description {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remote
}

// Local is our description that counts.
func (c *Call) Local() *sdp.Description {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

// OnReoffer sets who answers offers within the call. Without one they are answered with what is agreed, when the offer
// is what was offered before, and else with 488.
func (c *Call) OnReoffer(f Reoffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reoffer = f
}

// Done is closed when the call has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err is why the call has ended: ErrEnded after a BYE of the peer, nil after one of ours.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end ends the call here. Only the first end counts.
func (c *Call) end(why error) bool {
	c.mu.Lock()
	select {
	case <-c.done:
		c.mu.Unlock()
		return false
	default:
	}
	c.err = why
	waiting := c.waiting
	c.waiting = nil
	close(c.done)
	c.mu.Unlock()
	if waiting != nil {
		waiting.Acked() // nobody is going to
	}
	c.a.remove(c)
	return true
}

// Bye ends the call, and waits until the peer knows (RFC 3261 section 15.1.1). A call that has ended is no error, nor is
// a peer that does not know the call any more.
func (c *Call) Bye(ctx context.Context) error {
	if !c.end(nil) {
		return nil
	}
	_, err := c.request(ctx, "BYE", nil, nil)
	var refused *uac.ResponseError
	if errors.As(err, &refused) && (refused.Status == 481 || refused.Status == 408) {
		return nil
	}
	return err
}

// request sends a request within the dialog and waits for its final response; challenges are answered. What is no 2xx
// is an error, a *uac.ResponseError.
func (c *Call) request(ctx context.Context, method string, fields, body []byte) (*sip.Response, error) {
	c.mu.Lock()
	o := c.d.Request(method, fields, body)
	c.mu.Unlock()
	type result struct {
		res *sip.Response
		err error
	}
	done := make(chan result, 1)
	for tries := 0; ; tries++ {
		c.a.cfg.User.Wire.Send(o, func(res *sip.Response, err error) { done <- result{res, err} })
		var r result
		select {
		case r = <-done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", method, ctx.Err())
		}
		if r.err != nil {
			return nil, r.err
		}
		re := c.a.cfg.User.Authenticate.React(r.res, o)
		if re.Retry == nil || tries == uac.MaxChallenges {
			if !r.res.IsSuccess() {
				return r.res, uac.Refusal(r.res, re.Cause)
			}
			return r.res, nil
		}
		o = c.renumbered(re.Retry)
	}
}

// renumbered is o as the next request of the dialog.
func (c *Call) renumbered(o *stack.Outgoing) *stack.Outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.d.Request(o.Method, nil, nil)
	return uac.Renumber(o, c.d.LocalSeq())
}

// accept checks a request within the dialog.
func (c *Call) accept(r *stack.Request) *stack.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.d.Accept(r); errors.Is(err, dialog.ErrOutOfOrder) {
		return stack.Answer(sip.StatusInternalServerError)
	} else if err != nil {
		return refusal(sip.StatusBadRequest, err.Error())
	}
	return nil
}

// acked takes the ACK to our 2xx.
func (c *Call) acked(seq uint32) {
	c.mu.Lock()
	waiting := c.waiting
	if waiting == nil || seq != c.waitingSeq {
		c.mu.Unlock()
		return
	}
	c.waiting = nil
	c.mu.Unlock()
	waiting.Acked()
}

// answer sends a 2xx to an INVITE and ends the call when nobody acknowledges it (RFC 3261 section 13.3.1.4).
func (c *Call) answer(v *stack.Invited, seq uint32, d *sdp.Description, recordRoute bool) bool {
	c.mu.Lock()
	c.waiting, c.waitingSeq = v, seq
	res := stack.Answer(sip.StatusOK, stack.Field{Name: "Contact", Value: string(c.contact[len("Contact: "):lineEnd(c.contact)])},
		stack.Field{Name: "Allow", Value: allow})
	c.mu.Unlock()
	res.RecordRoute = recordRoute
	if d != nil {
		res.Body, res.ContentType = d.Bytes(), sdp.MediaType
	}
	return v.Answer(res, func(ok bool) {
		if ok {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), uac.TransactionTime(0))
		defer cancel()
		_ = c.Bye(ctx)
	})
}

func lineEnd(b []byte) int {
	for i, x := range b {
		if x == '\r' {
			return i
		}
	}
	return len(b)
}

// reinvite takes an INVITE within the call.
func (c *Call) reinvite(r *stack.Request) *stack.Response {
	c.mu.Lock()
	busy, later := c.offering, c.waiting != nil
	c.mu.Unlock()
	switch {
	case busy:
		return stack.Answer(sip.StatusRequestPending)
	case later: // RFC 3261 section 14.2
		return stack.Answer(sip.StatusInternalServerError, stack.Field{Name: "Retry-After", Value: "3"})
	}
	if refusal := c.accept(r); refusal != nil {
		return refusal
	}
	offer, _, refused := description(contentType(r.Request), r.Body())
	if refused != nil {
		return refused
	}
	v, seq := r.Invited(c.d.LocalTag()), r.CSeq().SeqNo
	go func() {
		d, refused := c.agree(offer)
		if refused != nil {
			v.Answer(refused, nil)
			return
		}
		c.answer(v, seq, d, false)
	}()
	return nil
}

// update takes an UPDATE (RFC 3311).
func (a *Agent) update(_ context.Context, r *stack.Request) *stack.Response {
	c := a.find(r)
	if c == nil {
		return noCall()
	}
	if refusal := c.accept(r); refusal != nil {
		return refusal
	}
	offer, _, refused := description(contentType(r.Request), r.Body())
	if refused != nil {
		return refused
	}
	ok := func(d *sdp.Description) *stack.Response {
		res := stack.Answer(sip.StatusOK, stack.Field{Name: "Contact", Value: string(c.contact[len("Contact: "):lineEnd(c.contact)])})
		if d != nil {
			res.Body, res.ContentType = d.Bytes(), sdp.MediaType
		}
		return res
	}
	if offer == nil {
		return ok(nil)
	}
	later := r.Defer()
	go func() {
		d, refused := c.agree(offer)
		if refused != nil {
			later(refused)
			return
		}
		later(ok(d))
	}()
	return nil
}

// agree answers an offer within the call. Without an offer our description is one, which changes nothing.
func (c *Call) agree(offer *sdp.Description) (*sdp.Description, *stack.Response) {
	c.mu.Lock()
	local, remote, reoffer := c.local, c.remote, c.reoffer
	c.mu.Unlock()
	switch {
	case offer == nil, remote != nil && offer.ID == remote.ID && offer.Version == remote.Version:
		return local, nil
	case reoffer == nil:
		return nil, refusal(sip.StatusNotAcceptableHere, "the session cannot be changed")
	}
	d, err := reoffer(offer)
	if err != nil {
		return nil, refusal(sip.StatusNotAcceptableHere, err.Error())
	}
	d.After(local)
	c.mu.Lock()
	c.local, c.remote = d, offer
	c.mu.Unlock()
	return d, nil
}

// Offer sends a new description of ours in a re-INVITE, and gives the answer (RFC 3261 section 14.1). The session of an
// offer that is refused stays as it was; the error is a *uac.ResponseError. When both sides offer at one time it tries
// again a while later.
func (c *Call) Offer(ctx context.Context, d *sdp.Description) (*sdp.Description, error) {
	for {
		answer, err := c.offer(ctx, d)
		var refused *uac.ResponseError
		if !errors.As(err, &refused) || refused.Status != 491 {
			return answer, err
		}
		wait := time.Duration(rand.IntN(200)) * 10 * time.Millisecond
		if c.Caller { // the owner of the Call-ID waits longer
			wait = 2100*time.Millisecond + time.Duration(rand.IntN(190))*10*time.Millisecond
		}
		select {
		case <-time.After(wait):
		case <-c.done:
			return nil, ErrEnded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Call) offer(ctx context.Context, d *sdp.Description) (*sdp.Description, error) {
	c.mu.Lock()
	if c.offering {
		c.mu.Unlock()
		return nil, errors.New("another offer is on its way")
	}
	c.offering = true
	d.After(c.local)
	o := c.d.Request("INVITE", uac.AppendField(c.contact[:len(c.contact):len(c.contact)], "Content-Type", sdp.MediaType), d.Bytes())
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.offering = false
		c.mu.Unlock()
	}()
	in := &inviting{a: c.a, repeat: c.renumbered}
	o, res, err := in.run(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.d.Answered(res)
	c.mu.Unlock()
	in.acknowledge(c, o, res)
	answer, _, bad := description(contentType(res), res.Body())
	if bad != nil || answer == nil || answer.Match(d) != nil {
		return nil, fmt.Errorf("%w of the re-INVITE", ErrAnswer)
	}
	c.mu.Lock()
	c.local, c.remote = d, answer
	c.mu.Unlock()
	return answer, nil
}
