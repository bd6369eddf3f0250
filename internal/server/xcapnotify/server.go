package xcapnotify

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"imp/internal/auth/digest"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
)

// ServerConfig holds what a notifier with a stack of its own is told.
type ServerConfig struct {
	Config
	Stack   stack.Config
	Listen  []stack.Endpoint
	Domains []string // of the subscribers, none: every domain
	Auth    *Auth    // nil: everybody is who he says
}

// Auth is whom a server lets in: users who authenticate by digest (RFC 5875 section 7).
type Auth struct {
	Realm      string
	Users      digest.Users
	Algorithms []digest.Algorithm // offered, the preferred one first; nil: as in identity.GuardConfig
	NoLegacy   bool               // refuse the form of RFC 2069
}

// Server is a notifier with a stack of its own. Any URI of its domains or addresses is its URI, with a user or without.
type Server struct {
	*Package
	stack    *stack.Stack
	notifier *event.Notifier
	domains  []string // in lower case
	cancel   context.CancelFunc
	ran      sync.WaitGroup
}

// Serve starts a server; it serves when Serve returns. Errors are those of New, of binding (stack.ErrInUse among them) and of the store.
func Serve(ctx context.Context, cfg ServerConfig) (*Server, error) {
	p, err := New(cfg.Config)
	if err != nil {
		return nil, err
	}
	s := &Server{Package: p, stack: stack.New(cfg.Stack)}
	for _, d := range cfg.Domains {
		s.domains = append(s.domains, strings.ToLower(d))
	}
	n := event.NotifierConfig{Wire: p.Wire(s.stack), MaxSubscriptions: p.cfg.MaxSubscriptions, Resources: s, Contact: s.stack.NotifierContact, Log: cfg.Log}
	if a := cfg.Auth; a != nil {
		guard, err := identity.NewGuard(identity.GuardConfig{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms, NoLegacy: a.NoLegacy, AOR: s.aor, Log: cfg.Log})
		if err != nil {
			s.stack.Close()
			return nil, err
		}
		n.Identify = guard.Identify
	}
	s.notifier = event.NewNotifier(n, p)
	s.stack.Handle("SUBSCRIBE", s.notifier.Subscribe)
	s.stack.Options(func() []stack.Field { return []stack.Field{{Name: "Allow-Events", Value: Name}} })
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if err := s.start(ctx, running, cfg.Listen); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// start follows the store and then listens.
func (s *Server) start(ctx, running context.Context, endpoints []stack.Endpoint) error {
	ready, failed := make(chan struct{}), make(chan error, 1)
	s.ran.Go(func() { failed <- s.Run(running, s.notifier, func() { close(ready) }) })
	select {
	case <-ready:
	case err := <-failed:
		return fmt.Errorf("watching the store: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.stack.Listen(ctx, endpoints...)
}

// Resource implements event.Resources.
func (s *Server) Resource(u header.URI) (string, bool) {
	if u.Scheme != "sip" && u.Scheme != "sips" || !s.serves(strings.ToLower(u.Host)) && !s.own(u) {
		return "", false
	}
	return header.URI{Scheme: "sip", User: u.User, Host: strings.ToLower(u.Host)}.AOR(), true
}

// aor is the address of record of a subscriber, whether there is one or not.
func (s *Server) aor(u header.URI) (string, bool) {
	domain := strings.ToLower(u.Host)
	if u.Scheme != "sip" && u.Scheme != "sips" || u.User == "" || !s.serves(domain) {
		return "", false
	}
	return header.URI{Scheme: "sip", User: u.User, Host: domain}.AOR(), true
}

func (s *Server) serves(domain string) bool {
	for _, own := range s.domains {
		if own == domain {
			return true
		}
	}
	return len(s.domains) == 0
}

// own tells whether a URI has an address of this server as its host.
func (s *Server) own(u header.URI) bool {
	port := u.Port
	if port == 0 {
		port = 5060
	}
	at := net.JoinHostPort(strings.Trim(u.Host, "[]"), strconv.Itoa(port))
	for _, e := range s.stack.Addrs() {
		if e.Addr == at || s.stack.ContactHost(e.Transport, "") == at {
			return true
		}
	}
	return false
}

// Addrs are the endpoints with their real ports.
func (s *Server) Addrs() []stack.Endpoint { return s.stack.Addrs() }

// Subscriptions is the number of live subscriptions.
func (s *Server) Subscriptions() int { return s.notifier.Count() }

// Drain tells all subscribers that the server goes, until ctx is done.
func (s *Server) Drain(ctx context.Context) error { return s.notifier.Drain(ctx) }

// Close ends the server at once.
func (s *Server) Close() {
	s.cancel()
	s.notifier.Close()
	s.stack.Close()
	s.ran.Wait()
}
