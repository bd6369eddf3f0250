// Package relayclient implements the client side of RFC 4976 section 5: how an endpoint finds its relays, authenticates
// to them one through the other, and gets the URIs that its sessions use; over TCP with TLS or over WebSocket (RFC 7977).
package relayclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// Port is that of relays which are found by their name alone (RFC 4976 section 8).
const Port = 2855

// Config says which relays a Client uses. Node, Relays and Credentials are needed.
type Config struct {
	Node *session.Node
	// Relays are those that act for us, the innermost first. A URI without a port is looked up by SRV.
	Relays []wire.URI
	// Hop is where to connect for the first relay, instead of what its URI says: the address of a WebSocket for example.
	Hop *session.Hop
	// Credentials gives the user name and the password for the realm of a relay.
	Credentials func(realm string) (user, password string, err error)
	// Expires is how long URIs shall be good at most; 0 leaves it to the relay.
	Expires time.Duration
	// Insecure allows relays without TLS on other machines, and those that do not prove that they know the password:
	// Kamailio's module does not.
	Insecure bool
	// LookupSRV is for relays without a port; nil: net.DefaultResolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	// Random fills a slice with random bytes for digest; nil: crypto/rand.
	Random func([]byte)
}

// Client gets URIs of relays. Its methods may be called concurrently.
type Client struct {
	cfg    Config
	mu     sync.Mutex
	digest map[string]*digest.Client // by authority of the relay
	group  string                    // of the connection that grants are asked for on
	asked  int                       // how many were
}

// maxAsked is how many grants are asked for on one connection, since a relay bounds those that it has: they end with
// the connection only (RFC 4976 section 6.3).
const maxAsked = 50

// ErrInsecure is wrapped by the error of a relay without TLS: AUTH goes over TLS only (RFC 4976 section 9.2).
var ErrInsecure = errors.New("the relay is not reached over TLS")

// ErrUnproven is wrapped by the error of a relay that let us in without proving that it knows our password.
var ErrUnproven = digest.ErrUnproven

// New makes a Client. The error tells of a relay that cannot be used: one of msrp: on another machine, without
// Insecure, a numeric address without a port, or a transport that is not one of MSRP.
func New(cfg Config) (*Client, error) {
	if len(cfg.Relays) == 0 {
		return nil, errors.New("there is no relay")
	}
	for _, u := range cfg.Relays {
		if u.Transport != "tcp" && u.Transport != "ws" {
			return nil, fmt.Errorf("relay %s has the transport %q, and not tcp or ws", u, u.Transport)
		}
		if !u.Secure && !loopback(u.Host) && !cfg.Insecure {
			return nil, fmt.Errorf("relay %s: %w", u, ErrInsecure)
		}
		if _, err := netip.ParseAddr(u.Host); u.Port == 0 && (err == nil || !u.Secure) {
			return nil, fmt.Errorf("relay %s has no port", u)
		}
	}
	if cfg.LookupSRV == nil {
		cfg.LookupSRV = net.DefaultResolver.LookupSRV
	}
	return &Client{cfg: cfg, digest: make(map[string]*digest.Client)}, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// Grant is what relays gave for one session: their URIs are used for no other (RFC 4976 section 5.1).
type Grant struct {
	URI     wire.URI      // ours, for session.Own
	UsePath wire.Path     // of the relays, the next hop first
	Conn    *session.Conn // that the URIs are bound to; for session.Own.Relay
	Expires time.Duration // of the URI that ends first
	Until   time.Time
}

// Release gives the connection back, when the session is over. It is closed with its last session, and its URIs end.
func (g *Grant) Release() { g.Conn.Release() }

// Renew is when a new Grant and a new offer are due (RFC 4976 section 9.4): with a fifth of the time left, or 30 s.
func (g *Grant) Renew() time.Time {
	return g.Until.Add(-min(g.Expires/2, max(g.Expires/5, 30*time.Second)))
}

// Auth gets a Grant: it connects to the first relay, or uses the connection that is there, and authenticates to each in
// turn. A connection that has had many grants, or gets no more, is left to its sessions. The error wraps a *session.StatusError for a refusal, the errors of digest.Request, ErrUnproven, or that of the
// network or of TLS.
func (c *Client) Auth(ctx context.Context) (*Grant, error) {
	group, others := c.choose("")
	g, err := c.authOver(ctx, group)
	var refused *session.StatusError
	if others && errors.As(err, &refused) && refused.Code == wire.Forbidden {
		group, _ = c.choose(group)
		g, err = c.authOver(ctx, group)
	}
	return g, err
}

// choose gives the group of the connection for one more grant, another one than full. others tells whether it was asked
// for others before.
func (c *Client) choose(full string) (group string, others bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group == full || c.asked == maxAsked {
		c.group, c.asked = c.cfg.Node.NewID(), 0
	}
	c.asked++
	return c.group, c.asked > 1
}

// authOver gets a Grant over the connection of a group.
func (c *Client) authOver(ctx context.Context, group string) (*Grant, error) {
	conn, err := c.connect(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("relay %s: %w", c.cfg.Relays[0], err)
	}
	g := &Grant{Conn: conn}
	if g.URI, err = c.own(conn); err == nil {
		err = c.chain(ctx, g)
	}
	if err != nil {
		conn.Release()
		return nil, err
	}
	return g, nil
}

// chain authenticates to each relay through those before it.
func (c *Client) chain(ctx context.Context, g *Grant) error {
	for _, relay := range c.cfg.Relays {
		use, expires, err := c.auth(ctx, g, relay)
		if err != nil {
			return fmt.Errorf("relay %s: %w", relay, err)
		}
		g.UsePath = use
		if g.Expires == 0 || expires < g.Expires {
			g.Expires = expires
		}
	}
	g.Until = time.Now().Add(g.Expires)
	return nil
}

// own makes the URI of a session: no peer connects to it, so its host only has to be ours alone (RFC 7977 section 5.2.1).
func (c *Client) own(conn *session.Conn) (wire.URI, error) {
	addr := conn.LocalAddr()
	if t := conn.Transport(); t == "ws" || t == "wss" {
		addr = strings.ToLower(c.cfg.Node.NewID()) + ".invalid:" + strconv.Itoa(Port)
	}
	u, err := c.cfg.Node.NewURI(conn.Transport(), addr)
	u.Secure = c.cfg.Relays[0].Secure
	return u, err
}

// connect finds the first relay (RFC 4976 section 8).
func (c *Client) connect(ctx context.Context, group string) (*session.Conn, error) {
	u := c.cfg.Relays[0]
	if c.cfg.Hop != nil {
		if t := c.cfg.Hop.Transport; t != "tls" && t != "wss" && !c.cfg.Insecure {
			if host, _, _ := net.SplitHostPort(c.cfg.Hop.Addr); !loopback(host) {
				return nil, ErrInsecure
			}
		}
		hop := *c.cfg.Hop
		hop.Group = group
		return c.cfg.Node.Connect(ctx, hop)
	}
	hop := session.HopOf(u)
	hop.Group = group
	if u.Port != 0 {
		return c.cfg.Node.Connect(ctx, hop)
	}
	_, records, err := c.cfg.LookupSRV(ctx, "msrps", "tcp", u.Host)
	if missing := (*net.DNSError)(nil); err != nil && !(errors.As(err, &missing) && missing.IsNotFound) {
		return nil, err
	}
	if len(records) == 0 {
		records = []*net.SRV{{Target: u.Host, Port: Port}}
	}
	var first error
	for _, r := range records {
		hop.Addr = net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
		conn, err := c.cfg.Node.Connect(ctx, hop)
		if err == nil {
			return conn, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

func (c *Client) credentials(relay wire.URI) *digest.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := relay.Authority()
	d := c.digest[key]
	if d == nil {
		d = digest.NewClient(digest.ClientConfig{Credentials: c.cfg.Credentials, Random: c.cfg.Random})
		c.digest[key] = d
	}
	return d
}

// auth authenticates to one relay through those that g has (RFC 4976 sections 5.1 and 9.1).
func (c *Client) auth(ctx context.Context, g *Grant, relay wire.URI) (wire.Path, time.Duration, error) {
	to := append(append(wire.Path{}, g.UsePath...), relay)
	req := c.credentials(relay).Request(wire.AUTH, relay.String(), nil)
	asked, bounded := c.cfg.Expires, false
	for {
		shown := req.Authorization()
		r, err := g.Conn.Request(ctx, wire.AUTH, to, wire.Path{g.URI}, fields(shown, asked))
		if err != nil {
			return nil, 0, err
		}
		switch r.Code {
		case wire.OK:
			return granted(r, req, len(shown) > 0, c.cfg.Insecure)
		case wire.Unauthorized:
			if err := req.Challenged(usable(r.Get("WWW-Authenticate"))); err != nil {
				return nil, 0, err
			}
			continue
		case wire.OutOfBounds:
			if within, ok := bounds(r, asked); ok && !bounded {
				asked, bounded = within, true
				continue
			}
		}
		return nil, 0, &session.StatusError{Code: r.Code, Comment: r.Comment}
	}
}

// fields are those of an AUTH.
func fields(authorization []string, expires time.Duration) (list []session.Field) {
	for _, v := range authorization[:min(1, len(authorization))] {
		list = append(list, session.Field{Name: "Authorization", Value: v})
	}
	if expires > 0 {
		list = append(list, session.Field{Name: "Expires", Value: strconv.FormatInt(int64(expires/time.Second), 10)})
	}
	return list
}

// granted reads a 200. A relay that we showed a password to must prove that it knows it; with insecure only if it tries.
func granted(r *session.Response, req *digest.Request, shown, insecure bool) (wire.Path, time.Duration, error) {
	if info := strings.Join(r.Get("Authentication-Info"), ", "); shown || info != "" {
		err := req.Accepted(info, nil)
		if err == nil && shown && !strings.Contains(info, "rspauth") && !insecure {
			err = ErrUnproven
		}
		if err != nil && shown {
			return nil, 0, err
		}
	}
	use, err := wire.ParsePath(strings.Join(r.Get("Use-Path"), " "))
	if err != nil {
		return nil, 0, fmt.Errorf("reading Use-Path: %w", err)
	}
	for _, u := range use {
		if u.Port == 0 {
			return nil, 0, fmt.Errorf("Use-Path: %s has no port", u)
		}
	}
	expires, ok := seconds(r, "Expires")
	if !ok {
		return nil, 0, errors.New("the answer has no Expires")
	}
	return use, expires, nil
}

// seconds reads a header field with a whole number of seconds.
func seconds(r *session.Response, name string) (time.Duration, bool) {
	values := r.Get(name)
	if len(values) != 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(values[0], 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

// bounds gives a time that a 423 asks for.
func bounds(r *session.Response, asked time.Duration) (time.Duration, bool) {
	if least, ok := seconds(r, "Min-Expires"); ok && asked < least {
		return least, true
	}
	if most, ok := seconds(r, "Max-Expires"); ok && most > 0 && asked > most {
		return most, true
	}
	return 0, false
}

// usable gives the challenges that RFC 4976 section 9.1 allows: those of Digest with qop=auth, and no session variant
// of an algorithm.
func usable(challenges []string) (list []string) {
	for _, v := range challenges {
		lower := strings.ToLower(v)
		_, qop, _ := strings.Cut(lower, "qop=")
		qop = strings.TrimPrefix(qop, `"`)
		qop, _, _ = strings.Cut(qop, `"`)
		auth := false
		for _, q := range strings.Split(qop, ",") {
			auth = auth || strings.TrimSpace(q) == "auth"
		}
		if strings.HasPrefix(lower, "digest ") && auth && !strings.Contains(lower, "-sess") {
			list = append(list, v)
		}
	}
	return list
}
