package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"imp/internal/msrp/wire"
)

// Node is one endpoint: its listeners, its connections and the sessions on them. Its methods may be called
// concurrently.
type Node struct {
	cfg Config
	log *slog.Logger

	idMu sync.Mutex
	ids  *wire.IDs

	mu        sync.Mutex
	sessions  map[string]*Session // by session-id of our URI
	dialled   map[string]*dial    // by Hop.key
	conns     map[*Conn]struct{}
	accepted  int
	strangers int // accepted connections that belong to no session yet
	listeners map[*Listener]struct{}
	shaking   map[net.Conn]struct{} // accepted, in the middle of a handshake
	closed    bool
	wait      sync.WaitGroup
}

// New makes a Node.
func New(cfg Config) *Node {
	cfg.defaults()
	n := &Node{cfg: cfg, log: cfg.Log, ids: wire.NewIDs(cfg.Random),
		sessions: make(map[string]*Session), dialled: make(map[string]*dial), conns: make(map[*Conn]struct{}),
		listeners: make(map[*Listener]struct{}), shaking: make(map[net.Conn]struct{})}
	return n
}

func (c *Config) defaults() {
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Listen == nil {
		c.Listen = new(net.ListenConfig).Listen
	}
	if c.Lookup == nil {
		c.Lookup = systemLookup
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, d := range []struct {
		p     *int
		value int
	}{
		{&c.Limits.Window, 1 << 20}, {&c.Limits.Reorder, 1 << 20}, {&c.Limits.Messages, 1024}, {&c.Limits.Unanswered, 1024},
		{&c.Limits.Responses, 512 << 10}, {&c.Limits.Connections, 10_000}, {&c.Limits.Handshakes, 1024},
	} {
		if *d.p <= 0 {
			*d.p = d.value
		}
	}
	for _, d := range []struct {
		p     *time.Duration
		value time.Duration
	}{
		{&c.Times.Response, 30 * time.Second}, {&c.Times.Probation, 30 * time.Second}, {&c.Times.Hold, 30 * time.Second},
		{&c.Times.Idle, 5 * time.Minute}, {&c.Times.Patience, 10 * time.Second}, {&c.Times.Connect, 10 * time.Second},
	} {
		if *d.p <= 0 {
			*d.p = d.value
		}
	}
}

// NewID gives a new Message-ID or session-id: 95 random bits.
func (n *Node) NewID() string {
	n.idMu.Lock()
	defer n.idMu.Unlock()
	return n.ids.New()
}

// NewURI gives a URI for one session of ours (RFC 4975 section 8.2): transport is "tcp", "tls", "ws" or "wss", addr
// the host and port where peers connect to. The error says what is wrong with addr.
func (n *Node) NewURI(transport, addr string) (wire.URI, error) {
	t, secure := "tcp", transport == "tls" || transport == "wss"
	if transport == "ws" || transport == "wss" {
		t = "ws"
	}
	scheme := "msrp://"
	if secure {
		scheme = "msrps://"
	}
	u, err := wire.ParseURI(scheme + addr + "/" + n.NewID() + ";" + t)
	if err == nil && u.Port == 0 {
		err = fmt.Errorf("address %q of a session has no port", addr)
	}
	return u, err
}

// Open makes a session with our URI, which peers may use from then on: their requests wait for Start. The error tells
// that the URI has no port or session-id, or is in use.
func (n *Node) Open(own Own) (*Session, error) {
	if own.URI.Port == 0 || own.URI.SessionID == "" {
		return nil, fmt.Errorf("URI %s of a session has no port or no session-id", own.URI)
	}
	if own.Stream <= 0 {
		own.Stream = segment
	}
	s := newSession(n, own)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if n.sessions[own.URI.SessionID] != nil {
		return nil, fmt.Errorf("session-id %s is in use", own.URI.SessionID)
	}
	n.sessions[own.URI.SessionID] = s
	return s, nil
}

// find gives the session whose URI a request is for; nil if there is none.
func (n *Node) find(to wire.URI) *Session {
	n.mu.Lock()
	s := n.sessions[to.SessionID]
	n.mu.Unlock()
	if s == nil || !s.own.URI.Equal(to) {
		return nil
	}
	return s
}

func (n *Node) forget(s *Session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sessions[s.own.URI.SessionID] == s {
		delete(n.sessions, s.own.URI.SessionID)
	}
}

// Close ends all sessions, writes what waits to be written, for two seconds at most, and closes all connections.
func (n *Node) Close() error {
	n.mu.Lock()
	n.closed = true
	sessions, conns, listeners := keys(n.sessions), keysOf(n.conns), keysOf(n.listeners)
	for nc := range n.shaking {
		nc.Close()
	}
	n.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, s := range sessions {
		s.Close()
	}
	for _, c := range conns {
		c.shut()
	}
	n.wait.Wait()
	return nil
}

func keys(m map[string]*Session) (list []*Session) {
	for _, s := range m {
		list = append(list, s)
	}
	return list
}

func keysOf[T comparable](m map[T]struct{}) (list []T) {
	for x := range m {
		list = append(list, x)
	}
	return list
}

// serverTLS is the config of a handshake with a peer that connects.
func (n *Node) serverTLS() *tls.Config {
	cfg := &tls.Config{}
	if n.cfg.ServerTLS != nil {
		cfg = n.cfg.ServerTLS().Clone()
	} else if n.cfg.Certificate != nil {
		cfg.Certificates = []tls.Certificate{*n.cfg.Certificate}
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.DynamicRecordSizingDisabled = true
	if cfg.ClientAuth == tls.NoClientCert {
		cfg.ClientAuth = tls.RequestClientCert // which is checked with the fingerprint of the session (RFC 8122 section 6.2)
	}
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if verify != nil {
			if err := verify(state); err != nil {
				return err
			}
		}
		return n.expected(state)
	}
	return cfg
}

// expected checks a peer that connects with the fingerprints of all sessions that wait for one, so that the handshake
// fails with bad_certificate if it can be nobody's. Which session it is for, its first request tells.
func (n *Node) expected(state tls.ConnectionState) error {
	n.mu.Lock()
	sessions := keys(n.sessions)
	n.mu.Unlock()
	refused := false
	for _, s := range sessions {
		want, waiting := s.awaits()
		if !waiting {
			continue
		}
		if want == nil || checkPeer(want, state) == nil {
			return nil
		}
		refused = true
	}
	if refused {
		return ErrFingerprint
	}
	return nil
}

// clientTLS is the config of a handshake with a peer that we connect to.
func (n *Node) clientTLS(hop Hop, own *tls.Certificate) *tls.Config {
	cfg := &tls.Config{}
	if n.cfg.ClientTLS != nil {
		cfg = n.cfg.ClientTLS(hop.Name).Clone()
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.DynamicRecordSizingDisabled = true
	if cfg.ServerName == "" {
		cfg.ServerName = hop.Name
	}
	if own == nil {
		own = n.cfg.Certificate
	}
	if own != nil && len(cfg.Certificates) == 0 && cfg.GetClientCertificate == nil {
		cfg.Certificates = []tls.Certificate{*own}
	}
	if len(hop.Peer) > 0 {
		cfg.InsecureSkipVerify = true // the fingerprint says more than a chain (RFC 4975 section 14.4)
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return checkPeer(hop.Peer, state) }
	}
	return cfg
}

// lookup gives the addresses to try for host:port, in order (RFC 4975 section 6.2).
func (n *Node) lookup(ctx context.Context, addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if port == "" || port == "0" {
		return nil, errors.New("it has no port")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{addr}, nil
	}
	ips, err := n.cfg.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	list := make([]string, len(ips))
	for i, ip := range ips {
		list[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return list, nil
}
