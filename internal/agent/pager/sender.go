// Package pager implements SIP MESSAGE (RFC 3428), the pager mode of instant
// messaging: its sender and its receiver, and for both the disposition
// notifications of RFC 5438.
package pager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// SenderConfig holds what a sender is told. Wire and From are needed.
type SenderConfig struct {
	Wire uac.Wire
	From header.Address
	// Proxy is the first hop; zero: where the target leads. One without a
	// transport is reached over TCP where there is TCP. One over UDP gets
	// messages of more than 1300 bytes over TCP too.
	Proxy stack.Target
	// SIPURI turns an im or pres URI into the SIP URI to write to (RFC 3428
	// section 5). When it fails or is nil the URI is sent on as it is.
	SIPURI func(ctx context.Context, uri string) (string, error)
	// Authenticate answers challenges; nil takes them as refusals.
	Authenticate uac.Authenticator
	Now          func() time.Time // the wall clock; nil: time.Now
}

// Sender sends messages of one user. Its methods are safe for concurrent use.
type Sender struct {
	cfg SenderConfig

	mu    sync.Mutex
	turns map[string]chan struct{} // by address of record; full while a message is unanswered
}

// NewSender makes a sender.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sender{cfg: cfg, turns: make(map[string]chan struct{})}
}

// Outgoing is a message to be sent.
type Outgoing struct {
	To      string // URI
	Type    string // value of Content-Type
	Body    []byte
	Expires time.Duration // how long it is of use; 0: always
	Fields  []stack.Field // Subject, In-Reply-To and the like
}

// Receipt is the success of a message.
type Receipt struct {
	Status int // 200: a user agent has it; another 2xx: somebody will try to deliver it (RFC 3428 section 4)
	Reason string
	CallID string
	To     string // URI that it was sent to, which differs from the one asked for where that was no SIP URI
}

// Delivered tells whether a user agent got the message, which does not say that
// somebody has read it, nor that it is the only one.
func (r Receipt) Delivered() bool { return r.Status == sip.StatusOK }

var (
	// ErrEmpty is returned for a message without content.
	ErrEmpty = errors.New("the message is empty")
	// ErrNeedsStream is wrapped by the error for a message of more than 1300
	// bytes, with all of its header, that found no way but UDP (RFC 3428 section
	// 8).
	ErrNeedsStream = errors.New("messages of more than 1300 bytes do not go over UDP")
)

// Declined tells whether an error is the 6xx of somebody who got the message
// and does not want it; other refusals mean that it was not delivered (RFC 3428
// section 7).
func Declined(err error) bool {
	var refused *uac.ResponseError
	return errors.As(err, &refused) && refused.Status >= 600
}

// Send sends a message and waits for the final response. Messages to one
// address of record wait for each other (RFC 3428 section 8). Errors are
// ErrEmpty, ErrNeedsStream, *uac.ResponseError, those of the stack, and that of
// ctx, whose end gives up the waiting, not the message.
func (s *Sender) Send(ctx context.Context, m Outgoing) (Receipt, error) {
	if len(m.Body) == 0 {
		return Receipt{}, ErrEmpty
	}
	fields, err := s.fields(m)
	if err != nil {
		return Receipt{}, err
	}
	to := s.target(ctx, m.To)
	chain, err := uac.NewChain(uac.ChainConfig{Method: "MESSAGE", URI: to, From: s.cfg.From, Route: uac.Route{Hop: s.cfg.Proxy}})
	if err != nil {
		return Receipt{}, err
	}
	turn := s.turn(to)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
	type result struct {
		got Receipt
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := s.exchange(chain, fields, m.Body)
		got.To = to
		<-turn
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// target is the URI to write to: a SIP URI where one can be found (RFC 3428
// section 5).
func (s *Sender) target(ctx context.Context, uri string) string {
	u, err := header.ParseURI(uri)
	if err != nil || u.Scheme != "im" && u.Scheme != "pres" || s.cfg.SIPURI == nil {
		return uri
	}
	if found, err := s.cfg.SIPURI(ctx, uri); err == nil {
		return found
	}
	return uri
}

// turn is the right to send to an address of record.
func (s *Sender) turn(uri string) chan struct{} {
	if u, err := header.ParseURI(uri); err == nil {
		uri = u.AOR()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns[uri] == nil {
		s.turns[uri] = make(chan struct{}, 1)
	}
	return s.turns[uri]
}

// fields renders what follows CSeq. There is no Contact (RFC 3428 section 4).
func (s *Sender) fields(m Outgoing) ([]byte, error) {
	if _, err := header.ParseContentType(m.Type); err != nil {
		return nil, err
	}
	b, err := uac.RenderFields(m.Fields)
	if err != nil {
		return nil, err
	}
	if m.Expires > 0 {
		b = uac.AppendField(b, "Expires", strconv.FormatInt(int64((m.Expires+time.Second-1)/time.Second), 10))
		b = uac.AppendField(b, "Date", s.cfg.Now().UTC().Format(http.TimeFormat))
	}
	return uac.AppendField(b, "Content-Type", m.Type), nil
}

// exchange sends the message, over a stream first where the transport is open
// (RFC 3428 section 8).
func (s *Sender) exchange(chain *uac.Chain, fields, body []byte) (Receipt, error) {
	hop := chain.Hop
	if hop.Transport == "udp" {
		hop.Transport = "" // as far as the size allows
	} else if hop.Addr != "" && hop.Transport == "" && hop.URI == "" {
		chain.Hop.Transport = "tcp"
		got, err := s.try(chain, fields, body)
		if !unconnected(err) {
			return got, err
		}
	}
	chain.Hop = hop
	got, err := s.try(chain, fields, body)
	if unconnected(err) && hop.Transport == "" {
		return Receipt{}, fmt.Errorf("%w: %w", ErrNeedsStream, err)
	}
	return got, err
}

// unconnected tells whether a message never left because there was no
// connection.
func unconnected(err error) bool {
	var dial *net.OpError
	return errors.Is(err, stack.ErrTransport) && errors.As(err, &dial) && dial.Op == "dial"
}

func (s *Sender) try(chain *uac.Chain, fields, body []byte) (Receipt, error) {
	o := chain.Request(fields, body)
	o.NoUDPFallback = true
	res, cause, err := chain.Exchange(s.cfg.Wire, s.cfg.Authenticate, o)
	switch {
	case err != nil:
		return Receipt{}, err
	case !res.IsSuccess():
		return Receipt{}, uac.Refusal(res, cause)
	}
	return Receipt{Status: res.StatusCode, Reason: res.Reason, CallID: chain.CallID}, nil
}
