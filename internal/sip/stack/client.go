package stack

import (
	"context"
	"errors"

	sip "github.com/emiago/sipgo/sip"
)

var (
	// ErrTimeout ends a client transaction that got no final answer in 64*T1 (timer F).
	ErrTimeout = errors.New("no answer")
	// ErrTransport is wrapped by what ends a client transaction whose request could not be sent or whose
	// connection was closed before the answer.
	ErrTransport = errors.New("transport failed")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("stack closed")
	// ErrInUse is wrapped by Listen when an address is already in use.
	ErrInUse = errors.New("address already in use")
)

// Target says where a request goes.
type Target struct {
	Flow      *Flow  // used while it is alive, then Addr: streams the same connection, UDP the same listener to the flow's remote address
	Transport string // "" = udp, or tcp for more than 1300 bytes (RFC 3261 18.1.1)
	Addr      string // host:port or host; the port is 5060 (5061 where secure) by default
}

// Outgoing is a request to be sent. Head and Body are never changed and may be shared.
type Outgoing struct {
	Method string
	URI    string // Request-URI
	Head   []byte // header fields, each with its CRLF; without Via, Content-Length and the empty line
	Body   []byte
	Target Target

	NoUDPFallback bool // a request sent over TCP for its size is not repeated over UDP when there is no connection
	NoTCP         bool // UDP whatever the size
}

// Send starts a non-INVITE client transaction (RFC 3261 17.1.2) and returns at once. done is called exactly once, on
// a goroutine of the stack, and must not block: with the final response, or with ErrTimeout, ErrClosed or an error
// that wraps ErrTransport. o must not be changed until then. Without a transport in the target a request of more than
// 1300 bytes goes over TCP, and over UDP after all where TCP is refused or silent for Config.DialTimeout.
func (s *Stack) Send(o *Outgoing, done func(*sip.Response, error)) { go done(nil, ErrClosed) }

// Do is Send that waits. The end of ctx ends the waiting, not the transaction.
func (s *Stack) Do(ctx context.Context, o *Outgoing) (*sip.Response, error) {
	type result struct {
		res *sip.Response
		err error
	}
	ch := make(chan result, 1)
	s.Send(o, func(res *sip.Response, err error) { ch <- result{res, err} })
	select {
	case r := <-ch:
		return r.res, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
