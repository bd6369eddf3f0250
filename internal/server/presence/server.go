package presence

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/server/presence/winfo"
	"imp/internal/sip/event"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// ServerConfig holds what a presence server is told.
type ServerConfig struct {
	Stack   stack.Config
	Listen  []stack.Endpoint
	Store   store.KV // closed by its owner
	Domains []string // none: every domain is served
	Auth    *Auth    // nil: everybody is who he says
	// Known tells whether a user of a domain exists; nil: every user does.
	Known                  func(user, domain string) bool
	XCAPRoot               string // as in Config
	Policy                 Policy
	MinInterval            time.Duration   // as in Config
	MinExpires, MaxExpires time.Duration   // as in Config
	Packages               []event.Package // as in Config
	Lists                  event.Lists     // as in Config
	Waiting                winfo.Limits    // as in Config
	// Mount, unless nil, puts further services on the server's stack before that
	// listens. guard knows who sends, nil: everybody is who he says.
	Mount func(s *stack.Stack, guard *identity.Guard)
	Log   *slog.Logger
}

// Auth is whom a server lets in: users who authenticate by digest, and who act
// as the user of their name only.
type Auth struct {
	Realm      string
	Users      digest.Users
	Algorithms []digest.Algorithm // offered, the preferred one first; nil: as in identity.GuardConfig
	NoLegacy   bool               // refuse the form of RFC 2069
	// PublishForAll lets each of them publish for every presentity.
	PublishForAll bool
}

// Server is a presence agent with a stack of its own.
type Server struct {
	stack  *stack.Stack
	agent  *Agent
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

// Serve starts a server; it serves when Serve returns. Errors are those of
// binding (stack.ErrInUse among them) and of the store.
func Serve(ctx context.Context, cfg ServerConfig) (*Server, error) {
	s := &Server{stack: stack.New(cfg.Stack)}
	domains := make([]string, len(cfg.Domains))
	for i, d := range cfg.Domains {
		domains[i] = strings.ToLower(d)
	}
	agent := Config{Stack: s.stack, Store: cfg.Store, XCAPRoot: cfg.XCAPRoot, Policy: cfg.Policy, MinInterval: cfg.MinInterval,
		MinExpires: cfg.MinExpires, MaxExpires: cfg.MaxExpires, Packages: cfg.Packages, Waiting: cfg.Waiting, Lists: cfg.Lists, Log: cfg.Log,
		Directory: &Directory{Domains: domains, Known: cfg.Known, Own: s.own}}
	guard, err := cfg.Auth.apply(&agent)
	if err != nil {
		s.stack.Close()
		return nil, err
	}
	s.agent = New(agent)
	if cfg.Mount != nil {
		cfg.Mount(s.stack, guard)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	ready := make(chan struct{})
	failed := make(chan error, 1)
	s.ran.Go(func() { failed <- s.agent.Run(running, func() { close(ready) }) })
	select {
	case <-ready:
	case err := <-failed:
		s.Close()
		return nil, fmt.Errorf("watching the store: %w", err)
	case <-ctx.Done():
		s.Close()
		return nil, ctx.Err()
	}
	if err := s.stack.Listen(ctx, cfg.Listen...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// apply puts a guard before the agent and gives it, nil without authentication.
func (a *Auth) apply(cfg *Config) (*identity.Guard, error) {
	if a == nil {
		return nil, nil
	}
	guard, err := identity.NewGuard(identity.GuardConfig{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms,
		NoLegacy: a.NoLegacy, AOR: cfg.Directory.AOR, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	cfg.Identify = guard.Identify
	if !a.PublishForAll {
		cfg.Authorize = func(publisher, presentity string) bool { return publisher == presentity }
	}
	return guard, nil
}

// Addrs are the endpoints with their real ports.
func (s *Server) Addrs() []stack.Endpoint { return s.stack.Addrs() }

// Notifier is the notifier of all event packages of the server.
func (s *Server) Notifier() *event.Notifier { return s.agent.Notifier() }

// own tells whether host:port is an address of this server.
func (s *Server) own(hostport string) bool {
	for _, e := range s.stack.Addrs() {
		if e.Addr == hostport {
			return true
		}
		host, port, err := net.SplitHostPort(e.Addr)
		if err != nil {
			continue
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() && strings.HasSuffix(hostport, ":"+port) {
			return s.stack.ContactHost(e.Transport, "") == hostport
		}
	}
	return false
}

// Drain tells all watchers that the server goes, until ctx is done.
func (s *Server) Drain(ctx context.Context) error { return s.agent.Drain(ctx) }

// Close ends the server at once.
func (s *Server) Close() {
	s.cancel()
	s.agent.Close()
	s.stack.Close()
	s.ran.Wait()
}
