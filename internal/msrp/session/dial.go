package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"imp/internal/transport/websocket"
)

// dial is a connection that we made, or are making; all who want the same hop wait for it.
type dial struct {
	done chan struct{}
	conn *Conn
	err  error
}

func (h Hop) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s", h.Transport, strings.ToLower(h.Addr), strings.ToLower(h.Name), h.Path)
	for _, f := range h.Peer {
		b.WriteString(" " + f.String())
	}
	if h.Group != "" {
		b.WriteString(" group " + h.Group)
	}
	return b.String()
}

// Connect gives a connection to a hop, the one that is there if there is one (RFC 4975 section 5.4). It is kept until
// Release and as long as sessions use it. The error wraps that of the network or of TLS.
func (n *Node) Connect(ctx context.Context, hop Hop) (*Conn, error) {
	return n.connect(ctx, hop, nil)
}

// connect makes or shares a connection; one with a certificate of its own is not shared.
func (n *Node) connect(ctx context.Context, hop Hop, own *tls.Certificate) (*Conn, error) {
	if hop.Name == "" {
		hop.Name, _, _ = net.SplitHostPort(hop.Addr)
	}
	key := hop.key()
	if own != nil {
		key += fmt.Sprintf(" %p", own)
	}
	for {
		n.mu.Lock()
		if n.closed {
			n.mu.Unlock()
			return nil, ErrClosed
		}
		d := n.dialled[key]
		if d == nil {
			d = &dial{done: make(chan struct{})}
			n.dialled[key] = d
			n.mu.Unlock()
			conn, err := n.open(ctx, hop, key, own)
			n.mu.Lock()
			d.conn, d.err = conn, err
			n.mu.Unlock()
			if err != nil {
				n.undial(key, d)
			}
			close(d.done)
			return conn, err
		}
		n.mu.Unlock()
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if d.err == nil && d.conn.use() {
			return d.conn, nil
		}
		n.undial(key, d)
		if d.err != nil && !errors.Is(d.err, context.Canceled) && !errors.Is(d.err, context.DeadlineExceeded) {
			return nil, d.err
		}
	}
}

func (n *Node) undial(key string, d *dial) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dialled[key] == d {
		delete(n.dialled, key)
	}
}

// open connects to the addresses of a hop in turn.
func (n *Node) open(ctx context.Context, hop Hop, key string, own *tls.Certificate) (*Conn, error) {
	addrs, err := n.lookup(ctx, hop.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", hop.Addr, err)
	}
	var first error
	for _, addr := range addrs {
		c, err := n.openAddr(ctx, hop, addr, own)
		if err == nil {
			c.key = key
			if err = c.start(); err == nil {
				return c, nil
			}
		}
		if first == nil {
			first = fmt.Errorf("connecting to %s: %w", hop.Addr, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func (n *Node) openAddr(ctx context.Context, hop Hop, addr string, own *tls.Certificate) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Times.Connect)
	defer cancel()
	nc, err := n.cfg.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	nc = overTCP(nc)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	c := newConn(n, nc, hop.Transport)
	c.dialled, c.users = true, 1
	if hop.Group != "" {
		c.linger = 0
	}
	if hop.Transport == "tls" || hop.Transport == "wss" {
		cfg := n.clientTLS(hop, own)
		if hop.Transport == "wss" {
			cfg.NextProtos = []string{"http/1.1"}
		}
		t := tls.Client(nc, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		state := t.ConnectionState()
		c.nc, c.tls = t, &state
	}
	switch hop.Transport {
	case "tcp", "tls":
	case "ws", "wss":
		if err := c.clientHandshake(hop); err != nil {
			nc.Close()
			return nil, err
		}
	default:
		nc.Close()
		return nil, fmt.Errorf("transport %q is not one of MSRP: tcp, tls, ws, wss", hop.Transport)
	}
	if !stop() {
		nc.Close()
		return nil, context.Cause(ctx)
	}
	return c, nil
}

// subprotocol is the name of MSRP in WebSocket handshakes (RFC 7977 section 4.1).
const subprotocol = "msrp"

const maxHandshake = 8 << 10 // bytes of its header

func (c *Conn) clientHandshake(hop Hop) error {
	path := hop.Path
	if path == "" {
		path = "/"
	}
	client := websocket.Client{Protocol: subprotocol, Host: hop.Addr, Path: path, MaxHeader: maxHandshake}
	_, rest, err := client.Connect(c.nc)
	if err != nil {
		return err
	}
	c.ws = newFrames(c, false, rest)
	return nil
}
