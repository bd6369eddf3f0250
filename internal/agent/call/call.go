// Package call implements sessions made with INVITE (RFC 3261 sections 13 to 15) for user agents: both sides, with an
// offer in INVITE and its answer in the 2xx (RFC 3264), re-INVITE, and UPDATE (RFC 3311) where a peer sends it.
//
// What the descriptions say is up to those who call and are called.
package call

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/sdp"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

// Config holds what an agent is told. User is needed.
type Config struct {
	User *useragent.UserAgent
	// Invited is told of each INVITE that begins a call, on a goroutine of its own; it must accept or refuse it. nil:
	// all are answered 480.
	Invited func(*Incoming)
	// Capabilities is the description in the answer to OPTIONS; nil: there is none.
	Capabilities *sdp.Description
}

// Agent makes and takes calls. Its methods are safe for concurrent use.
type Agent struct {
	cfg Config

	mu    sync.Mutex
	calls map[id]*Call
	asked int // calls that were neither accepted nor refused yet
}

// id is what requests within a dialog are found by.
type id struct{ callID, local, remote string }

const (
	allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"
	// maxAsked bounds the INVITEs that wait for a decision.
	maxAsked = 64
)

// New makes an agent and sets the handlers of its user agent, which must not be listening yet.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg, calls: make(map[id]*Call)}
	s := cfg.User.Stack
	s.Handle("INVITE", a.invite)
	s.Handle("ACK", a.ack)
	s.Handle("BYE", a.bye)
	s.Handle("UPDATE", a.update)
	s.Handle("OPTIONS", a.options)
	return a
}

// accepted are the bodies that are understood.
const accepted = sdp.MediaType + ", multipart/related, multipart/mixed"

func (a *Agent) options(context.Context, *stack.Request) *stack.Response {
	res := stack.Answer(sip.StatusOK, stack.Field{Name: "Allow", Value: allow}, stack.Field{Name: "Accept", Value: accepted})
	if a.cfg.Capabilities != nil {
		res.Body, res.ContentType = a.cfg.Capabilities.Bytes(), sdp.MediaType
	}
	return res
}

// add makes a call known.
func (a *Agent) add(c *Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[c.id()] = c
}

func (a *Agent) remove(c *Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, c.id())
}

// find gives the call that a request belongs to.
func (a *Agent) find(r *stack.Request) *Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[id{r.CallID().Value(), r.ToTag(), r.FromTag()}]
}

// noCall is the answer to a request for a dialog that is not there.
func noCall() *stack.Response { return stack.Answer(sip.StatusCallTransactionDoesNotExists) }

func (a *Agent) ack(_ context.Context, r *stack.Request) *stack.Response {
	if c := a.find(r); c != nil {
		c.acked(r.CSeq().SeqNo)
	}
	return stack.Answer(sip.StatusOK)
}

func (a *Agent) bye(_ context.Context, r *stack.Request) *stack.Response {
	c := a.find(r)
	if c == nil {
		return noCall()
	}
	if refusal := c.accept(r); refusal != nil {
		return refusal
	}
	c.end(ErrEnded)
	return stack.Answer(sip.StatusOK)
}

// ErrEnded is the Err of a call that the peer has ended with BYE.
var ErrEnded = errors.New("the peer has ended the session")

// ErrAnswer is wrapped by the error of a call whose answer is none to its offer: it was ended.
var ErrAnswer = errors.New("the answer is none to the offer")

// description reads the description of a message, nil without one. The response refuses what cannot be read.
func description(contentType string, body []byte) (*sdp.Description, []sdp.Icon, *stack.Response) {
	if len(body) == 0 {
		return nil, nil, nil
	}
	text, icons, err := sdp.Unwrap(contentType, body)
	if errors.Is(err, sdp.ErrNoSDP) {
		return nil, nil, stack.Answer(sip.StatusUnsupportedMediaType, stack.Field{Name: "Accept", Value: accepted})
	}
	if err != nil {
		return nil, nil, refusal(sip.StatusBadRequest, err.Error())
	}
	d, err := sdp.Parse(text)
	if err != nil {
		return nil, nil, refusal(sip.StatusBadRequest, err.Error())
	}
	return d, icons, nil
}

// refusal is a response with a text that tells why.
func refusal(status int, why string) *stack.Response {
	if why == "" {
		return stack.Answer(status)
	}
	return stack.Answer(status, stack.Field{Name: "Warning", Value: "399 imp " + quoted(why)})
}

// quoted makes a quoted-string of one line (RFC 3261 section 25.1).
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// contentType is the value of Content-Type of a message.
func contentType(m header.Message) string {
	v, _, err := header.Single(m, "Content-Type")
	if err != nil {
		return ""
	}
	return v
}

// address reads From or To.
func address(m header.Message, name string) (header.Address, error) {
	v, _, err := header.Single(m, name)
	if err != nil {
		return header.Address{}, err
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return header.Address{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return header.Address{Display: strings.Clone(a.Display), URI: strings.Clone(a.URI)}, nil
}
