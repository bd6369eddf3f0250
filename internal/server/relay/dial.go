package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"imp/internal/msrp/wire"
)

// retryTime is how long a next hop that could not be reached is not tried again.
const retryTime = 2 * time.Second

// connect is the life of a connection to a next hop. What was put out for it meanwhile waits.
func (c *conn) connect(u wire.URI) {
	defer c.relay.running.Done()
	nc, err := c.dial(u)
	if err != nil {
		c.relay.failed(u.Authority())
		c.relay.cfg.Log.Info("connecting to a next hop", "uri", u.Authority(), "error", err)
		c.close(err)
		return
	}
	c.setConn(nc)
	if c.gone.Load() {
		nc.Close()
		return
	}
	c.rd = wire.NewReader(c, wire.Limits{})
	c.ready()
	c.close(c.read())
}

// failed notes a next hop that could not be reached.
func (r *Relay) failed(authority string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unreachable[authority] = time.Now()
}

func (c *conn) dial(u wire.URI) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.relay.ctx, dialTime)
	defer cancel()
	nc, err := c.relay.connectTo(ctx, u)
	if err != nil {
		return nil, err
	}
	if nc = c.overTCP(nc); !u.Secure {
		return nc, nil
	}
	t := tls.Client(nc, c.relay.cfg.ClientTLS(u.Host))
	if err := t.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", u.Host, err)
	}
	return t, nil
}

// connectTo connects, if the address may be connected to.
func (r *Relay) connectTo(ctx context.Context, u wire.URI) (net.Conn, error) {
	if r.cfg.Dial != nil {
		return r.cfg.Dial(ctx, "tcp", u.Address())
	}
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || r.cfg.AllowNextHop == nil {
			return err
		}
		return r.cfg.AllowNextHop(u.Host, at)
	}}
	return d.DialContext(ctx, "tcp", u.Address())
}
