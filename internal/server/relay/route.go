package relay

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"imp/internal/msrp/wire"
)

// flow is where requests with certain paths go.
type flow struct {
	to, from       []byte // the paths as they come
	newTo, newFrom []byte // the paths as they go on
	ours           []byte // the relay's URI, for what it says itself
	target         *conn
	grants         []*grant // in the order of To-Path; the second one is that of the receiver, when it is a client here, too
	outward        bool     // the first grant is the sender's
	// Guarded by the lock of the target:
	pending int   // its transactions
	bytes   int64 // of their bodies, as in transactions
}

// size is how many bytes the paths take.
func (f *flow) size() int { return len(f.to) + len(f.from) + len(f.newTo) + len(f.newFrom) }

// valid reports whether the way is still good.
func (f *flow) valid() bool {
	for _, g := range f.grants {
		if g.dead.Load() {
			return false
		}
	}
	return !f.target.gone.Load()
}

// count counts a SEND.
func (f *flow) count(size uint64) {
	for i, g := range f.grants {
		g.sends.Add(1)
		if i == 0 && f.outward {
			g.bytesOut.Add(size)
		} else {
			g.bytesIn.Add(size)
		}
	}
}

// notOurs is in the place of a code for requests that are not for this relay.
const notOurs = -1

// route finds the way of a request, or the code that tells why there is none.
func (c *conn) route(h *wire.Head) (*flow, int) {
	if f := c.last; f != nil && bytes.Equal(h.To, f.to) && bytes.Equal(h.From, f.from) && f.valid() {
		return f, 0
	}
	c.scratch = append(append(append(c.scratch[:0], h.To...), '\n'), h.From...)
	f := c.flows[string(c.scratch)]
	if f == nil || !f.valid() {
		key := string(c.scratch)
		delete(c.flows, key)
		var code int
		if f, code = c.find(h); f == nil {
			return nil, code
		}
		c.keep(key, f)
	}
	c.last = f
	return f, 0
}

// keep remembers a way, and whether there are several peers.
func (c *conn) keep(key string, f *flow) {
	targets := map[*conn]bool{f.target: true}
	size := f.size()
	for k, other := range c.flows {
		if !other.valid() || len(c.flows) >= maxFlows || size+other.size() > maxFlowSize {
			delete(c.flows, k)
		} else {
			targets[other.target] = true
			size += other.size()
		}
	}
	if c.flows == nil {
		c.flows = map[string]*flow{}
	}
	c.flows[key] = f
	c.shared = len(targets) > 1
}

// severalPeers reports whether a connection still serves more than one peer.
func (c *conn) severalPeers() bool {
	if !c.shared {
		return false
	}
	var one *conn
	for _, f := range c.flows {
		if f.valid() {
			if one != nil && one != f.target {
				return true
			}
			one = f.target
		}
	}
	c.shared = false
	return false
}

// find reads the paths of a request (RFC 4976 section 6.4). The first URI must be a grant, and the request come from
// the one it was given to, or go there. When the next URI is a grant too, the relay is its own next hop.
func (c *conn) find(h *wire.Head) (*flow, int) {
	to, err := h.ToPath()
	if err != nil {
		return nil, wire.BadRequest
	}
	if !c.relay.isOurs(to[0]) {
		return nil, notOurs
	}
	f := &flow{to: bytes.Clone(h.To), from: bytes.Clone(h.From), newFrom: bytes.Clone(h.From)}
	rest := f.to
	for i := 0; c.relay.isOurs(to[i]); i++ {
		g := c.relay.granted(to[i])
		if g == nil || i+1 == len(to) {
			return nil, wire.NoSuchSession
		}
		outward := i == 0 && g.owns(c)
		if !outward && !g.leadsBack(to[i+1]) {
			return nil, wire.Forbidden
		}
		var own []byte
		own, rest = wire.CutPath(rest)
		f.newFrom = append(append(append([]byte(nil), own...), ' '), f.newFrom...)
		f.grants = append(f.grants, g)
		f.outward = f.outward || outward
		if !outward {
			f.target = c.relay.towards(g)
			break
		}
	}
	f.newTo = rest
	f.ours, _ = wire.CutPath(f.to)
	if f.target == nil {
		next := to[len(f.grants)]
		if next.Port == 0 {
			return nil, wire.BadRequest
		}
		text, _ := wire.CutPath(rest)
		if f.target = f.grants[0].peer(string(text)); f.target == nil || f.target.gone.Load() {
			f.target = c.relay.hop(next, f.grants[0].user)
		}
	} else if !f.outward {
		c.remember(f)
	}
	if f.target == nil || f.target.gone.Load() {
		return nil, wire.Timeout
	}
	return f, 0
}

// remember notes that the sender can be reached over its connection.
func (c *conn) remember(f *flow) {
	text, _ := wire.CutPath(f.from)
	if u, err := wire.ParseURI(string(text)); err == nil && (c.secure || !u.Secure) {
		f.grants[0].remember(string(text), c)
	}
}

// granted gives the grant of a URI, nil when there is none.
func (r *Relay) granted(u wire.URI) *grant {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.grants[u.SessionID]
	if g == nil || g.dead.Load() || !g.uri.Equal(u) {
		return nil
	}
	return g
}

// towards gives a connection to the next hop towards a client, nil when there is none.
func (r *Relay) towards(g *grant) *conn {
	if g.relay == "" || !g.conn.gone.Load() {
		return g.conn
	}
	return r.hop(g.back, g.user)
}

// isOurs reports whether a URI is one of this relay.
func (r *Relay) isOurs(u wire.URI) bool { return u.Port != 0 && r.isFor(u) }

// isFor reports whether AUTH for a URI is for this relay: there, it may have no port.
func (r *Relay) isFor(u wire.URI) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := u.Port == 0 || u.Port == r.cfg.Port
	local := false
	for _, at := range r.ports {
		known = known || at.port == u.Port
		local = local || at.loopback
	}
	return known && (r.names[strings.ToLower(u.Host)] || local && isLoopback(u.Host))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// isOursText reports whether a path begins with a URI of the relay; mostly it is the one expected.
func (r *Relay) isOursText(path, expected []byte) bool {
	first, _ := wire.CutPath(path)
	if own, _ := wire.CutPath(expected); bytes.Equal(first, own) {
		return true
	}
	u, err := wire.ParseURI(string(first))
	return err == nil && r.isOurs(u)
}

// hop gives a connection to a next hop: one that there is, or a new one that a user gives rise to (RFC 4976 section
// 6.4.2). It is nil when there are too many, and while one that just failed is not tried again.
func (r *Relay) hop(u wire.URI, user string) *conn {
	if !strings.EqualFold(u.Transport, "tcp") || r.ctx.Err() != nil {
		return nil
	}
	key := u.Authority()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.hops[key]; c != nil && !c.gone.Load() {
		return c
	}
	if time.Since(r.unreachable[key]) < retryTime || len(r.conns)-r.inward >= r.cfg.MaxConnections || r.perUser[user] >= r.cfg.MaxNextHops {
		return nil
	}
	c := r.newConn(nil, u.Secure)
	c.host, c.remote, c.transport = u.Host, u.Address(), "tcp"
	if u.Secure {
		c.transport = "tls"
	}
	c.opener = user
	c.good.Store(true)
	r.hops[key] = c
	r.perUser[user]++
	r.conns[c] = struct{}{}
	r.running.Add(1)
	go c.connect(u)
	return c
}
