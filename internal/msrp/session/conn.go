package session

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"imp/internal/msrp/wire"
	"imp/internal/transport/tcp"
)

// Conn is a connection to a peer or to a relay. Sessions share it; one goroutine reads it and one writes it.
type Conn struct {
	node      *Node
	nc        net.Conn
	transport string // "tcp", "tls", "ws", "wss"
	tls       *tls.ConnectionState
	ws        *frames // nil without WebSocket
	key       string  // of Hop, when dialled
	dialled   bool
	accepted  bool // counted by the Node, whose lock guards it
	stranger  bool // the same

	reader  *wire.Reader
	answers []byte   // responses and reports that were made since the last read; of the reading goroutine
	last    *Session // that the last request was for
	report  *wire.IDs

	mu       sync.Mutex
	work     sync.Cond // for the writing goroutine
	room     sync.Cond // for those that wait for out and trans
	out      []byte    // whole frames to write
	ready    []*outgoing
	trans    transactions
	ids      *wire.IDs
	stalled  bool // reading waits for a reader of messages
	resumed  time.Time
	sessions map[*Session]struct{}
	users    int // of Connect
	idle     *time.Timer
	linger   time.Duration // how long it stays without users
	shutting bool
	err      error
	done     chan struct{}
}

// notSent is how much may wait in the kernel to be sent: what is behind it in a large message would only be in the way
// of a small one.
const notSent = 128 << 10

// overTCP gives what a connection is read and written by.
func overTCP(nc net.Conn) net.Conn {
	t := tcp.Of(nc)
	if t == nil {
		return nc
	}
	t.SetUnsent(notSent)
	return t
}

func newConn(n *Node, nc net.Conn, transport string) *Conn {
	c := &Conn{node: n, nc: nc, transport: transport, sessions: make(map[*Session]struct{}), done: make(chan struct{}),
		ids: wire.NewIDs(n.cfg.Random), report: wire.NewIDs(n.cfg.Random), linger: n.cfg.Times.Idle}
	c.work.L, c.room.L = &c.mu, &c.mu
	return c
}

// start begins to read and write.
func (c *Conn) start() error {
	n := c.node
	c.reader = wire.NewReader(source{c}, wire.Limits{})
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		c.nc.Close()
		return ErrClosed
	}
	n.conns[c] = struct{}{}
	n.wait.Add(2)
	n.mu.Unlock()
	go c.read()
	go c.write()
	return nil
}

// Transport is "tcp", "tls", "ws" or "wss".
func (c *Conn) Transport() string { return c.transport }

// RemoteAddr is host:port.
func (c *Conn) RemoteAddr() string { return c.nc.RemoteAddr().String() }

// LocalAddr is host:port.
func (c *Conn) LocalAddr() string { return c.nc.LocalAddr().String() }

// Done is closed when the connection is lost.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err tells why the connection is lost; nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// secure reports whether the connection is under TLS.
func (c *Conn) secure() bool { return c.tls != nil }

// use counts one more that needs the connection; false when it is lost.
func (c *Conn) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.shutting {
		return false
	}
	c.users++
	c.busy()
	return true
}

// Release ends one use that Connect gave. A connection that nobody uses is closed after
// Times.Idle, that of a Hop.Group at once.
func (c *Conn) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
	c.maybeIdle()
}

func (c *Conn) join(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.shutting {
		return false
	}
	c.sessions[s] = struct{}{}
	c.busy()
	return true
}

func (c *Conn) leave(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
	c.maybeIdle()
}

func (c *Conn) busy() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

func (c *Conn) maybeIdle() {
	if c.users > 0 || len(c.sessions) > 0 || c.err != nil || c.idle != nil {
		return
	}
	c.idle = time.AfterFunc(c.linger, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users == 0 && len(c.sessions) == 0 {
			c.shutLocked()
		}
	})
}

// shared reports whether sessions other than one use the connection.
func (c *Conn) shared() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions) > 1
}

var errShut = errors.New("we closed it")

// shut closes the connection when what waits has been written, and the peer has closed it too, or in two seconds.
func (c *Conn) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shutLocked()
}

// shutLocked is shut for who holds the lock: nobody begins to use the connection meanwhile.
func (c *Conn) shutLocked() {
	if c.shutting || c.err != nil {
		return
	}
	c.shutting = true
	if c.ws != nil {
		c.out = c.ws.appendClose(c.out)
	}
	c.busy()
	c.nc.SetDeadline(c.node.cfg.Now().Add(2 * time.Second))
	c.work.Broadcast()
	c.room.Broadcast()
}

// fail closes the connection at once: its sessions have failed (RFC 4975 section 5.4).
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	sessions := keysOf(c.sessions)
	replies := c.trans.close()
	c.busy()
	c.work.Broadcast()
	c.room.Broadcast()
	c.mu.Unlock()
	c.nc.Close()
	c.node.gone(c)
	close(c.done)
	if err != errShut {
		c.node.log.Debug("msrp: a connection is lost", "remote", c.RemoteAddr(), "error", err)
	}
	for _, reply := range replies {
		close(reply)
	}
	for _, s := range sessions {
		s.fail(fmt.Errorf("%w: %w", ErrDisconnected, err))
	}
}

func (c *Conn) trace(out bool, data []byte) {
	if t := c.node.cfg.Trace; t != nil && len(data) > 0 {
		t(Record{Time: c.node.cfg.Now(), Out: out, Transport: c.transport, Local: c.LocalAddr(), Remote: c.RemoteAddr(), Data: data})
	}
}
