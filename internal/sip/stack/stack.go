// Package stack implements the transport and transaction layers of RFC 3261 (sections 17 and 18), with RFC 3581
// (symmetric responses), RFC 4320 (actions on non-INVITE transactions), RFC 5922 (names of TLS peers), RFC 6026 (2xx
// responses to INVITE), RFC 7118 (WebSocket) and the keep-alives of RFC 5626 section 4.4.
//
// Handlers get sipgo's message types, made from the stack's own reading of a message. Its parser, its transports and
// its transactions are not used, because presence needs what they do not give: requests of one connection, and
// datagrams for one resource, are handled in the order in which they came; an answered request costs the bytes of its
// answer and not a transaction for 32 seconds; a request in flight costs a few hundred bytes and no goroutine; a peer that does not read holds up
// nobody and is disconnected; what cannot be parsed is answered 400; an answer echoes the request byte for byte.
//
// Every request passes a guard (RFC 3261 8.2) before its handler, so that handlers see only well-formed requests of
// their method, once.
//
// The maddr parameter of Via is not honoured: it would let a request direct its answer to a third party.
package stack

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Stack is one set of listeners and connections with their transactions. All methods are safe for concurrent use
// except those that say otherwise.
type Stack struct {
	cfg     Config
	kinds   map[string]*kind
	secret  [16]byte // for tags
	invalid string   // host of a WebSocket client
	keys    keyer
	replay  *replay
	client  *clients
	invites invites
	count   counters
	partial atomic.Int64            // bytes of buffers for incomplete messages, see maxPartial
	logged  atomic.Int64            // second in which a malformed message was last logged
	deaf    shunned[netip.AddrPort] // no TCP there
	failed  shunned[way]            // located targets
	routes  routes
	relay   relay

	seeking    atomic.Int64 // name lookups for answers
	locating   atomic.Int64 // requests waiting for Config.Locate
	handshakes *turns

	// Set before Listen.
	handlers   map[string]Handler
	methods    []string // keys of handlers, in the order of Handle
	allow      string
	extensions []string
	options    func() []Field

	ctx    context.Context // of the handlers and of dialling
	cancel context.CancelFunc
	goes   sync.WaitGroup
	over   chan struct{} // closed when Close has done all

	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{}
	byPeer   map[peer]*conn
	perAddr  map[netip.Addr]int // accepted connections, see from
	bindings atomic.Pointer[[]*binding]
}

// peer is where a connection leads to. The name matters for secure connections, whose certificate it must match.
type peer struct {
	kind *kind
	addr netip.AddrPort
	name string
}

// New returns a stack that listens nowhere yet. It can send over streams at once; for UDP it needs a listener.
func New(cfg Config) *Stack {
	cfg.setDefaults()
	s := &Stack{
		cfg: cfg, kinds: kinds(), keys: newKeyer(),
		replay:   newReplay(64*cfg.T1, cfg.ReplayBytes),
		handlers: make(map[string]Handler), allow: allow(nil), over: make(chan struct{}),
		conns: make(map[*conn]struct{}), byPeer: make(map[peer]*conn), perAddr: make(map[netip.Addr]int),
	}
	_, _ = rand.Read(s.secret[:])
	s.invalid = strings.ToLower(NewTag()) + ".invalid"
	s.client = newClients(s)
	s.handshakes = newTurns(cfg.MaxHandshakes)
	s.bindings.Store(new([]*binding))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Handle sets the handler of a method, which then appears in Allow. To be called before Listen.
func (s *Stack) Handle(method string, h Handler) {
	if s.handlers[method] == nil {
		s.methods = append(s.methods, method)
	}
	s.handlers[method] = h
	s.allow = allow(s.methods)
}

// allow is the value of Allow: what has a handler, and what the stack answers itself. ACK is never answered, but
// whoever takes INVITE takes it too.
func allow(methods []string) string {
	all := slices.Clone(methods)
	for _, m := range [...]string{"OPTIONS", "CANCEL"} {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return strings.Join(all, ", ")
}

// Extensions adds option tags that are understood: they appear in Supported, and any other tag in Require is
// answered 420 (RFC 3261 8.2.2.3). To be called before Listen.
func (s *Stack) Extensions(tags ...string) { s.extensions = append(s.extensions, tags...) }

// Options sets what OPTIONS is answered with beside Allow and Supported: Allow-Events, Accept and the like. To be
// called before Listen.
func (s *Stack) Options(fields func() []Field) { s.options = fields }

// Close stops the listeners, ends pending client transactions with ErrClosed, closes all connections after what was
// already queued has been written or one second has passed, and waits for every goroutine of the stack. It must not
// be called from a handler or from the done function of Send.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.over
		return nil
	}
	s.closed = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()

	for _, b := range *s.bindings.Load() {
		b.close()
	}
	s.client.close()
	s.invites.close()
	var ended sync.WaitGroup
	for _, c := range conns {
		ended.Go(c.shutdown)
	}
	ended.Wait()
	s.cancel()
	s.replay.close()
	s.goes.Wait()
	close(s.over)
	return nil
}

// spawn runs f on a goroutine of the stack, unless that is closed.
func (s *Stack) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.goes.Go(f)
	return true
}

// addConn registers a connection and runs it. It returns false when there are too many.
func (s *Stack) addConn(c *conn, connect func() (net.Conn, error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addLocked(c, connect)
}

// addAccepted is addConn for a connection from an address, of which there may be only so many.
func (s *Stack) addAccepted(c *conn, remote netip.Addr, connect func() (net.Conn, error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from := site(remote); from.IsValid() {
		if s.perAddr[from] >= s.cfg.MaxPerAddress {
			s.count.refused.Add(1)
			return false
		}
		c.from = from
	}
	if !s.addLocked(c, connect) {
		return false
	}
	if c.from.IsValid() {
		s.perAddr[c.from]++
	}
	return true
}

// site is what an address counts as where those of one peer are counted; invalid = it is not counted.
func site(a netip.Addr) netip.Addr {
	if !a.IsValid() || a.IsLoopback() {
		return netip.Addr{}
	}
	return prefix(a)
}

// prefix is the part of an address that one peer has: all of IPv4, the upper half of IPv6.
func prefix(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.Addr()
}

func (s *Stack) addLocked(c *conn, connect func() (net.Conn, error)) bool {
	if s.closed || len(s.conns) >= s.cfg.MaxConnections {
		s.count.refused.Add(1)
		return false
	}
	s.conns[c] = struct{}{}
	s.goes.Go(func() { c.run(connect) })
	return true
}

// connTo finds the connection to a peer or begins to dial one. to holds the addresses of the peer, best first.
func (s *Stack) connTo(k *kind, to []netip.AddrPort, name string) (*conn, error) {
	if !k.named() {
		name = ""
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	p := peer{k, to[0], name}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.byPeer[p]; c != nil && !c.dead.Load() {
		return c, nil
	}
	c := s.newConn(k)
	c.remote, c.name, c.peer, c.dialled = to[0], name, p, true
	if !s.addLocked(c, func() (net.Conn, error) { return c.dial(to) }) {
		if s.closed {
			return nil, ErrClosed
		}
		return nil, errTooMany
	}
	s.byPeer[p] = c
	return c, nil
}

// known makes an accepted connection usable for requests to its peer's address.
func (s *Stack) known(c *conn) {
	if c.kind.named() {
		return // no name has been checked, or nobody can be reached so
	}
	p := peer{kind: c.kind, addr: c.remote}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.peer == (peer{}) && s.byPeer[p] == nil && !c.dead.Load() {
		c.peer = p
		s.byPeer[p] = c
	}
}

func (s *Stack) removeConn(c *conn) {
	defer s.relay.flows.gone(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.from.IsValid() {
		if s.perAddr[c.from]--; s.perAddr[c.from] == 0 {
			delete(s.perAddr, c.from)
		}
		c.from = netip.Addr{}
	}
	if s.byPeer[c.peer] == c {
		delete(s.byPeer, c.peer)
	}
}

// trace shows a message to the hook.
func (s *Stack) trace(out bool, k *kind, local, remote netip.AddrPort, data []byte) {
	if s.cfg.Trace != nil {
		s.cfg.Trace(Record{time.Now(), out, k.name, local.String(), remote.String(), data})
	}
}

// malformed counts what could not be read and logs one such message a second, without its content: whoever sends
// garbage shall not fill the log.
func (s *Stack) malformed(why string, k *kind, remote netip.AddrPort, data []byte) {
	s.count.malformed.Add(1)
	if s.mayLog() {
		s.cfg.Log.Debug("malformed message", "why", why, "transport", k.name, "remote", remote, "bytes", len(data))
	}
}

// mayLog is true once a second.
func (s *Stack) mayLog() bool {
	now := time.Now().Unix()
	return s.logged.Swap(now) != now
}
