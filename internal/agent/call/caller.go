package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/sdp"
	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Outgoing is a call to be made.
type Outgoing struct {
	To     string // SIP URI
	Offer  *sdp.Description
	Icons  []sdp.Icon    // of files; left out for a peer that does not take them
	Fields []stack.Field // further header fields
	// Ringing is told of provisional responses; nil: nobody is.
	Ringing func(status int, reason string)
}

// Invite calls, and waits for the answer. When ctx ends the call is given up with CANCEL, and ended if it is answered
// all the same. The error is a *uac.ResponseError for a refusal, one that wraps ErrAnswer for an answer that cannot be
// used, or that of the stack or ctx.
func (a *Agent) Invite(ctx context.Context, out Outgoing) (*Call, error) {
	u := a.cfg.User
	chain, err := uac.NewChain(uac.ChainConfig{Method: "INVITE", URI: out.To, From: u.AOR, Route: uac.Route{Hop: u.Proxy}})
	if err != nil {
		return nil, err
	}
	contact := u.Contact(chain.Hop)
	fields, err := uac.RenderFields(out.Fields)
	if err != nil {
		return nil, err
	}
	fields = uac.AppendField(fields, "Contact", "<"+contact+">")
	fields = uac.AppendField(fields, "Allow", allow)
	fields = uac.AppendField(fields, "Accept", accepted)
	request := func(icons []sdp.Icon) (*stack.Outgoing, error) {
		kind, body := sdp.MediaType, out.Offer.Bytes()
		if len(icons) > 0 {
			if kind, body, err = sdp.Related(body, icons, stack.NewTag()); err != nil {
				return nil, err
			}
		}
		return chain.Request(uac.AppendField(fields[:len(fields):len(fields)], "Content-Type", kind), body), nil
	}
	o, err := request(out.Icons)
	if err != nil {
		return nil, err
	}
	in := &inviting{a: a, repeat: chain.Repeat}
	o, res, err := in.run(ctx, o, out.Ringing)
	var refused *uac.ResponseError
	if errors.As(err, &refused) && refused.Status == sip.StatusUnsupportedMediaType && len(out.Icons) > 0 {
		for _, m := range out.Offer.Media {
			if m.File != nil && m.File.Icon != "" {
				bare := *m.File
				bare.Icon, m.File = "", &bare
			}
		}
		if o, err = request(nil); err != nil {
			return nil, err
		}
		in = &inviting{a: a, repeat: chain.Repeat}
		o, res, err = in.run(ctx, o, out.Ringing)
	}
	if err != nil {
		return nil, err
	}
	return in.begin(o, res, out.Offer, header.Address{URI: out.To}, contact)
}

// inviting is an INVITE with its retries for challenges.
type inviting struct {
	a      *Agent
	repeat func(*stack.Outgoing) *stack.Outgoing // with another CSeq

	mu   sync.Mutex
	acks map[string]*stack.Outgoing // to the 2xx, by tag
}

type heard struct {
	res *sip.Response
	err error
}

// run sends o and gives it, as it was answered, with the 2xx.
func (in *inviting) run(ctx context.Context, o *stack.Outgoing, ringing func(int, string)) (*stack.Outgoing, *sip.Response, error) {
	for tries := 0; ; tries++ {
		res, err := in.once(ctx, o, ringing)
		if err != nil {
			return nil, nil, err
		}
		if res.IsSuccess() {
			return o, res, nil
		}
		re := in.a.cfg.User.Authenticate.React(res, o)
		if re.Retry == nil || tries == uac.MaxChallenges || ctx.Err() != nil {
			return nil, nil, uac.Refusal(res, re.Cause)
		}
		o = in.repeat(re.Retry)
	}
}

// once runs one transaction to its final response.
func (in *inviting) once(ctx context.Context, o *stack.Outgoing, ringing func(int, string)) (*sip.Response, error) {
	answers := make(chan heard, 1)
	var first sync.Once
	inv := in.a.cfg.User.Stack.Invite(o, func(res *sip.Response, err error) {
		if err == nil && res.StatusCode < 200 {
			if ringing != nil && res.StatusCode > 100 {
				ringing(res.StatusCode, res.Reason)
			}
			return
		}
		again := true
		first.Do(func() { again = false; answers <- heard{res, err} })
		if again && err == nil {
			in.more(o, res)
		}
	})
	select {
	case h := <-answers:
		return h.res, h.err
	case <-ctx.Done():
	}
	inv.Cancel()
	select {
	case h := <-answers:
		if h.err == nil && h.res.IsSuccess() {
			in.discard(o, h.res) // it was too late
		}
	case <-time.After(cancelled):
	}
	return nil, fmt.Errorf("calling: %w", ctx.Err())
}

// cancelled is how long the answer to what was cancelled is waited for.
const cancelled = 2 * time.Second

// more takes a further 2xx: a retransmission gets the same ACK again, one of another branch is ended, since there is
// one session only (RFC 3261 section 13.2.2.4).
func (in *inviting) more(o *stack.Outgoing, res *sip.Response) {
	to, err := header.ParseAddress(value(res, "To"))
	if err != nil {
		return
	}
	in.mu.Lock()
	ack, known := in.acks[to.Tag()]
	began := in.acks != nil
	in.mu.Unlock()
	switch {
	case known:
		_ = in.a.cfg.User.Stack.Ack(ack, nil)
	case began:
		go in.discard(o, res)
	}
}

func value(m header.Message, name string) string {
	v, _, _ := header.Single(m, name)
	return v
}

// discard acknowledges a 2xx and ends its dialog at once.
func (in *inviting) discard(o *stack.Outgoing, res *sip.Response) {
	d, err := dialog.FromResponse(o, res)
	if err != nil {
		return
	}
	c := in.a.newCall(d, header.Address{}, o.URI)
	in.acknowledge(c, o, res)
	ctx, cancel := context.WithTimeout(context.Background(), uac.TransactionTime(0))
	defer cancel()
	_ = c.Bye(ctx)
}

// acknowledge sends the ACK to a 2xx; it has the credentials of its INVITE (RFC 3261 section 22.1).
func (in *inviting) acknowledge(c *Call, o *stack.Outgoing, res *sip.Response) {
	var fields []byte
	for _, line := range bytes.SplitAfter(o.Head, []byte("\r\n")) {
		if bytes.HasPrefix(line, []byte("Authorization:")) || bytes.HasPrefix(line, []byte("Proxy-Authorization:")) {
			fields = append(fields, line...)
		}
	}
	c.mu.Lock()
	ack := c.d.Ack(res.CSeq().SeqNo, fields, nil)
	tag := c.d.RemoteTag()
	c.mu.Unlock()
	in.mu.Lock()
	if in.acks == nil {
		in.acks = make(map[string]*stack.Outgoing)
	}
	in.acks[tag] = ack
	in.mu.Unlock()
	_ = in.a.cfg.User.Stack.Ack(ack, nil) // a 2xx that is repeated gets another one
}

// begin makes the call of a 2xx. An answer that cannot be used ends it.
func (in *inviting) begin(o *stack.Outgoing, res *sip.Response, offer *sdp.Description, peer header.Address, contact string) (*Call, error) {
	d, err := dialog.FromResponse(o, res)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	c := in.a.newCall(d, peer, contact)
	c.Caller = true
	c.local = offer
	in.a.add(c)
	in.acknowledge(c, o, res)
	answer, _, bad := description(contentType(res), res.Body())
	switch {
	case bad != nil:
		err = fmt.Errorf("%w: it cannot be read", ErrAnswer)
	case answer == nil:
		err = fmt.Errorf("%w: there is no description in it", ErrAnswer)
	default:
		if err = answer.Match(offer); err != nil {
			err = fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), uac.TransactionTime(0))
		defer cancel()
		_ = c.Bye(ctx)
		return nil, err
	}
	c.mu.Lock()
	c.remote = answer
	c.mu.Unlock()
	return c, nil
}
