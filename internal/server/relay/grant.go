package relay

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/msrp/wire"
)

// grant is a URI of the relay that AUTH gave out (RFC 4976 section 6.3).
type grant struct {
	number  int64
	session string   // its session-id
	uri     wire.URI // as it was given out
	user    string
	conn    *conn    // that AUTH came over
	relay   string   // the relay that AUTH came from; "": the client itself
	back    wire.URI // the next hop towards the client
	expires time.Time
	dead    atomic.Bool
	timer   *time.Timer

	sends, bytesOut, bytesIn, reports, failures atomic.Uint64

	mu    sync.Mutex
	peers map[string]*conn // connections that peers came over, by their URI
}

// owns reports whether a connection is that of the client, or one of the relay before it.
func (g *grant) owns(c *conn) bool {
	if g.relay != "" {
		return c.isRelay(g.relay)
	}
	return g.conn == c
}

// leadsBack reports whether a URI is the next hop towards the client. Clients may have another session-id in AUTH than
// in their path.
func (g *grant) leadsBack(u wire.URI) bool { return u.SameAuthority(g.back) }

// remember notes the connection of a peer, for what the client sends to it.
func (g *grant) remember(peer string, c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peers[peer] == c {
		return
	}
	for uri, old := range g.peers {
		if old.gone.Load() {
			delete(g.peers, uri)
		}
	}
	if old := g.peers[peer]; old == nil && len(g.peers) < maxBack {
		if g.peers == nil {
			g.peers = map[string]*conn{}
		}
		g.peers[peer] = c
	}
}

func (g *grant) peer(uri string) *conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peers[uri]
}

// grant makes a URI for who is behind a connection. It gives nil when there are too many.
func (r *Relay) grant(c *conn, user, relay string, back wire.URI, life time.Duration) *grant {
	g := &grant{user: strings.Clone(user), conn: c, relay: relay, back: back, expires: time.Now().Add(life)}
	c.mu.Lock()
	most := r.cfg.MaxGrants
	if relay != "" {
		most *= 100 // it is that of many clients
	}
	if c.closed || len(c.grants) >= most {
		c.mu.Unlock()
		return nil
	}
	if c.grants == nil {
		c.grants = map[*grant]struct{}{}
	}
	c.grants[g] = struct{}{}
	c.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	g.session = r.ids.New()
	g.uri = r.ownURI(c, g.session)
	r.order++
	g.number = r.order
	r.grants[g.session] = g
	g.timer = time.AfterFunc(life, func() { r.revoke(g) })
	return g
}

// revoke ends a grant. What comes for it is refused from now on.
func (r *Relay) revoke(g *grant) {
	g.dead.Store(true)
	g.timer.Stop()
	r.mu.Lock()
	delete(r.grants, g.session)
	r.mu.Unlock()
	g.conn.mu.Lock()
	delete(g.conn.grants, g)
	g.conn.mu.Unlock()
}

// takeGrants gives the grants that die with a connection. Those of a relay live on: they are good on each connection of
// it.
func (c *conn) takeGrants() (list []*grant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.grants {
		if g.relay == "" {
			list = append(list, g)
		}
	}
	return list
}

// ownURI makes a URI of the relay: for clients that came by TLS it asks for TLS. The lock is held.
func (r *Relay) ownURI(c *conn, session string) wire.URI {
	u := wire.URI{Host: r.cfg.Host, SessionID: session, Transport: "tcp", Secure: c.secure}
	order := []string{"tcp", "tls", "ws", "wss"}
	if c.secure {
		order = []string{"tls", "wss", "tcp", "ws"}
	}
	for _, name := range order {
		if at, ok := r.ports[name]; ok {
			u.Port, u.Secure = at.port, name == "tls" || name == "wss"
			if name == "ws" || name == "wss" {
				u.Transport = "ws"
			}
			break
		}
	}
	if r.cfg.Port != 0 {
		u.Port = r.cfg.Port
	}
	return u
}

// Session is a grant as it is listed. Bytes are of bodies: Out is what came from the client.
type Session struct {
	ID                string // not that of the URI, which is a secret
	User              string
	Client            string // authority of the next hop towards the client
	Relay             string // the relay that the client came through, "" without
	Remote            string
	Transport         string
	Began             time.Time
	Expires           time.Time
	Sends             uint64
	BytesOut, BytesIn uint64
	Reports, Failures uint64
}

// Sessions lists grants in the order of their numbers, after one and at most so many; of tells whose are wanted, nil all.
// More tells whether there are further ones.
func (r *Relay) Sessions(of func(user string) bool, after string, limit int) (list []Session, more bool) {
	from, _ := strconv.ParseInt(after, 10, 64)
	var grants []*grant
	r.mu.Lock()
	for _, g := range r.grants {
		if g.number > from && (of == nil || of(g.user)) {
			grants = append(grants, g)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(grants, func(a, b *grant) int { return int(a.number - b.number) })
	if len(grants) > limit {
		grants, more = grants[:limit], true
	}
	for _, g := range grants {
		list = append(list, Session{ID: strconv.FormatInt(g.number, 10), User: g.user, Client: g.back.Address(), Relay: g.relay, Remote: g.conn.remote,
			Transport: g.conn.transport, Began: g.conn.began, Expires: g.expires, Sends: g.sends.Load(), BytesOut: g.bytesOut.Load(), BytesIn: g.bytesIn.Load(),
			Reports: g.reports.Load(), Failures: g.failures.Load()})
	}
	return list, more
}

// Stats are figures of a relay: those of now, and totals since its start.
type Stats struct {
	Connections, Sessions                    int
	Sends, Bytes, Reports, Failures, Refused uint64
}

// Stats gives the figures.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	s := Stats{Connections: len(r.conns), Sessions: len(r.grants)}
	r.mu.Unlock()
	t := &r.totals
	s.Sends, s.Bytes, s.Reports, s.Failures, s.Refused = t.sends.Load(), t.bytes.Load(), t.reports.Load(), t.failures.Load(), t.refused.Load()
	return s
}
