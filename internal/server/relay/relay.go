// Package relay implements RFC 4976: an MSRP relay, with the WebSocket binding of RFC 7977.
//
// A client authenticates with AUTH and gets a URI of the relay, a grant, which lives as long as its connection and no
// longer than its expiry. What is sent to that URI goes to the client, and what the client sends through it goes
// wherever the path says. Nothing else is forwarded.
//
// One goroutine reads each connection and forwards each piece of a message as it arrives, by putting it into the outbox
// of the next hop. Before it reads on, it writes the outboxes it has filled, as far as that need not wait; another one
// writes the rest. When an outbox is full, who would fill it is not read any more.
package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/msrp/wire"
)

// Auth says who may have a URI.
type Auth struct {
	Realm      string
	Users      digest.Users
	Algorithms []digest.Algorithm // nil: those that digest has by default
	// Allowed tells whether a user who is known may use the relay; nil: each may.
	Allowed func(user string) bool
}

// Config says how a relay works. The zero value takes everybody.
type Config struct {
	// Host is the host in the relay's URIs, a fully qualified name. Names are further hosts that AUTH may be for, such
	// as a domain.
	Host  string
	Port  uint16 // 0: that of the listener
	Names []string
	Auth  *Auth // nil: AUTH needs no credentials
	// AllowPlainAuth lets clients authenticate over connections without TLS that do not come from this machine.
	AllowPlainAuth bool
	// AllowNextHop tells whether to connect to an address; host is the name in the URI. Nil: to every one.
	AllowNextHop func(host string, addr netip.AddrPort) error
	// Expires is the life of a URI when the client asks for none, MinExpires and MaxExpires bound what it may ask for.
	// Default 15 minutes, 1 minute and 1 hour.
	Expires, MinExpires, MaxExpires time.Duration
	// Roots are the authorities of other relays' certificates, nil: those of the system.
	Roots *x509.CertPool
	// ClientTLS gives the config for connections to a host by TLS. Nil: that of the system.
	ClientTLS func(host string) *tls.Config
	// Dial connects, by default with a net.Dialer that asks AllowNextHop.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxConnections bounds those that come in, and those to next hops; default 10000. MaxGrants is for the URIs of one connection; default 100.
	MaxConnections, MaxGrants int
	// MaxPerAddress bounds the connections that come in from one address of another machine, an IPv6 /64 being one;
	// default half of MaxConnections. MaxNextHops is for the connections to next hops that one user gave rise to;
	// default 100.
	MaxPerAddress, MaxNextHops int
	// MaxBacklog is how many bytes may wait for one connection before those who send to it are not read any more;
	// default 256 KiB.
	MaxBacklog int
	// Patience is how long a connection that serves several peers waits for one of them that does not read, before the
	// message for that one is given up; default 5 seconds. StallTime is when a peer that does not read is cut; default
	// 30 seconds.
	Patience, StallTime time.Duration
	// IdleTime is how long a connection may be quiet; default 1 hour.
	IdleTime time.Duration
	WSPath   string // of WebSocket, "": every path
	Origins  []string
	Random   func([]byte) // nil: crypto/rand
	Log      *slog.Logger // nil discards
}

// Times that RFC 4976 sections 6.1 and 6.4.1 and RFC 4975 section 7.1.1 fix.
const (
	probation   = 30 * time.Second
	transaction = 30 * time.Second
)

// Bounds without a field in Config.
const (
	handshakeTime = 5 * time.Second
	dialTime      = 10 * time.Second
	maxFailures   = 3       // requests that failed before any was good, and AUTHs that failed in a row
	maxWhole      = 10240   // body of a request other than SEND (RFC 4975 section 7.1)
	maxControl    = 1 << 20 // responses and REPORTs that wait for a peer that does not read
	maxFlows      = 1024    // paths remembered of a connection
	maxFlowSize   = 4 << 20 // bytes of those
	maxBack       = 64      // connections remembered of a grant's peers
)

func (c *Config) defaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.MaxExpires, time.Hour)
	def(&c.MinExpires, time.Minute)
	def(&c.Expires, 15*time.Minute)
	c.Expires = min(max(c.Expires, c.MinExpires), c.MaxExpires)
	def(&c.Patience, 5*time.Second)
	def(&c.StallTime, 30*time.Second)
	def(&c.IdleTime, time.Hour)
	for _, n := range []struct {
		p *int
		v int
	}{{&c.MaxConnections, 10000}, {&c.MaxGrants, 100}, {&c.MaxNextHops, 100}, {&c.MaxBacklog, 256 << 10}} {
		if *n.p <= 0 {
			*n.p = n.v
		}
	}
	if c.MaxPerAddress <= 0 {
		c.MaxPerAddress = max(1, c.MaxConnections/2)
	}
	if c.ClientTLS == nil {
		c.ClientTLS = func(host string) *tls.Config { return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12} }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Relay is a relay without its listeners.
type Relay struct {
	cfg      Config
	verifier *digest.Verifier // nil: everybody
	throttle *digest.Throttle
	names    map[string]bool
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	totals   totals

	mu     sync.Mutex
	conns  map[*conn]struct{}
	hops   map[string]*conn // connections to next hops, by wire.URI.Authority
	grants map[string]*grant
	// unreachable are next hops that could not be connected to a moment ago.
	unreachable map[string]time.Time
	order       int64 // of the last grant
	ids         *wire.IDs
	inward      int                // connections that came in
	perAddress  map[netip.Addr]int // of those, by site
	perUser     map[string]int     // connections to next hops, by who gave rise to them

	ports map[string]listening // by transport
}

// listening is where a transport is served, for the relay's URIs.
type listening struct {
	port     uint16
	loopback bool
}

// totals count since the start.
type totals struct {
	sends, bytes, reports, failures, refused atomic.Uint64
}

// New makes a relay.
func New(cfg Config) (*Relay, error) {
	cfg.defaults()
	if cfg.Host == "" {
		return nil, errors.New("making a relay: it has no host for its URIs")
	}
	r := &Relay{cfg: cfg, conns: map[*conn]struct{}{}, hops: map[string]*conn{}, grants: map[string]*grant{}, unreachable: map[string]time.Time{}, perAddress: map[netip.Addr]int{}, perUser: map[string]int{}, names: map[string]bool{},
		ids: wire.NewIDs(cfg.Random), ports: map[string]listening{}}
	for _, name := range append([]string{cfg.Host}, cfg.Names...) {
		r.names[strings.ToLower(name)] = true
	}
	if a := cfg.Auth; a != nil {
		var err error
		r.verifier, err = digest.NewVerifier(digest.Config{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms, NoLegacy: true,
			Random: cfg.Random, SameTarget: sameTarget})
		if err != nil {
			return nil, fmt.Errorf("making a relay: %w", err)
		}
		r.throttle = digest.NewThrottle(digest.ThrottleConfig{})
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(r.housekeeping)
	return r, nil
}

// sameTarget lets credentials hold another spelling of the URI (RFC 4975 section 6.1).
func sameTarget(uri, target string) bool {
	if uri == target {
		return true
	}
	u, err1 := wire.ParseURI(uri)
	v, err2 := wire.ParseURI(target)
	return err1 == nil && err2 == nil && u.Equal(v)
}

// Close ends all connections and waits for what runs.
func (r *Relay) Close() {
	r.cancel()
	for _, c := range r.all() {
		c.close(errClosing)
	}
	r.running.Wait()
}

var errClosing = errors.New("the relay ends")

func (r *Relay) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		list = append(list, c)
	}
	return list
}

// housekeeping looks once a second at what has waited too long.
func (r *Relay) housekeeping() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range r.all() {
				c.look(now)
			}
			r.mu.Lock()
			maps.DeleteFunc(r.unreachable, func(_ string, at time.Time) bool { return now.Sub(at) > retryTime })
			r.mu.Unlock()
		}
	}
}

// Transport is how a listener is reached.
type Transport struct {
	Name string      // "tcp", "tls", "ws" or "wss"
	TLS  *tls.Config // of tls and wss
}

// listen notes where a transport is served. The first listener of a transport is the one in the relay's URIs.
func (r *Relay) listen(l net.Listener, transport string) (loopback bool) {
	host, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return false
	}
	port, _ := strconv.ParseUint(text, 10, 16)
	ip := net.ParseIP(host)
	loopback = ip != nil && ip.IsLoopback()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.ports[transport]; !ok {
		r.ports[transport] = listening{uint16(port), loopback}
	}
	return loopback
}

// Serve takes connections until the listener is closed, or the relay is.
func (r *Relay) Serve(l net.Listener, t Transport) error {
	loopback := r.listen(l, t.Name)
	if t.TLS != nil {
		t.TLS = askingCertificate(t.TLS)
	}
	stop := context.AfterFunc(r.ctx, func() { l.Close() })
	defer stop()
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			r.accept(nc, t, loopback)
		case r.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		default:
			r.cfg.Log.Warn("accepting a connection", "transport", t.Name, "error", err)
			select {
			case <-r.ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond): // such as no file descriptors
			}
		}
	}
}

// askingCertificate has a listener ask for certificates: relays show theirs, and so do clients that others know by a
// fingerprint (RFC 4976 section 6.1).
func askingCertificate(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.ClientAuth = max(cfg.ClientAuth, tls.RequestClientCert)
	cfg.DynamicRecordSizingDisabled = true
	if choose := cfg.GetConfigForClient; choose != nil { // such as for certificates that were read again
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(h)
			if chosen == nil || err != nil {
				return chosen, err
			}
			return askingCertificate(chosen), nil
		}
	}
	return cfg
}

func (r *Relay) accept(nc net.Conn, t Transport, loopback bool) {
	c := r.newConn(nc, t.Name == "tls" || t.Name == "wss")
	c.incoming, c.transport, c.loopback = true, t.Name, loopback
	c.from = site(nc.RemoteAddr())
	r.mu.Lock()
	full := r.inward >= r.cfg.MaxConnections || c.from.IsValid() && r.perAddress[c.from] >= r.cfg.MaxPerAddress || r.ctx.Err() != nil
	if !full {
		r.inward++
		if c.from.IsValid() {
			r.perAddress[c.from]++
		}
		r.conns[c] = struct{}{}
		r.running.Add(1)
	}
	r.mu.Unlock()
	if full {
		r.totals.refused.Add(1)
		nc.Close()
		return
	}
	go c.serve(t.TLS)
}

// site is what an address counts as where those of one peer are counted; invalid for this machine, which is not counted.
func site(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		return netip.Addr{}
	case ip.Is6():
		prefix, _ := ip.Prefix(64)
		return prefix.Addr()
	}
	return ip
}

// release counts one less.
func release[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// forget removes a connection from all lists; what is granted to it dies.
func (r *Relay) forget(c *conn) {
	r.mu.Lock()
	delete(r.conns, c)
	if c.incoming {
		r.inward--
		release(r.perAddress, c.from)
	} else {
		release(r.perUser, c.opener)
	}
	for key, hop := range r.hops {
		if hop == c {
			delete(r.hops, key)
		}
	}
	r.mu.Unlock()
	for _, g := range c.takeGrants() {
		r.revoke(g)
	}
}

// Listen serves at host:port, and gives the address with the real port. It serves until the relay is closed.
func (r *Relay) Listen(t Transport, addr string) (net.Addr, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r.listen(l, t.Name)
	r.running.Go(func() { r.Serve(l, t) })
	return l.Addr(), nil
}
