// Package registrar is the registrar of RFC 3261 section 10 with the flows of RFC 5626, the paths of RFC 3327 and the GRUUs
// of RFC 5627, and the location service that the proxy before its users asks.
//
// All bindings of an address of record are one value of the store, and one compare-and-swap decides each REGISTER, so
// that of requests that race none is lost.
package registrar

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/identity"
	"imp/internal/sip/proxy"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// Config holds what a registrar is told. Store is needed.
type Config struct {
	Store store.KV // closed by its owner
	// Domains are those served, in any case. None means that every domain is served.
	Domains []string
	// Known tells whether a user of a domain exists; nil: every user does.
	Known func(user, domain string) bool
	// Guard authenticates those who register and those who send to users; nil: everybody is who he says.
	Guard *identity.Guard
	// Expires is how long a binding lives that says nothing about it, MinExpires and MaxExpires are the bounds; 0: one
	// hour, one minute, one hour.
	Expires, MinExpires, MaxExpires time.Duration
	// MaxContacts bounds the bindings of one address of record; 0: 20.
	MaxContacts int
	// FlowTimer is how often clients with a flow must send something over it (RFC 5626 section 4.4.1); 0: two minutes,
	// negative: they are not told.
	FlowTimer time.Duration
	// Wait is that of proxy.Config.
	Wait time.Duration
	// Secret is what temporary GRUUs are encrypted with; servers that share a store share it. nil: made anew, so that
	// those of before are invalid.
	Secret []byte
	Log    *slog.Logger // nil discards
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.Expires, time.Hour}, {&c.MinExpires, time.Minute}, {&c.MaxExpires, time.Hour}, {&c.FlowTimer, 2 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.MaxContacts <= 0 {
		c.MaxContacts = 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	domains := make([]string, len(c.Domains))
	for i, d := range c.Domains {
		domains[i] = strings.ToLower(d)
	}
	c.Domains = domains
}

// Stats counts what a registrar did since New.
type Stats struct {
	Registered uint64 // REGISTERs answered 200
	Refused    uint64 // with anything else
	Conflicts  uint64 // compare-and-swaps that had to be tried again
	FlowsEnded uint64 // connections that took bindings with them
	Proxy      proxy.Stats
}

// Registrar keeps where users are.
type Registrar struct {
	cfg   Config
	boot  string    // of this process: live bindings count on its monotonic clock
	start time.Time // of that clock
	gruus gruus
	index index
	flows flows

	stack *stack.Stack
	proxy *proxy.Proxy

	ctx    context.Context
	cancel context.CancelFunc
	ran    sync.WaitGroup

	registered, refused, conflicts, flowsEnded atomic.Uint64
}

// New makes a registrar, which begins to read the store. It ends with Close.
func New(cfg Config) *Registrar {
	cfg.setDefaults()
	r := &Registrar{cfg: cfg, boot: rand.Text(), start: time.Now()}
	secret := cfg.Secret
	if secret == nil {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret)
	}
	r.gruus = newGRUUs(sha256.Sum256(secret))
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.index.follow(r)
	return r
}

// Mount lets the registrar handle REGISTER on a stack, and a proxy forward what is for its users. The stack must not
// listen yet; requests of its own that are sent to a GRUU of a user, or to a browser, find their way.
func (r *Registrar) Mount(s *stack.Stack) {
	r.stack = s
	s.Handle("REGISTER", r.Register)
	s.Extensions("path", "outbound", "gruu")
	s.OnFlowEnd(r.flowEnded)
	s.Reroute(r.reroute)
	cfg := proxy.Config{Stack: s, Location: r, Wait: r.cfg.Wait, Log: r.cfg.Log}
	if g := r.cfg.Guard; g != nil {
		cfg.Identify, cfg.Realm = g.IdentifyForProxy, g.Realm()
	}
	r.proxy = proxy.New(cfg)
}

// Close stops what the registrar does by itself. Bindings stay in the store.
func (r *Registrar) Close() {
	r.cancel()
	r.ran.Wait()
}

// Stats returns the counters.
func (r *Registrar) Stats() Stats {
	s := Stats{Registered: r.registered.Load(), Refused: r.refused.Load(), Conflicts: r.conflicts.Load(), FlowsEnded: r.flowsEnded.Load()}
	if r.proxy != nil {
		s.Proxy = r.proxy.Stats()
	}
	return s
}

// AOR is the address of record that a URI stands for, whether there is such a user or not: the user of a domain served,
// or of the first domain when the host is an address of the server.
func (r *Registrar) AOR(u header.URI) (string, bool) {
	aor, _, ok := r.address(u)
	return aor, ok
}

func (r *Registrar) address(u header.URI) (aor, domain string, ok bool) {
	switch u.Scheme {
	case "sip", "sips", "im", "pres":
	default:
		return "", "", false
	}
	if u.User == "" {
		return "", "", false
	}
	domain = strings.ToLower(u.Host)
	if !r.named(domain) {
		switch {
		case len(r.cfg.Domains) == 0:
		case r.own(u):
			domain = r.cfg.Domains[0]
		default:
			return "", "", false
		}
	}
	return header.URI{Scheme: "sip", User: u.User, Host: domain}.AOR(), domain, true
}

// named tells whether a domain is among those said to be served.
func (r *Registrar) named(domain string) bool {
	for _, d := range r.cfg.Domains {
		if d == domain {
			return true
		}
	}
	return false
}

// own tells whether a URI has an address of this server.
func (r *Registrar) own(u header.URI) bool {
	if r.stack == nil {
		return false
	}
	transport, _ := u.Params.Get("transport")
	if u.Scheme == "sips" && transport == "" {
		transport = "tls"
	}
	return r.stack.Own(u.Host, u.Port, transport)
}

// exists tells whether there is a user.
func (r *Registrar) exists(u header.URI, domain string) bool {
	return r.cfg.Known == nil || r.cfg.Known(u.User, domain)
}
