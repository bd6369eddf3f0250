package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"imp/internal/auth/certs"
	"imp/internal/transport/websocket"
)

var (
	errHandshake = errors.New("the handshake was not done in time")
	errNoTLS     = errors.New("there is no certificate for it")
)

// greet does the handshakes of an accepted connection, on the goroutine of that. A peer that says nothing takes part
// in no bound but that of connections.
func (c *conn) greet(nc net.Conn) (net.Conn, error) {
	s := c.s
	return c.within(nc, func(ctx context.Context) (net.Conn, error) {
		first := make([]byte, 1)
		if _, err := nc.Read(first); err != nil {
			return nil, err
		}
		done, err := s.handshakes.take(ctx, addrPort(nc.RemoteAddr()).Addr())
		if err != nil {
			return nil, err
		}
		defer done()
		nc := resume(nc, first)
		if c.kind.secure {
			t, err := c.greetTLS(ctx, nc)
			if err != nil {
				return nil, err
			}
			nc = t
		}
		if c.kind.framed {
			return c.greetWS(nc)
		}
		return nc, nil
	})
}

// within bounds the time of a handshake: nc is closed at its end, or when it fails.
func (c *conn) within(nc net.Conn, handshake func(context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.s.ctx, c.s.cfg.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	done, err := handshake(ctx)
	if !stop() {
		err = errHandshake
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return done, nil
}

func (c *conn) greetTLS(ctx context.Context, nc net.Conn) (*tls.Conn, error) {
	cfg := c.s.serverTLS()
	if cfg == nil {
		return nil, errNoTLS
	}
	t := tls.Server(nc, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if state := t.ConnectionState(); len(state.VerifiedChains) > 0 {
		c.certificate = state.PeerCertificates[0]
	}
	return t, nil
}

func (s *Stack) serverTLS() *tls.Config {
	if s.cfg.ServerTLS == nil {
		return nil
	}
	return s.cfg.ServerTLS()
}

// dial establishes an outgoing connection, to the first address that answers.
func (c *conn) dial(to []netip.AddrPort) (nc net.Conn, err error) {
	ctx, cancel := context.WithTimeout(c.s.ctx, c.s.cfg.DialTimeout)
	defer cancel()
	for _, a := range to {
		if nc, err = c.dialOne(ctx, a, nil); err == nil {
			return nc, nil
		}
	}
	return nil, err
}

// dialOne connects to one address; a web server that asks for credentials is asked once more.
func (c *conn) dialOne(ctx context.Context, a netip.AddrPort, refused *websocket.Refused) (net.Conn, error) {
	nc, err := c.kind.dial(ctx, a, c.name)
	if err != nil || !c.kind.named() {
		return nc, err
	}
	nc, err = c.introduce(nc, refused)
	if r := c.challenged(err); r != nil && refused == nil {
		return c.dialOne(ctx, a, r)
	}
	return nc, err
}

// introduce does the handshakes of a connection that was dialled. refused is what a web server has answered before.
func (c *conn) introduce(nc net.Conn, refused *websocket.Refused) (net.Conn, error) {
	return c.within(nc, func(ctx context.Context) (net.Conn, error) {
		if c.kind.secure {
			t, err := c.introduceTLS(ctx, nc)
			if err != nil {
				return nil, fmt.Errorf("TLS with %s for %q: %w", nc.RemoteAddr(), c.name, err)
			}
			nc = t
		}
		if c.kind.framed {
			return c.introduceWS(nc, refused)
		}
		return nc, nil
	})
}

func (c *conn) introduceTLS(ctx context.Context, nc net.Conn) (*tls.Conn, error) {
	cfg := c.s.cfg.ClientTLS(c.name)
	if c.kind.framed {
		cfg = certs.Web(cfg, c.name)
	}
	t := tls.Client(nc, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	unchecked := cfg.InsecureSkipVerify && cfg.VerifyConnection == nil && cfg.VerifyPeerCertificate == nil
	if state := t.ConnectionState(); !unchecked && len(state.PeerCertificates) > 0 {
		c.certificate = state.PeerCertificates[0]
	}
	return t, nil
}

// resumed is a connection of which something has been read already.
type resumed struct {
	net.Conn
	rest []byte
}

// resume gives nc with what has been read of it before the rest.
func resume(nc net.Conn, rest []byte) net.Conn {
	if len(rest) == 0 {
		return nc
	}
	return &resumed{nc, rest}
}

func (r *resumed) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.rest = nil
	}
	return n, nil
}

// NetConn is the connection below.
func (r *resumed) NetConn() net.Conn { return r.Conn }

// CloseWrite ends what goes out, where the connection below can do that alone.
func (r *resumed) CloseWrite() error {
	if h, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// bottom is the connection below all layers.
func bottom(nc net.Conn) net.Conn {
	for {
		layer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = layer.NetConn()
	}
}
