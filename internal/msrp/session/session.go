package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"imp/internal/msrp/wire"
)

// Session is one MSRP session: a pair of paths on one connection. Its methods may be called concurrently.
type Session struct {
	node    *Node
	own     Own
	to      []byte // To-Path of the requests that come; of the reading goroutine
	begun   chan struct{}
	done    chan struct{}
	seen    *Seen // complete messages
	joined  *Seen // those of several chunks in this session, with their length
	refused *Seen // messages that the peer was told to stop

	mu      sync.Mutex
	cond    sync.Cond // for what comes, and for the peer
	waiting int       // goroutines that wait on cond
	peer    Peer
	started bool
	bound   bool // requests may be sent
	conn    *Conn
	paths   []byte // header lines of our requests
	err     error

	sent    map[string]*Sent // by Message-ID, the last ones
	order   []string         // of sent, oldest first
	unsent  map[string]bool  // types that were refused with 415
	queue   []*Incoming      // for Receive
	open    map[string]*Incoming
	unread  int // bytes that nobody has read
	ahead   int // memory of what came out of order
	runs    int // pieces with gaps between them, and one for each message
	hungry  int // readers of messages that wait for more of them
	goodFor string
}

// maxSent is how many messages a session remembers for reports about them.
const maxSent = 4096

func newSession(n *Node, own Own) *Session {
	s := &Session{node: n, own: own, begun: make(chan struct{}), done: make(chan struct{}), seen: own.Seen, refused: NewSeen(64), joined: NewSeen(64)}
	s.cond.L = &s.mu
	if s.seen == nil {
		s.seen = NewSeen(128)
	}
	return s
}

// URI is ours.
func (s *Session) URI() wire.URI { return s.own.URI }

// Path is what our path attribute has (RFC 4976 section 5.1).
func (s *Session) Path() wire.Path { return OwnPath(s.own.UsePath, s.own.URI) }

// Done is closed when the session has ended or failed.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err tells why the session is over, ErrClosed after Close; nil while it is not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Conn is the connection that the session is bound to, nil before.
func (s *Session) Conn() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// Start tells the session its peer. If we are active it connects, to the one connection that is there already if there
// is one, and sends a SEND without a body at once; otherwise it waits for the peer, which need not have connected when
// Start returns. With a relay of our own the connection to it is used in both cases (RFC 6135 section 4.5). An error
// means that the session has failed.
func (s *Session) Start(ctx context.Context, peer Peer) error {
	s.mu.Lock()
	switch {
	case s.err != nil:
		defer s.mu.Unlock()
		return s.err
	case s.started:
		defer s.mu.Unlock()
		return errors.New("the session was started before")
	case peer.Active && len(peer.Path) == 0:
		defer s.mu.Unlock()
		return errors.New("the peer has no path to connect to")
	}
	s.peer, s.started = peer, true
	if len(peer.Path) > 0 {
		s.setPaths(append(append(wire.Path{}, s.own.UsePath...), peer.Path...).String())
	}
	close(s.begun)
	s.mu.Unlock()
	s.node.log.Info("msrp: " + peer.Decision.String())
	if err := s.connect(ctx, peer); err != nil {
		s.fail(err)
		return err
	}
	return nil
}

func (s *Session) setPaths(to string) {
	s.paths = wire.AppendField(s.paths[:0], "To-Path", to)
	s.paths = wire.AppendField(s.paths, "From-Path", s.own.URI.String())
}

// connect makes the connection that we have to make, and binds it.
func (s *Session) connect(ctx context.Context, peer Peer) error {
	c := s.own.Relay
	switch {
	case c != nil && !c.use():
		return ErrDisconnected
	case c == nil && len(s.own.UsePath) > 0:
		var err error
		if c, err = s.node.connect(ctx, HopOf(s.own.UsePath[0]), nil); err != nil {
			return err
		}
	case c == nil && !peer.Active:
		return nil
	case c == nil:
		hop := HopOf(peer.Path[0])
		hop.Peer = peer.Fingerprints
		if peer.Connect != "" {
			hop.Addr = peer.Connect
		}
		var err error
		if c, err = s.node.connect(ctx, hop, s.own.Certificate); err != nil {
			return err
		}
	}
	defer c.Release()
	if !c.join(s) {
		return fmt.Errorf("%w: %w", ErrDisconnected, cmp.Or(c.Err(), errShut))
	}
	s.mu.Lock()
	if s.conn != nil || s.err != nil { // the peer was faster
		s.mu.Unlock()
		c.leave(s)
		return nil
	}
	s.conn, s.bound = c, peer.Active
	s.wake()
	s.mu.Unlock()
	s.node.known(c)
	if !peer.Active {
		return nil
	}
	return s.hello(ctx)
}

// hello sends the SEND that binds the connection at the peer (RFC 4975 section 5.4).
func (s *Session) hello(ctx context.Context) error {
	sent, err := s.Send(ctx, Message{})
	if err != nil {
		return err
	}
	sent.binding()
	return nil
}

// awaits gives the fingerprints that a peer must have that connects; waiting is false when none is waited for. Without
// fingerprints anybody may be it.
func (s *Session) awaits() (want []Fingerprint, waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil || s.err != nil || s.own.Relay != nil || !s.own.URI.Secure {
		return nil, false
	}
	if !s.started {
		return nil, true
	}
	return s.peer.Fingerprints, !s.peer.Active
}

// bind sees to it that a request comes over the connection that belongs to the session; the first one binds it (RFC
// 4975 section 5.4). Requests before Start wait for it (RFC 8122 section 6.2).
func (s *Session) bind(c *Conn, h *wire.Head) (code int) {
	s.mu.Lock()
	if s.conn == c && s.bound && s.err == nil {
		s.mu.Unlock()
		return 0
	}
	if !s.started && s.err == nil {
		s.mu.Unlock()
		s.hold(c)
		s.mu.Lock()
	}
	code, err := s.tryBind(c, h)
	s.mu.Unlock()
	switch {
	case err != nil:
		s.fail(err)
		c.fail(err)
	case code == 0:
		s.node.known(c)
	}
	return code
}

// hold waits for Start.
func (s *Session) hold(c *Conn) {
	timer := time.NewTimer(s.node.cfg.Times.Hold)
	defer timer.Stop()
	c.stall(true)
	defer c.stall(false)
	select {
	case <-s.begun:
	case <-s.done:
	case <-c.done:
	case <-timer.C:
	}
}

// tryBind does it; the error is that of a peer with another certificate.
func (s *Session) tryBind(c *Conn, h *wire.Head) (code int, err error) {
	switch {
	case s.err != nil || !s.started:
		return wire.NoSuchSession, nil
	case s.conn != nil && s.conn != c:
		return wire.WrongConnection, nil
	case s.own.URI.Secure && !c.secure():
		return wire.NoSuchSession, nil
	}
	if s.conn == nil {
		if len(s.peer.Fingerprints) > 0 {
			if c.tls == nil {
				return wire.NoSuchSession, nil
			}
			if err := checkPeer(s.peer.Fingerprints, *c.tls); err != nil {
				return wire.NoSuchSession, err
			}
		}
		if !c.join(s) {
			return wire.NoSuchSession, nil
		}
		s.conn = c
	}
	if s.paths == nil {
		s.setPaths(string(h.From))
	}
	s.bound = true
	s.wake()
	return 0, nil
}

// wake wakes those who wait on cond. The lock is held.
func (s *Session) wake() {
	if s.waiting > 0 {
		s.cond.Broadcast()
	}
}

// await waits on cond until ready, the end of the session, or that of ctx. The lock is held.
func (s *Session) await(ctx context.Context, ready func() bool) error {
	if ready() {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cond.Broadcast()
	})
	defer stop()
	s.waiting++
	defer func() { s.waiting-- }()
	for !ready() {
		switch {
		case s.err != nil:
			return s.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		s.cond.Wait()
	}
	return nil
}

// Bound waits until requests can be sent: until we have connected, or the peer has and sent its first request.
func (s *Session) Bound(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.await(ctx, func() bool { return s.bound && s.err == nil })
}

// Close ends the session. What Send has taken is still written; messages that have not been received completely are
// aborted, and Receive gives those that have.
func (s *Session) Close() error {
	s.fail(ErrClosed)
	return nil
}

// fail ends the session. Who waits for Done may open another one with its URI.
func (s *Session) fail(err error) {
	s.node.forget(s)
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	close(s.done)
	conn, sent := s.conn, make([]*Sent, 0, len(s.sent))
	for _, m := range s.sent {
		sent = append(sent, m)
	}
	for _, in := range s.open {
		s.discard(in, fmt.Errorf("%w: %w", ErrAborted, err))
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	for _, m := range sent {
		m.over(err)
	}
	if conn != nil {
		conn.leave(s)
	}
}
