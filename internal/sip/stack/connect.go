package stack

import (
	"context"
	"fmt"
	"net/netip"
)

// Connect gives the flow to a target: the one it names while that is alive, an open connection to the same address
// over the same transport and for the same name (RFC 5626 4.3), or a new one. Over UDP it is the listener that suits
// the address. Whoever keeps a flow open for what the peer sends (RFC 5626) sends and pings over it. A target without
// Flow and Addr is located for uri by Config.Locate; the targets found are tried in their order. Errors wrap
// ErrTransport, but for that of ctx.
func (s *Stack) Connect(ctx context.Context, uri string, t Target) (*Flow, error) {
	if t.Flow != nil && !t.Flow.Closed() {
		return t.Flow, nil
	}
	targets, err := []Target{t}, error(nil)
	if s.cfg.Locate != nil && (t.Addr == "" || t.URI != "") {
		if targets, err = s.cfg.Locate(ctx, uri); err != nil {
			return nil, fmt.Errorf("%w: connecting for %s: %w", ErrTransport, uri, err)
		}
	}
	err = errNoTarget
	for _, t := range targets {
		var f *Flow
		if f, err = s.connect(ctx, t); err == nil {
			return f, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connecting to %s: %w", t.Addr, ctx.Err())
		}
	}
	return nil, fmt.Errorf("%w: connecting for %s: %w", ErrTransport, uri, err)
}

func (s *Stack) connect(ctx context.Context, t Target) (*Flow, error) {
	k, err := s.kindOf(t.Transport)
	if err != nil {
		return nil, err
	}
	if t.Addr == "" {
		return nil, errNoTarget
	}
	host, port, err := splitHostPort(t.Addr, k.port)
	if err != nil {
		return nil, err
	}
	to, err := s.lookup(ctx, host, port)
	if err != nil {
		return nil, err
	}
	if !k.stream {
		return s.flowTo(to)
	}
	name := t.Domain
	if name == "" {
		name = host
	}
	c, err := s.connTo(k, to, name)
	if err != nil {
		return nil, err
	}
	return c.await(ctx)
}

// flowTo is the way over UDP to the first of the addresses that can be reached.
func (s *Stack) flowTo(to []netip.AddrPort) (*Flow, error) {
	for _, a := range to {
		if u := s.socketFor(a.Addr()); u != nil {
			return &Flow{kind: u.kind, local: u.local, remote: a, socket: u}, nil
		}
	}
	return nil, errNoSocket
}

// await waits until the connection is there.
func (c *conn) await(ctx context.Context) (*Flow, error) {
	ready := make(chan struct{})
	c.mu.Lock()
	state := c.state
	if state == connecting {
		c.ready = append(c.ready, ready)
	}
	c.mu.Unlock()
	if state == connecting {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return nil, c.cause
	}
	return &c.Flow, nil
}

// settled tells those who wait that the connection is there or will not be.
func (c *conn) settled() {
	for _, r := range c.ready {
		close(r)
	}
	c.ready = nil
}
