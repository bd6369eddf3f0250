package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"imp/internal/transport/stun"
	"imp/internal/transport/websocket"
)

var (
	errNoPong = errors.New("no answer to a keep-alive")
	errMoved  = errors.New("the address that the peer sees has changed")
	errSTUN   = errors.New("the peer refuses keep-alives")
)

// The times of RFC 5626 4.4 and of RFC 5389 7.2.1.
const (
	pongTime     = 10 * time.Second
	streamPings  = 120 * time.Second
	datagramPing = 29 * time.Second
	stunRTO      = 500 * time.Millisecond
	stunRequests = 7
	stunLast     = 16 // RTOs to wait after the last one
)

// KeepAlive sends keep-alives until ctx ends or the flow has failed, which gives an error that wraps ErrTransport: a
// ping got no pong in ten seconds, its connection was closed, or, over UDP, the address that the peer sees has changed.
// The interval is random, from 80 to 100 per cent of every; 0 = of the standard's, 120 s for streams and 29 s for UDP.
// A Flow-Timer of the registrar is to be given as it is (RFC 5626 4.4).
func (f *Flow) KeepAlive(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		every = streamPings
		if !f.Stream() {
			every = datagramPing
		}
	}
	var mapped netip.AddrPort
	for {
		wait := time.NewTimer(every - mathrand.N(every/5+1))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-f.Done():
			wait.Stop()
			return fmt.Errorf("%w: %w", ErrTransport, errEnded)
		}
		now, err := f.Ping(ctx)
		if err != nil {
			return err
		}
		if mapped.IsValid() && now != mapped {
			return fmt.Errorf("%w: %w, from %s to %s", ErrTransport, errMoved, mapped, now)
		}
		mapped = now
	}
}

// Ping asks the peer for a sign of life: over tcp and tls with a double CRLF (RFC 5626 4.4.1), over ws and wss with a
// ping (RFC 7118 6), over UDP with a STUN Binding request (RFC 5626 4.4.2). mapped is the address from which the peer
// got the latter. A stream without an answer in ten seconds is closed; then, and when UDP gives no answer or a
// refusal, the error wraps ErrTransport. The end of ctx ends the waiting only.
func (f *Flow) Ping(ctx context.Context) (mapped netip.AddrPort, err error) {
	if f.conn == nil {
		mapped, err = f.socket.bind(ctx, f.remote)
	} else {
		err = f.conn.ping(ctx)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrTransport, err)
	}
	return mapped, err
}

// Done is closed when the connection is. Over UDP it is nil.
func (f *Flow) Done() <-chan struct{} {
	c := f.conn
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == nil {
		c.gone = make(chan struct{})
		if c.state == closed {
			close(c.gone)
		}
	}
	return c.gone
}

func (c *conn) ping(ctx context.Context) error {
	gone := c.Done()
	pong := make(chan struct{})
	c.mu.Lock()
	if c.state != open {
		c.mu.Unlock()
		return errEnded
	}
	c.pongs = append(c.pongs, pong)
	if len(c.pongs) == 1 {
		c.appendPing()
	}
	c.mu.Unlock()
	timer := time.NewTimer(pongTime)
	defer timer.Stop()
	select {
	case <-pong:
		return nil
	case <-gone:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		c.close(errNoPong)
		return errNoPong
	}
}

// appendPing queues a ping: between messages, as everything that is queued.
func (c *conn) appendPing() {
	if c.kind.framed {
		c.appendOp(nil, websocket.Ping)
	} else {
		c.append([]byte("\r\n\r\n"))
	}
}

// pong takes notice of an answer to a ping. It returns false when nobody has waited for one.
func (c *conn) pong() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	waited := len(c.pongs) > 0
	for _, p := range c.pongs {
		close(p)
	}
	c.pongs = nil
	return waited
}

// bindings of STUN that wait for their answer.
type stunPending struct {
	mu    sync.Mutex
	table map[stun.ID]chan stun.Message
}

// bind does a STUN transaction from this socket.
func (u *socket) bind(ctx context.Context, to netip.AddrPort) (netip.AddrPort, error) {
	var id stun.ID
	_, _ = rand.Read(id[:])
	answer := make(chan stun.Message, 1)
	p := &u.stun
	p.mu.Lock()
	if p.table == nil {
		p.table = make(map[stun.ID]chan stun.Message)
	}
	p.table[id] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.table, id)
		p.mu.Unlock()
	}()
	request := stun.AppendRequest(nil, id)
	wait := stunRTO
	for sent := 1; ; sent++ {
		if err := u.send(request, to); err != nil {
			return netip.AddrPort{}, err
		}
		if sent == stunRequests {
			wait = stunLast * stunRTO
		}
		timer := time.NewTimer(wait)
		select {
		case m := <-answer:
			timer.Stop()
			if m.Type != stun.BindingSuccess || !m.Mapped.IsValid() {
				return netip.AddrPort{}, fmt.Errorf("%w: STUN error %d", errSTUN, m.Code)
			}
			return m.Mapped, nil
		case <-ctx.Done():
			timer.Stop()
			return netip.AddrPort{}, ctx.Err()
		case <-u.s.ctx.Done():
			timer.Stop()
			return netip.AddrPort{}, ErrClosed
		case <-timer.C:
		}
		if sent == stunRequests {
			return netip.AddrPort{}, errNoPong
		}
		wait *= 2
	}
}

// takeSTUN answers a Binding request, or gives an answer to who waits for it. It reports whether data was STUN.
func (u *socket) takeSTUN(data []byte, remote netip.AddrPort) bool {
	if !stun.Is(data) {
		return false
	}
	m, err := stun.Parse(data)
	switch {
	case err != nil:
		u.s.malformed("STUN", u.kind, remote, data)
	case m.Type == stun.BindingRequest && m.Unknown != nil:
		_ = u.send(stun.AppendUnknown(nil, m.ID, m.Unknown), remote)
	case m.Type == stun.BindingRequest:
		_ = u.send(stun.AppendSuccess(nil, m.ID, remote), remote)
	default:
		u.stun.mu.Lock()
		answer := u.stun.table[m.ID]
		delete(u.stun.table, m.ID)
		u.stun.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
	return true
}

// send writes a datagram that is not SIP.
func (u *socket) send(b []byte, to netip.AddrPort) error {
	_, err := u.pc.WriteToUDPAddrPort(b, to)
	return err
}
