package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"imp/internal/transport/websocket"
)

// Listener takes connections of peers.
type Listener struct {
	node      *Node
	transport string
	ln        net.Listener
}

// Listen takes connections on addr from then on, for all sessions of the Node; transport is "tcp", "tls", "ws" or
// "wss". A ws listener must be on this machine alone: MSRP over WebSocket is secured (RFC 7977 section 5.1). The error
// is of the network, or says what is missing.
func (n *Node) Listen(ctx context.Context, transport, addr string) (*Listener, error) {
	switch transport {
	case "tcp":
	case "tls", "wss":
		if n.cfg.ServerTLS == nil && n.cfg.Certificate == nil {
			return nil, fmt.Errorf("listening on %s:%s: there is no certificate", transport, addr)
		}
	case "ws":
		host, _, _ := net.SplitHostPort(addr)
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("listening on ws:%s: without TLS it must be an address of this machine only", addr)
		}
	default:
		return nil, fmt.Errorf("listening on %s:%s: the transport is not one of tcp, tls, ws, wss", transport, addr)
	}
	ln, err := n.cfg.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &Listener{node: n, transport: transport, ln: ln}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		ln.Close()
		return nil, ErrClosed
	}
	n.listeners[l] = struct{}{}
	n.wait.Add(1)
	go l.accept()
	return l, nil
}

// Transport is "tcp", "tls", "ws" or "wss".
func (l *Listener) Transport() string { return l.transport }

// Addr is host:port.
func (l *Listener) Addr() string { return l.ln.Addr().String() }

// Close takes no more connections. Those that are there stay.
func (l *Listener) Close() error {
	l.node.mu.Lock()
	delete(l.node.listeners, l)
	l.node.mu.Unlock()
	return l.ln.Close()
}

func (l *Listener) accept() {
	n := l.node
	defer n.wait.Done()
	pause := time.Millisecond
	for {
		nc, err := l.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, mostly
			n.log.Warn("accepting a connection", "error", err)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		n.mu.Lock()
		full := n.closed || n.accepted >= n.cfg.Limits.Connections || n.strangers >= n.cfg.Limits.Handshakes
		if !full {
			n.accepted++
			n.strangers++
			n.shaking[nc] = struct{}{}
			n.wait.Add(1)
		}
		n.mu.Unlock()
		if full {
			nc.Close()
			continue
		}
		go l.serve(nc)
	}
}

// serve does the handshakes of an accepted connection and begins to read.
func (l *Listener) serve(nc net.Conn) {
	n := l.node
	defer n.wait.Done()
	c := newConn(n, overTCP(nc), l.transport)
	c.accepted, c.stranger = true, true
	nc.SetDeadline(n.cfg.Now().Add(n.cfg.Times.Probation))
	err := c.accept()
	n.mu.Lock()
	delete(n.shaking, nc)
	n.mu.Unlock()
	if err == nil {
		nc.SetWriteDeadline(time.Time{})
		err = c.start()
	}
	if err != nil {
		n.log.Debug("msrp: a peer's connection was refused", "remote", nc.RemoteAddr().String(), "error", err)
		nc.Close()
		n.gone(c)
	}
}

func (c *Conn) accept() error {
	if c.transport == "tls" || c.transport == "wss" {
		cfg := c.node.serverTLS()
		if c.transport == "wss" {
			cfg.NextProtos = []string{"http/1.1"}
		}
		t := tls.Server(c.nc, cfg)
		if err := t.Handshake(); err != nil {
			return err
		}
		state := t.ConnectionState()
		c.nc, c.tls = t, &state
	}
	if c.transport == "ws" || c.transport == "wss" {
		server := websocket.Server{Protocol: subprotocol, MaxHeader: maxHandshake}
		rest, err := server.Accept(c.nc)
		if err != nil {
			return err
		}
		c.ws = newFrames(c, true, rest)
	}
	return nil
}

// gone forgets a connection.
func (n *Node) gone(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
	if d := n.dialled[c.key]; d != nil && d.conn == c {
		delete(n.dialled, c.key)
	}
	if c.accepted {
		c.accepted = false
		n.accepted--
	}
	if c.stranger {
		c.stranger = false
		n.strangers--
	}
}

// known tells that a connection belongs to a session now.
func (n *Node) known(c *Conn) {
	n.mu.Lock()
	stranger := c.stranger
	if stranger {
		c.stranger = false
		n.strangers--
	}
	n.mu.Unlock()
	if stranger {
		c.nc.SetReadDeadline(time.Time{})
	}
}
